"""What the dialects of stocks share: one stock in an order, bought or sold, and numbers that start at `first`.

A dialect adds its routes, its words (`refusals`, `sides`) and how an order looks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from attrs import frozen
from twisted.web.server import Request

from toystore.frontend.dialects.headers import JSON, Headers, dated, key_of, of_error, of_order
from toystore.frontend.storefront import Carried, Storefront
from toystore.model import BOUND, Line, Order, Refusal
from toystore.money import decimals
from toystore.names import product_name
from toystore.web.answers import ErrorShape, Reply
from toystore.web.errors import RefusedError, StoreError
from toystore.web.input import BadInput, read_json, whole_number

Work = Callable[[], Awaitable[Reply]]


@frozen
class Told:
    """How a dialect tells of a refusal: the status, the code in the body, and the text (None: what the store says
    itself)."""

    status: int
    code: int
    text: str | None = None


def error_body(code: int, text: str) -> bytes:
    return msgspec.json.encode({"error": {"code": code, "message": text}})


def error_shape(content_type: bytes | None = b"application/json") -> ErrorShape:
    """`{"error": {"code", "message"}}`, with the code of the status."""
    return ErrorShape(lambda status, code, message: error_body(status, message), content_type)


class Stocks:
    """`refusals` has all that looking up, ordering and asking can end in; `sides` are the types of an order, as the
    ledger calls them."""

    errors = error_shape()
    content: Headers = JSON
    refusals: Mapping[Refusal, Told] = MappingProxyType({})
    sides: Mapping[str, str] = MappingProxyType({"buy": "buy", "sell": "sell"})

    def __init__(self, storefront: Storefront, currency: str, request_ids: Callable[[], str], *, first: int) -> None:
        self.store = storefront
        self.first = first
        self._unit = 10 ** decimals(currency)
        self._request_ids = request_ids
        self._types = {side: word for word, side in self.sides.items()}

    async def look_up(self, name: str, request: Request, body: bytes = b"") -> Reply:
        async def work() -> Reply:
            found = await self.store.lookups.product(_name(name))
            stock = found.value
            data = {"name": stock.name, "price": stock.price / self._unit, "quantity": stock.quantity}
            return self.reply(data, *dated(found.asof, found.age))

        return await self.answer(request, work)

    async def trade(self, request: Request, body: bytes) -> Reply:
        async def work() -> Reply:
            key = key_of(request)
            side, line = self._wanted(body)
            carried = await self.place(side, line, key)
            order = carried.done.order
            assert order is not None, "an order that was carried out is there"
            return self.reply(self.placed(order), *dated(carried.position), *of_order(order, carried.done.replayed))

        return await self.answer(request, work)

    async def find(self, request: Request, number: str) -> Reply:
        async def work() -> Reply:
            found = await self.store.order(self._number(number))
            return self.reply(self.told(found.value), *dated(found.asof, found.age))

        return await self.answer(request, work)

    # What a dialect may do in its own way

    async def place(self, side: str, line: Line, key: str | None) -> Carried:
        """Raises RefusedError, Unavailable, OutcomeUnknown."""
        return await self.store.place(side, (line,), key, self._request_ids())

    def placed(self, order: Order) -> dict[str, Any]:
        """The answer to an order."""
        return {"transaction_number": order.number + self.first}

    def told(self, order: Order) -> dict[str, Any]:
        """The answer to whoever asks for an order; of several lines, its first."""
        line = order.lines[0]
        return {
            "number": order.number + self.first,
            "name": line.name,
            "type": self._types[order.side.value],
            "quantity": line.quantity,
        }

    async def answer(self, request: Request, work: Work) -> Reply:
        """What came of the work, errors included."""
        try:
            return await work()
        except (RefusedError, BadInput) as error:
            told = self.refusals[error.refusal if isinstance(error, RefusedError) else Refusal.MALFORMED]
            return Reply(told.status, error_body(told.code, told.text or str(error)), self.content)
        except StoreError as error:
            text = f"{error.public.title}: {error.detail}"
            return self.errors.reply(error.public.status, error.code, text, *of_error(error))

    def reply(self, data: Any, *headers: tuple[bytes, bytes]) -> Reply:
        """Its keys stay in the order that is given, as people have documented and printed it."""
        return Reply(200, msgspec.json.encode({"data": data}), (*self.content, *headers))

    def _wanted(self, body: bytes) -> tuple[str, Line]:
        """Side and line. What is no side, or no whole number, becomes one that the ledger refuses: it judges name, type
        and quantity in this sequence (row O9). Raises BadInput, RefusedError."""
        found = read_json(body)
        name, word, quantity = found.get("name"), found.get("type"), found.get("quantity")
        if not isinstance(name, str):
            raise RefusedError(Refusal.UNKNOWN_PRODUCT, "an order needs the name of a stock, a text")
        side = self.sides.get(word, "") if isinstance(word, str) else ""
        whole = type(quantity) is int and -BOUND <= quantity <= BOUND
        return side, Line(_name(name), quantity if whole else 0)

    def _number(self, text: str) -> int:
        """The number of the order in the ledger. Raises RefusedError: what is no number is no order."""
        try:
            return whole_number(text, "an order number", self.first, BOUND + self.first) - self.first
        except BadInput as error:
            raise RefusedError(Refusal.UNKNOWN_ORDER, str(error)) from error


def _name(text: str) -> str:
    """Raises RefusedError: what can be no name is unknown."""
    try:
        return product_name(text)
    except ValueError as error:
        raise RefusedError(Refusal.UNKNOWN_PRODUCT, str(error)) from error
