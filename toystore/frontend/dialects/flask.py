"""The dialect of the stock service that was written with Flask: as `bazaar`, but all values of an order are texts, and
`DELETE /invalidate/<name>`, `GET /ping_<id>`, `POST /leader_info_<id>` and `GET /find_leader_<id>` beside it.

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
from toystore.web.input import BadInput, read_json

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

    @app.route("/leader_info_<int:id_>", methods=["POST"])
    async def leader_info(self, request: Request, id_: int) -> bytes:
        """`{"leader": <id>}` is what somebody tells replica `id_`. It is so or not; telling makes nobody the leader."""
        assert request.content is not None
        body = request.content.read()

        async def work() -> Reply:
            told = read_json(body).get("leader")
            if type(told) is not int:
                raise BadInput('"leader" must be the id of an order replica')
            leading = self.store.leading()
            if leading is None or leading.id != told:
                known = "none is known" if leading is None else f"it is {leading.id}"
                return self.errors.reply(409, "another_leader", f"the leader is not {told}: {known}")
            return self.reply({"leader": told})

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
