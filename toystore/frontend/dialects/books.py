"""The dialect of the book store: products by number, every answer bare JSON with HTTP 200, labelled text/html.

A book's `cost` is its price in whole major units of the currency (dollars; a fraction is cut off). An input is an
integer, or a text that is one. What the store refuses and what can not be read get the same answer, which each
route names. Only what is nobody's answer has another status: 404 and 405 for requests that are none, 503 where the
store can not say now, 504 where it does not know whether it was done; the body is a JSON text then. `/files` is CSV.

The GETs that change something are as old as their clients. HEAD does not do it, and nothing here may be cached.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import msgspec
from twisted.logger import Logger
from twisted.web.resource import IResource
from twisted.web.server import Request
from werkzeug.exceptions import MethodNotAllowed

from toystore.frontend.dialects.headers import Headers, dated, key_of, of_error, of_order
from toystore.frontend.storefront import Storefront
from toystore.model import BOUND, AdjustStock, Line, Product, SetPrice
from toystore.money import decimals
from toystore.projections import FORMATS, ChangeFormat
from toystore.web.answers import HOME_PAGE, ErrorShape, HotPaths, Reply, json_app
from toystore.web.errors import RefusedError, StoreError
from toystore.web.input import BadInput, read_json
from toystore.web.interface import Dated

PAGE = 1000
"""Products that are asked for at a time."""

HTML = b"text/html; charset=utf-8"
PLAIN: Headers = ((b"Content-Type", HTML), (b"Cache-Control", b"no-store"))

CSV: Headers = ((b"Content-Type", b"text/csv; charset=utf-8"), (b"Cache-Control", b"no-store"))
WRITE_LOG = cast(ChangeFormat, FORMATS["books-changes"])

NOT_UPDATED = "error in update operation"
NOT_BOUGHT = "Item is unavailable."

log = Logger()

Fields = Mapping[str, Any]
Work = Callable[[Fields], Awaitable[Reply]]
"""Does what a request asks for, with these values of its path or its body."""


def _json(value: Any) -> bytes:
    """With the keys in their order; without a character by which a browser would take it for HTML."""
    encoded = msgspec.json.encode(value)
    return encoded.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")


def _reply(value: Any, *headers: tuple[bytes, bytes]) -> Reply:
    return Reply(200, _json(value), (*PLAIN, *headers))


class Books:
    app = json_app()
    errors = ErrorShape(lambda status, code, message: _json(message), HTML)

    def __init__(self, storefront: Storefront, currency: str, request_ids: Callable[[], str]) -> None:
        self._store = storefront
        self._currency = currency
        self._unit = 10 ** decimals(currency)
        self._request_ids = request_ids

    def resource(self) -> IResource:
        """The root of the site."""
        return HotPaths(self.app, self.errors)

    @app.route("/", methods=["GET"])
    def home(self, request: Request) -> bytes:
        return HOME_PAGE.send(request)

    # Reading

    @app.route("/list", methods=["GET"])
    async def list_all(self, request: Request) -> bytes:
        async def list_them(_: Fields) -> Reply:
            found = await self._all("list")
            return _reply([self._row(book) for book in found.value], *dated(found.asof, found.age))

        return await self._answer(request, {}, list_them, [])

    @app.route("/search", methods=["POST"])
    @app.route("/search/<topic>", methods=["GET"])
    async def search(self, request: Request, **path: str) -> bytes:
        async def find(fields: Fields) -> Reply:
            found = await self._all("search", _text(fields, "topic"))
            rows = [{"item_number": book.number, "title": book.name} for book in found.value]
            return _reply(rows, *dated(found.asof, found.age))

        return await self._answer(request, path, find, [])

    @app.route("/lookup", methods=["POST"])
    @app.route("/lookup/<item_number>", methods=["GET"])
    async def lookup(self, request: Request, **path: str) -> bytes:
        return await self._look(request, path, "lookup", ("title", "cost", "quantity"))

    @app.route("/get_quantity", methods=["POST"])
    @app.route("/get_quantity/<item_number>", methods=["GET"])
    async def get_quantity(self, request: Request, **path: str) -> bytes:
        return await self._look(request, path, "get_quantity", ("quantity",))

    @app.route("/get_name/<item_number>", methods=["GET"])
    async def get_name(self, request: Request, **path: str) -> bytes:
        return await self._look(request, path, "get_name", ("title",))

    @app.route("/invalidate/<item_number>", methods=["GET"])
    async def invalidate(self, request: Request, **path: str) -> bytes:
        async def drop(fields: Fields) -> Reply:
            number = _integer(fields, "item_number")
            self._store.cache.drop_numbered(number)
            return _reply(f"Invalidated entry for item {number}")

        return await self._answer(request, path, drop, None)

    @app.route("/files", methods=["GET"])
    async def files(self, request: Request) -> bytes:
        """The write log, as the catalogs of old gave it to one another (row F4)."""

        async def write(_: Fields) -> Reply:
            found = await self._store.lookups.history("files")
            told = found.value
            body = WRITE_LOG.whole(WRITE_LOG.merged(told.changes, told.orders, told.numbers, self._currency))
            return Reply(200, body, (*CSV, *dated(found.asof, found.age)))

        return await self._answer(request, {}, write, None)

    # Changing

    @app.route("/update_c", methods=["POST"])
    @app.route("/update_c/<item_number>/<cost>", methods=["GET"])
    async def update_cost(self, request: Request, **path: str) -> bytes:
        async def update(fields: Fields) -> Reply:
            number, cost = _integer(fields, "item_number"), _integer(fields, "cost")
            name = await self._store.lookups.name_of(number, "update_c")
            carried = await self._store.change(SetPrice(name, cost * self._unit), self._request_ids())
            return _reply(f"Cost of item :{number} successfully updated to:{cost}", *dated(carried.position))

        return await self._change(request, path, update, NOT_UPDATED)

    @app.route("/update_q", methods=["POST"])
    @app.route("/update_q/<item_number>/<quantity>", methods=["GET"])
    async def update_quantity(self, request: Request, **path: str) -> bytes:
        async def update(fields: Fields) -> Reply:
            number, delta = _integer(fields, "item_number"), _integer(fields, "quantity")
            name = await self._store.lookups.name_of(number, "update_q")
            carried = await self._store.change(AdjustStock(name, delta, clamp=True), self._request_ids())
            text = f"Quantity of record {number} successfully changed by {delta}"
            return _reply(text, *dated(carried.position))

        return await self._change(request, path, update, NOT_UPDATED)

    @app.route("/buy", methods=["POST"])
    @app.route("/buy/<item_number>", methods=["GET"])
    async def buy(self, request: Request, **path: str) -> bytes:
        async def place(fields: Fields) -> Reply:
            key, number = key_of(request), _integer(fields, "item_number")
            line = Line(await self._store.lookups.name_of(number, "buy"), 1)
            carried = await self._store.place("buy", (line,), key, self._request_ids())
            order = carried.done.order
            assert order is not None, "a buy that was carried out has an order"
            headers = (*dated(carried.position), *of_order(order, carried.done.replayed))
            return _reply("Record successfully bought", *headers)

        return await self._change(request, path, place, NOT_BOUGHT)

    errors.install(app)

    def _row(self, book: Product) -> dict[str, Any]:
        return {
            "item_number": book.number,
            "title": book.name,
            "topic": book.topic,
            "cost": book.price // self._unit,
            "quantity": book.quantity,
        }

    async def _all(self, kind: str, topic: str | None = None) -> Dated[list[Product]]:
        """Every book, or those on this topic; dated as the first page, as no later one is older."""
        first = page = await self._store.lookups.products(0, PAGE, topic=topic, kind=kind)
        books, age = list(page.value), page.age
        while len(page.value) == PAGE:
            page = await self._store.lookups.products(books[-1].number, PAGE, topic=topic, at_least=first.asof, kind=kind)
            books += page.value
            age = None if age is None or page.age is None else max(age, page.age)
        return Dated(books, first.asof, age)

    async def _look(self, request: Request, path: Fields, kind: str, shown: tuple[str, ...]) -> bytes:
        """These columns of a book; null where there is none."""

        async def look_up(fields: Fields) -> Reply:
            found = await self._store.lookups.numbered(_integer(fields, "item_number"), kind)
            row = self._row(found.value)
            return _reply({name: row[name] for name in shown}, *dated(found.asof, found.age))

        return await self._answer(request, path, look_up, None)

    async def _change(self, request: Request, path: Fields, work: Work, refused: str) -> bytes:
        if request.method == b"HEAD":  # which comes with every route for GET
            raise MethodNotAllowed(valid_methods=["GET", "POST"])
        return await self._answer(request, path, work, refused)

    async def _answer(self, request: Request, path: Fields, work: Work, refused: Any) -> bytes:
        """What comes of `work`; `refused` where the store says no, and where the request can not be read."""
        assert request.content is not None
        try:
            fields = read_json(request.content.read()) if request.method == b"POST" else path
            return (await work(fields)).send(request)
        except (RefusedError, BadInput) as error:
            log.debug("refused: {error}", error=error)
            return _reply(refused).send(request)
        except StoreError as error:
            text = f"{error.public.title}: {error.detail}"
            return self.errors.reply(error.public.status, error.code, text, *of_error(error)).send(request)


def _text(fields: Fields, name: str) -> str:
    """Raises BadInput."""
    value = fields.get(name)
    if not isinstance(value, str):
        raise BadInput(f"{name} must be a text")
    return value


def _integer(fields: Fields, name: str) -> int:
    """Raises BadInput."""
    value = fields.get(name)
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,20}\s*", value):
        value = int(value)
    if type(value) is not int or abs(value) > BOUND:
        raise BadInput(f"{name} must be an integer, or a text that is one")
    return value
