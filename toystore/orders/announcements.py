"""Who leads, as the front ends of the older systems told it to the replicas (rows E2 and E5): `GET /health`,
`POST /notify_leader_info_to_replica`, `GET /ping_<id>` and `POST /leader_info_<id>`.

Nobody becomes the leader here by being told so. A replica holds an announcement against what it knows itself and says
whether that is so; a front end that is late, or cut off from the others, changes nothing (fault 6). Our own front ends
announce nothing, and ask nothing in front of an order (fault 8).
"""

from __future__ import annotations

from typing import Protocol

from klein import Klein
from twisted.web.server import Request

from toystore.encoding import to_json
from toystore.replication.interface import Replica
from toystore.web.answers import Reply
from toystore.web.codec import encode_error
from toystore.web.input import BadInput, read_json

NOTHING_SAID = "No leader information provided"


class HasReplica(Protocol):
    """The class that a Klein app with these routes belongs to."""

    @property
    def replica(self) -> Replica: ...


def add_announcement_routes(app: Klein) -> None:
    """Add the routes of this module to an app that belongs to a class which `HasReplica`."""

    @app.route("/health", methods=["GET"])
    def health(owner: HasReplica, request: Request) -> bytes:
        return _reply(200, {"status": "healthy"}).send(request)

    @app.route("/notify_leader_info_to_replica", methods=["POST"])
    async def notify(owner: HasReplica, request: Request) -> bytes:
        found = _body(request)
        address, leader_id = found.get("leader"), found.get("leader_id")
        if not address or leader_id is None:
            return _reply(400, {"error": NOTHING_SAID}).send(request)
        if not isinstance(address, dict) or not {"host", "port"} <= set(address):
            raise BadInput('leader must be an object {"host", "port"}')
        objection = await _objection(owner.replica, _id(leader_id, "leader_id"))
        if objection:
            return _reply(409, {"error": objection}).send(request)
        return _reply(200, {"status": "Leader updated successfully"}).send(request)

    @app.route("/ping_<int:id_>", methods=["GET"])
    async def ping(owner: HasReplica, request: Request, id_: int) -> bytes:
        return (await _if_me(owner.replica, id_) or _reply(200, {"data": {"id": id_}})).send(request)

    @app.route("/leader_info_<int:id_>", methods=["POST"])
    async def leader_info(owner: HasReplica, request: Request, id_: int) -> bytes:
        leader_id = _id(_body(request).get("leader"), "leader")
        elsewhere = await _if_me(owner.replica, id_)
        if elsewhere is not None:
            return elsewhere.send(request)
        objection = await _objection(owner.replica, leader_id)
        if objection:
            return Reply(409, encode_error("another_leader", objection)).send(request)
        return _reply(200, {"data": {"leader": leader_id}}).send(request)


def _body(request: Request) -> dict[str, object]:
    """The object that was sent, empty where nothing was. Raises BadInput."""
    assert request.content is not None, "a request is handled once its body has been received"
    text: bytes = request.content.read()
    found: dict[str, object] = read_json(text) if text.strip() else {}
    return found


def _id(value: object, name: str) -> int:
    """Raises BadInput."""
    if type(value) is not int or value < 1:
        raise BadInput(f"{name} must be the id of an order replica, a whole number from 1")
    return value


async def _if_me(replica: Replica, id_: int) -> Reply | None:
    """What to say where the path speaks to another replica."""
    node = (await replica.status()).node
    return None if node == _name(id_) else Reply(404, encode_error("not_found", f"this is {node}, not {_name(id_)}"))


async def _objection(replica: Replica, leader_id: int) -> str:
    """Why the replica with this id is not taken for the leader; empty where it leads."""
    leader = (await replica.status()).leader
    if leader == _name(leader_id):
        return ""
    known = f"the leader is {leader}" if leader else "no leader is known here"
    return f"{_name(leader_id)} does not lead: {known}; replicas agree on their leader, and are not told it"


def _name(id_: int) -> str:
    return f"order-{id_}"


def _reply(status: int, value: object) -> Reply:
    return Reply(status, to_json(value))
