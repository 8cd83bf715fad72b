"""The dialect of the stock bazaar: `/stocks/<name>`, `/orders`, `/cache/<name>`, `/leader`. Its clients compare whole
answers: there are no keys beside those of rows Q4, O8 and G4, and no Content-Type.

Option: `first` is the number a customer sees for order 0.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from attrs import evolve
from klein import Klein
from twisted.web.resource import IResource
from twisted.web.server import Request

from toystore.frontend.dialects.stocks import Stocks, Told, Work, error_shape
from toystore.frontend.storefront import Storefront
from toystore.model import Refusal
from toystore.web.answers import ErrorShape, HotPaths, Reply, json_app
from toystore.web.errors import Unavailable

REFUSALS = MappingProxyType(
    {
        Refusal.UNKNOWN_PRODUCT: Told(404, 404, "stock not found"),
        Refusal.BAD_SIDE: Told(400, 400, "invalid request type"),
        Refusal.BAD_QUANTITY: Told(400, 404, "invalid number of stocks"),
        Refusal.INSUFFICIENT_STOCK: Told(400, 404, "not enough stocks available to buy"),
        Refusal.UNKNOWN_ORDER: Told(404, 404, "transaction not found"),
        Refusal.LIMIT: Told(400, 400),
        Refusal.KEY_REUSED: Told(422, 422),
        Refusal.MALFORMED: Told(400, 400),
    }
)


class StocksByPath(Stocks):
    """The routes that `bazaar` and `flask` share; `app` is from `app_by_path`."""

    app: Klein
    refusals = REFUSALS

    def resource(self) -> IResource:
        """The root of the site."""
        root = HotPaths(self.app, self.errors)
        root.add("POST", "/orders", self.trade).add("POST", "/orders/", self.trade)
        return root.add_names("GET", "/stocks/", self.look_up)

    async def leader(self, request: Request) -> Reply:
        async def work() -> Reply:
            leading = self.store.leading()
            if leading is None:
                raise Unavailable(1.0, "no leader of the order service is known")
            return self.reply({"leader": leading.address})

        return await self.answer(request, work)

    async def forget(self, request: Request, name: str) -> Reply:
        """Drop the cached entry, if there is one."""

        async def work() -> Reply:
            self.store.cache.drop(name)
            return self.reply({})

        return await self.answer(request, work)


def app_by_path(errors: ErrorShape) -> Klein:
    """The shared routes; a dialect may add more."""
    app = json_app()

    @app.route("/stocks/<name>", methods=["GET"])
    async def stock(self: StocksByPath, request: Request, name: str) -> bytes:
        return (await self.look_up(name, request)).send(request)

    @app.route("/orders", methods=["POST"])
    async def orders(self: StocksByPath, request: Request) -> bytes:
        assert request.content is not None
        return (await self.trade(request, request.content.read())).send(request)

    @app.route("/orders/<number>", methods=["GET"])
    async def order(self: StocksByPath, request: Request, number: str) -> bytes:
        return (await self.find(request, number)).send(request)

    @app.route("/cache/<name>", methods=["GET"])
    async def cache(self: StocksByPath, request: Request, name: str) -> bytes:
        return (await self.forget(request, name)).send(request)

    @app.route("/leader", methods=["GET"], defaults={"who": ""})
    @app.route("/leader/<path:who>", methods=["GET"])
    async def leader(self: StocksByPath, request: Request, who: str) -> bytes:
        return (await self.leader(request)).send(request)

    errors.install(app)
    return app


class Bazaar(StocksByPath):
    errors = error_shape(content_type=None)
    content = ()
    app = app_by_path(errors)

    def __init__(self, storefront: Storefront, currency: str, request_ids: Callable[[], str], *, first: int = 0) -> None:
        super().__init__(storefront, currency, request_ids, first=first)

    async def answer(self, request: Request, work: Work) -> Reply:
        """Says that the connection is kept, where it is (row Q4)."""
        reply = await super().answer(request, work)
        if request.clientproto != b"HTTP/1.1" or request.responseHeaders.hasHeader(b"Connection"):
            return reply
        return evolve(reply, headers=(*reply.headers, (b"Connection", b"keep-alive")))
