"""What an operator asks the register of views: `GET /views` shows the present one, `POST /views` names another leader."""

from __future__ import annotations

from attrs import evolve
from twisted.web.server import Request

from toystore.consensus.register import CannotAppoint
from toystore.encoding import to_json
from toystore.frontend.appointer import Appointer
from toystore.web.answers import INTERNAL_ERRORS, HotPaths, Reply
from toystore.web.codec import encode_error
from toystore.web.input import BadInput, read_json

ERRORS = evolve(
    INTERNAL_ERRORS, known={CannotAppoint: lambda error: Reply(409, encode_error("can_not_appoint", str(error)))}
)


def add_view_routes(root: HotPaths, appointer: Appointer) -> None:
    async def show(request: Request, body: bytes) -> Reply:
        return Reply(200, to_json({"view": appointer.view, "waits_for": appointer.waits_for()}))

    async def name(request: Request, body: bytes) -> Reply:
        wanted = read_json(body)
        leader, accept_loss = wanted.get("leader"), wanted.get("accept_loss", False)
        if not isinstance(leader, str) or not isinstance(accept_loss, bool) or set(wanted) - {"leader", "accept_loss"}:
            raise BadInput('expected {"leader": "order-N", "accept_loss": true or false}')
        return Reply(200, to_json({"view": await appointer.appoint(leader, accept_loss)}))

    root.add("GET", "/views", show).add("POST", "/views", name)
