"""The dialect of the stock trader: `/stocks?stockname=` and `/orders?order-number=`; types are BUY and SELL, and a
refusal has status 200 and an error in its body (row O7).

Option: `first` is the number a customer sees for order 0.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from twisted.web.resource import IResource
from twisted.web.server import Request

from toystore.frontend.dialects.stocks import Stocks, Told
from toystore.frontend.storefront import Carried, Storefront
from toystore.model import Line, Refusal
from toystore.web.answers import HotPaths, Reply, json_app
from toystore.web.errors import RefusedError
from toystore.web.input import BadInput, query_text

NO_STOCK = Told(200, 404, "Stock not found")


class Trader(Stocks):
    app = json_app()
    sides = MappingProxyType({"BUY": "buy", "SELL": "sell"})
    refusals = MappingProxyType(
        {
            Refusal.UNKNOWN_PRODUCT: NO_STOCK,
            Refusal.BAD_SIDE: NO_STOCK,
            Refusal.BAD_QUANTITY: NO_STOCK,
            Refusal.INSUFFICIENT_STOCK: Told(200, 404, "Trading not permitted due to insufficient volume"),
            Refusal.UNKNOWN_ORDER: Told(200, 404, "Order not found"),
            Refusal.LIMIT: Told(200, 400),
            Refusal.KEY_REUSED: Told(200, 422),
            Refusal.MALFORMED: Told(200, 400),
        }
    )

    def __init__(self, storefront: Storefront, currency: str, request_ids: Callable[[], str], *, first: int = 1) -> None:
        super().__init__(storefront, currency, request_ids, first=first)

    def resource(self) -> IResource:
        """The root of the site."""
        root = HotPaths(self.app, self.errors)
        for path in ("/orders", "/orders/"):
            root.add("POST", path, self.trade)
        for path in ("/stocks", "/stocks/"):
            root.add("GET", path, self.stock_named)
        return root

    async def stock_named(self, request: Request, body: bytes) -> Reply:
        async def work() -> Reply:
            return await self.look_up(_required(request, "stockname"), request)

        return await self.answer(request, work)

    @app.route("/stocks", methods=["GET"])
    async def stock(self, request: Request) -> bytes:
        return (await self.stock_named(request, b"")).send(request)

    @app.route("/orders", methods=["POST"])
    async def orders(self, request: Request) -> bytes:
        assert request.content is not None
        return (await self.trade(request, request.content.read())).send(request)

    @app.route("/orders", methods=["GET"])
    async def order(self, request: Request) -> bytes:
        async def work() -> Reply:
            return await self.find(request, _required(request, "order-number"))

        return (await self.answer(request, work)).send(request)

    Stocks.errors.install(app)

    async def place(self, side: str, line: Line, key: str | None) -> Carried:
        """A refused one drops the cached entry all the same (row O7)."""
        try:
            return await super().place(side, line, key)
        except RefusedError:
            self.store.cache.drop(line.name)
            raise


def _required(request: Request, name: str) -> str:
    """A query parameter. Raises BadInput."""
    text = query_text(request, name)
    if text is None:
        raise BadInput(f"the parameter {name!r} is missing")
    return text
