"""The API of the store: JSON, prices in minor units, errors as RFC 9457 problems.

The two hot requests, `POST /v1/orders` and `GET /v1/products/{name}`, are answered in front of Klein's
routing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from twisted.web.server import Request

from toystore.frontend.dialects import v1_input as take
from toystore.frontend.dialects.headers import Headers, dated, json_reply, key_of, of_error, of_order
from toystore.frontend.storefront import Carried, Storefront
from toystore.model import AdjustStock, Command, Order, Product, PutProduct, Refusal
from toystore.names import product_name
from toystore.web.answers import ErrorShape, HotPaths, Reply, json_app
from toystore.web.errors import PROBLEM_TYPE, Internal, Malformed, OutcomeUnknown, RefusedError, StoreError, problem
from toystore.web.input import BadInput, whole_number

log = Logger()

Work = Callable[[str], Awaitable[Reply]]
"""Does what a request asks for, under this request id."""


class V1:
    app = json_app()

    def __init__(self, storefront: Storefront, currency: str, request_ids: Callable[[], str]) -> None:
        self._store = storefront
        self._currency = currency
        self._request_ids = request_ids
        self.errors = ErrorShape(self._render, PROBLEM_TYPE.encode())

    def resource(self) -> IResource:
        """The root of the site."""
        root = HotPaths(self.app, self.errors)
        return root.add("POST", "/v1/orders", self.place).add_names("GET", "/v1/products/", self.product)

    # Products

    @app.route("/v1/products", methods=["GET"])
    async def products(self, request: Request) -> bytes:
        async def list_them(_: str) -> Reply:
            page = take.page_of(request)
            text, topic = take.text_of(request, "q") or "", take.text_of(request, "topic")
            found = await self._store.lookups.products(
                page.after or 0, page.limit + 1, text, topic, take.min_index_of(request)
            )
            rows, more = found.value[: page.limit], len(found.value) > page.limit
            body = {
                "data": [self._product(product) for product in rows],
                "next": str(rows[-1].number) if more else None,
            }
            return json_reply(body, *dated(found.asof, found.age))

        return (await self._answer(list_them)).send(request)

    async def product(self, name: str, request: Request, body: bytes) -> Reply:
        async def look_up(_: str) -> Reply:
            found = await self._store.lookups.product(
                _existing(name), take.min_index_of(request), take.linearizable(request)
            )
            headers = (*dated(found.asof, found.age), (b"ETag", take.etag(found.value).encode()))
            if take.not_modified(request, found.value):
                return Reply(304, b"", headers)
            return json_reply({"data": self._product(found.value)}, *headers)

        return await self._answer(look_up)

    @app.route("/v1/products/<name>", methods=["GET"])
    async def product_by_klein(self, request: Request, name: str) -> bytes:
        return (await self.product(name, request, b"")).send(request)

    @app.route("/v1/products/<name>", methods=["PUT"])
    async def put_product(self, request: Request, name: str) -> bytes:
        async def put(request_id: str) -> Reply:
            wanted, version = take.product_in(_content(request)), take.expected_version(request)
            command = PutProduct(take.name_of(name), wanted.price, wanted.topic, wanted.quantity, version)
            return await self._change(command, key_of(request), request_id)

        return (await self._answer(put)).send(request)

    @app.route("/v1/products/<name>/adjustments", methods=["POST"])
    async def adjust(self, request: Request, name: str) -> bytes:
        async def move(request_id: str) -> Reply:
            command = AdjustStock(take.name_of(name), take.delta_in(_content(request)))
            return await self._change(command, key_of(request), request_id)

        return (await self._answer(move)).send(request)

    async def _change(self, command: Command, key: str | None, request_id: str) -> Reply:
        """With a key, the same change again gets the first answer again, for as long as the ledger remembers it (the last
        100,000 log entries); a refusal too. Under the same key another change is another request."""
        if key is None:
            carried = await self._store.change(command, request_id)
        else:
            carried = await self._change_once(command, key)
        (product,) = carried.done.products
        headers: Headers = (*dated(carried.position), (b"ETag", take.etag(product).encode()))
        named: Headers = () if key is None else ((b"Idempotency-Key", key.encode()),)
        return json_reply({"data": self._product(product)}, *headers, *named)

    async def _change_once(self, command: Command, key: str) -> Carried:
        try:
            return await self._store.change(command, take.request_id_of(key, command))
        except OutcomeUnknown as error:
            raise OutcomeUnknown(key) from error

    # Orders

    async def place(self, request: Request, body: bytes) -> Reply:
        async def order_it(request_id: str) -> Reply:
            key = key_of(request)
            side, lines = take.order_in(body)
            return self._placed(await self._store.place(side, lines, key, request_id))

        return await self._answer(order_it)

    def _placed(self, carried: Carried) -> Reply:
        order, replayed = carried.done.order, carried.done.replayed
        assert order is not None, "a placed order is there"
        headers: Headers = (*dated(carried.position), *of_order(order, replayed))
        if replayed:
            return json_reply({"data": self._order(order)}, *headers)
        location = (b"Location", b"/v1/orders/%d" % order.number)
        return json_reply({"data": self._order(order)}, *headers, location, status=201)

    @app.route("/v1/orders", methods=["POST"])
    async def place_by_klein(self, request: Request) -> bytes:
        return (await self.place(request, _content(request))).send(request)

    @app.route("/v1/orders", methods=["GET"])
    async def orders(self, request: Request) -> bytes:
        async def list_them(_: str) -> Reply:
            page = take.page_of(request)
            found = await self._store.orders(page.after, page.limit + 1)
            rows, more = found.value[: page.limit], len(found.value) > page.limit
            body = {
                "data": [self._order(order) for order in rows],
                "next": str(rows[-1].number) if more else None,
            }
            return json_reply(body, *dated(found.asof, found.age))

        return (await self._answer(list_them)).send(request)

    @app.route("/v1/orders/<number>", methods=["GET"])
    async def order(self, request: Request, number: str) -> bytes:
        async def find(_: str) -> Reply:
            found = await self._store.order(_order_number(number))
            headers = (*dated(found.asof, found.age), *of_order(found.value, replayed=False))
            return json_reply({"data": self._order(found.value)}, *headers)

        return (await self._answer(find)).send(request)

    @app.route("/v1/orders/<number>/cancel", methods=["POST"])
    async def cancel(self, request: Request, number: str) -> bytes:
        async def undo(request_id: str) -> Reply:
            take.nothing_in(_content(request))
            carried = await self._store.cancel(_order_number(number), request_id)
            order = carried.done.order
            assert order is not None, "a cancelled order is there"
            headers = (*dated(carried.position), *of_order(order, replayed=False))
            return json_reply({"data": self._order(order)}, *headers)

        return (await self._answer(undo)).send(request)

    # How things look

    def _product(self, product: Product) -> dict[str, Any]:
        return {
            "name": product.name,
            "number": product.number,
            "price": product.price,
            "currency": self._currency,
            "quantity": product.quantity,
            "topic": product.topic,
            "version": product.version,
        }

    def _order(self, order: Order) -> dict[str, Any]:
        return {
            "number": order.number,
            "side": order.side,
            "lines": order.lines,
            "total": order.total,
            "currency": self._currency,
            "status": order.status,
            "at": order.at,
        }

    # Errors

    @app.handle_errors(Exception)
    def failed(self, request: IRequest, failure: Failure) -> bytes:
        return self.errors.reply_to(failure).send(cast(Request, request))

    async def _answer(self, work: Work) -> Reply:
        """What came of the work, errors included, under one new request id."""
        request_id = self._request_ids()
        try:
            return await work(request_id)
        except StoreError as error:
            told = error
        except BadInput as error:
            told = Malformed(str(error))
        except CancelledError:  # the client has hung up
            raise
        except Exception:
            log.failure("request {id} failed", id=request_id)
            told = Internal()
        content_type = (b"Content-Type", PROBLEM_TYPE.encode())
        body = problem(told.code, told.detail, request_id)
        return Reply(told.public.status, body, (content_type, *of_error(told)))

    def _render(self, status: int, code: str, message: str) -> bytes:
        return problem(code, message, self._request_ids(), status)


def _content(request: Request) -> bytes:
    assert request.content is not None, "a request is handled once its body has been received"
    body: bytes = request.content.read()
    return body


def _existing(text: str) -> str:
    """A name that could be one; another one is not known. Raises RefusedError."""
    try:
        return product_name(text)
    except ValueError as error:
        raise RefusedError(Refusal.UNKNOWN_PRODUCT, str(error)) from error


def _order_number(text: str) -> int:
    """Raises RefusedError: what is no number is no order."""
    try:
        return whole_number(text, "the order number")
    except BadInput as error:
        raise RefusedError(Refusal.UNKNOWN_ORDER, str(error)) from error
