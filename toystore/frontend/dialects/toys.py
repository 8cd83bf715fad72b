"""The dialect of the first toy store: `/products`, `/orders`, `/invalidate`; every error is
`{"error": {"code", "message"}}`, with the code of the status.

Options: `first` is the number a customer sees for order 0; `verbatim` wraps an order twice, all values as
texts.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.logger import Logger
from twisted.web.resource import IResource
from twisted.web.server import Request

from toystore.encoding import to_json
from toystore.frontend.dialects.headers import dated, json_reply, key_of, of_error, of_order
from toystore.frontend.storefront import Storefront
from toystore.model import BOUND, Line, Refusal
from toystore.money import decimals
from toystore.names import product_name
from toystore.web.answers import ErrorShape, HotPaths, Reply, json_app
from toystore.web.errors import RefusedError, StoreError, Unavailable
from toystore.web.input import BadInput, read_json

LOOKUP, BUY, QUERY = "lookup", "buy", "query"
NO_NAME = "bad request/product name not found"

REFUSALS: dict[tuple[str, Refusal], tuple[int, str | None]] = {
    (LOOKUP, Refusal.UNKNOWN_PRODUCT): (404, "product not found"),
    (LOOKUP, Refusal.MALFORMED): (400, "bad request"),
    (BUY, Refusal.UNKNOWN_PRODUCT): (404, NO_NAME),
    (BUY, Refusal.BAD_QUANTITY): (400, None),
    (BUY, Refusal.INSUFFICIENT_STOCK): (400, "product is out of stock"),
    (BUY, Refusal.LIMIT): (400, None),
    (BUY, Refusal.KEY_REUSED): (422, None),
    (BUY, Refusal.MALFORMED): (400, None),
    (QUERY, Refusal.UNKNOWN_ORDER): (404, "Order not found"),
    (QUERY, Refusal.MALFORMED): (400, "Bad request"),
}
"""What a refusal is called here, in which use; no text: what the store says itself."""

NOBODY = {
    LOOKUP: "Service unavailable. No catalog found.",
    BUY: "Service unavailable. No leader found.",
    QUERY: "Order service unavailable. No leader found.",
}
"""The text of a 503."""

Work = Callable[[], Awaitable[Reply]]


def _error(status: int, code: str, message: str) -> bytes:
    return to_json({"error": {"code": status, "message": message}})


class Toys:
    app = json_app()
    errors = ErrorShape(_error)

    def __init__(
        self,
        storefront: Storefront,
        currency: str,
        request_ids: Callable[[], str],
        *,
        first: int = 0,
        verbatim: bool = False,
    ) -> None:
        self._store = storefront
        self._unit = 10 ** decimals(currency)
        self._request_ids = request_ids
        self._first = first
        self._verbatim = verbatim

    def resource(self) -> IResource:
        """The root of the site."""
        root = HotPaths(self.app, self.errors)
        return root.add("POST", "/orders", self.buy).add("POST", "/orders/", self.buy)

    @app.route("/products/<name>", methods=["GET"])
    async def product(self, request: Request, name: str) -> bytes:
        async def look_up() -> Reply:
            found = await self._store.lookups.product(_name(name))
            product = found.value
            data = {
                "name": product.name,
                "price": product.price / self._unit,
                "quantity": product.quantity,
            }
            return json_reply({"data": data}, *dated(found.asof, found.age))

        return (await self._answer(LOOKUP, look_up)).send(request)

    async def buy(self, request: Request, body: bytes) -> Reply:
        async def place() -> Reply:
            key = key_of(request)
            line = _wanted(body)
            if line is None:
                return self.errors.reply(404, "", NO_NAME)
            carried = await self._store.place("buy", (line,), key, self._request_ids())
            order = carried.done.order
            assert order is not None, "a buy that was carried out has an order"
            data = {"order_number": order.number + self._first}
            headers = (*dated(carried.position), *of_order(order, carried.done.replayed))
            return json_reply({"data": data}, *headers)

        return await self._answer(BUY, place)

    @app.route("/orders", methods=["POST"])
    async def orders(self, request: Request) -> bytes:
        assert request.content is not None
        return (await self.buy(request, request.content.read())).send(request)

    @app.route("/orders/<number>", methods=["GET"])
    async def order(self, request: Request, number: str) -> bytes:
        async def find() -> Reply:
            found = await self._store.order(self._number(number))
            order, line = found.value, found.value.lines[0]
            data: dict[str, Any] = {
                "number": order.number + self._first,
                "name": line.name,
                "quantity": line.quantity,
            }
            if self._verbatim:
                data = {"data": {name: str(value) for name, value in data.items()}}
            return json_reply({"data": data}, *dated(found.asof, found.age))

        return (await self._answer(QUERY, find)).send(request)

    @app.route("/invalidate/<name>", methods=["POST"])
    def invalidate(self, request: Request, name: str) -> bytes:
        self._store.cache.drop(name)
        return json_reply({"data": f"Cache successfully invalidated for {name}"}).send(request)

    errors.install(app)

    def _number(self, text: str) -> int:
        """The number of the order in the ledger. Raises RefusedError."""
        if not re.fullmatch(r"-?[0-9]+", text):
            raise RefusedError(Refusal.MALFORMED, "an order number is an integer")
        number = int(text) - self._first if len(text) <= len(str(BOUND)) else BOUND + 1
        if number < 0:
            raise RefusedError(Refusal.UNKNOWN_ORDER, f"there is no order {text}")
        return number

    async def _answer(self, use: str, work: Work) -> Reply:
        try:
            return await work()
        except RefusedError as error:
            status, text = REFUSALS[use, error.refusal]
            return self.errors.reply(status, error.code, text or error.detail)
        except StoreError as error:
            text = NOBODY[use] if isinstance(error, Unavailable) else f"{error.public.title}: {error.detail}"
            return self.errors.reply(error.public.status, error.code, text, *of_error(error))
        except BadInput as error:
            Logger().debug("not readable: {error}", error=error)
            return self.errors.reply(404, "", "Bad Request")


def _name(text: str) -> str:
    try:
        return product_name(text)
    except ValueError as error:
        raise RefusedError(Refusal.MALFORMED, str(error)) from error


def _wanted(body: bytes) -> Line | None:
    """What the customer wants, None where name or quantity are missing (or 0). Raises BadInput,
    RefusedError."""
    found = read_json(body)
    name, quantity = found.get("name"), found.get("quantity")
    if not isinstance(name, str) or quantity is None or (quantity == 0 and quantity is not False):
        return None
    if type(quantity) is not int or not 1 <= quantity <= BOUND:
        raise RefusedError(Refusal.BAD_QUANTITY, f"the quantity must be a whole number from 1 to {BOUND}")
    try:
        return Line(product_name(name), quantity)
    except ValueError:
        return None
