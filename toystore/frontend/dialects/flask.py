"""The dialect of the stock service that was written with Flask: as `bazaar`, but all values of an order are texts, and
`DELETE /invalidate/<name>`, `GET /ping_<id>` and `GET /find_leader_<id>` beside it.

Option: `first` is the number a customer sees for order 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger
from twisted.web.server import Request

from toystore.frontend.dialects.bazaar import StocksByPath, app_by_path
from toystore.frontend.storefront import Storefront
from toystore.model import Order
from toystore.web.answers import Reply

log = Logger()


class Flask(StocksByPath):
    app = app_by_path(StocksByPath.errors)

    def __init__(self, storefront: Storefront, currency: str, request_ids: Callable[[], str], *, first: int = 1) -> None:
        super().__init__(storefront, currency, request_ids, first=first)

    @app.route("/invalidate/<name>", methods=["DELETE"])
    async def invalidate(self, request: Request, name: str) -> bytes:
        if self.store.cache.drop(name):
            log.info("Stock {name} is invalidated", name=name)
        return self.reply({}).send(request)

    @app.route("/ping_<int:id_>", methods=["GET"])
    async def ping(self, request: Request, id_: int) -> bytes:
        """Whether this order replica answers now."""

        async def work() -> Reply:
            answers = await self.store.answers(id_)
            if answers:
                return self.reply({"id": id_})
            if answers is None:
                return self.errors.reply(404, "not_found", f"there is no order replica {id_}")
            return self.errors.reply(503, "unavailable", f"order replica {id_} does not answer")

        return (await self.answer(request, work)).send(request)

    @app.route("/find_leader_<int:id_>", methods=["GET"])
    async def find_leader(self, request: Request, id_: int) -> bytes:
        """The id of the leader, 0 while there is none (row E5); `id_` says who asks."""
        leading = self.store.leading()
        return self.reply({"leader": 0 if leading is None else leading.id}).send(request)

    def placed(self, order: Order) -> dict[str, Any]:
        """The whole order, all values as texts (row O11)."""
        line = order.lines[0]
        return {
            "transaction_number": str(order.number + self.first),
            "name": line.name,
            "quantity": str(line.quantity),
            "type": order.side.value,
        }

    def told(self, order: Order) -> dict[str, Any]:
        return self.placed(order)
