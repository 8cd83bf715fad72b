"""What an order replica answers; only the one that leads takes commands and gives orders and products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.web.server import Request

from toystore.encoding import EncodingError, to_json
from toystore.model import BOUND
from toystore.ops.health import Health, add_health_routes
from toystore.orders.announcements import add_announcement_routes
from toystore.orders.projection import Projector
from toystore.replication.interface import NotLeader, Replica
from toystore.storage.interface import Reader
from toystore.web import codec
from toystore.web.answers import INTERNAL_ERRORS, HotPaths, Reply, json_app
from toystore.web.input import BadInput, query_integer, whole_number

T = TypeVar("T")
MAX_PAGE = 1000
MAX_BODY = 8 * 1024 * 1024
"""Bytes of a body that an order replica takes: a batch of commands, or a piece of a snapshot."""

ERRORS = evolve(
    INTERNAL_ERRORS,
    known={
        NotLeader: lambda error: Reply(421, codec.encode_not_leader(error.leader)),
        EncodingError: lambda error: Reply(400, codec.encode_error("malformed", str(error))),
    },
)


class OrderRoutes:
    """The routes over one replica."""

    app = json_app()

    def __init__(self, replica: Replica, health: Health, projector: Projector) -> None:
        self.replica = replica
        self.health = health
        self._projector = projector

    def resource(self) -> HotPaths:
        """The root of a site; more hot paths may be added to it."""
        return HotPaths(self.app, ERRORS).add("POST", "/ledger", self.ledger)

    async def ledger(self, request: Request, body: bytes) -> Reply:
        batch = codec.decode_batch(body)
        if batch.cluster != self.health.facts.cluster:
            raise BadInput(f"this is cluster {self.health.facts.cluster!r}, not {batch.cluster!r}")
        results = await outlived(self.replica.submit(batch.requests))
        if batch.requests:
            await self._projector.written()  # row F5: who has been answered finds it in the files of the leader
        return Reply(200, codec.encode_results(self.replica.term(), results))

    @app.route("/orders/<number>", methods=["GET"])
    async def order(self, request: Request, number: str) -> bytes:
        wanted = whole_number(number, "the number of an order", high=10**20)
        return await self._linearizable(request, lambda reader: reader.order(wanted) if wanted <= BOUND else None)

    @app.route("/orders", methods=["GET"])
    async def orders(self, request: Request) -> bytes:
        before = query_integer(request, "before", 0, BOUND)
        limit = query_integer(request, "limit", 1, MAX_PAGE) or MAX_PAGE
        return await self._linearizable(request, lambda reader: reader.orders(before, limit))

    @app.route("/products/<name>", methods=["GET"])
    async def product(self, request: Request, name: str) -> bytes:
        return await self._linearizable(request, lambda reader: reader.product(name))

    @app.route("/projections", methods=["GET"])
    async def projections(self, request: Request) -> bytes:
        """The files that this replica keeps, with the sha256 of each."""
        return Reply(200, to_json({"projections": await self._projector.all()})).send(request)

    async def _linearizable(self, request: Request, query: Callable[[Reader], Any]) -> bytes:
        value, position = await self.replica.read_linearizable(query)
        return Reply(200, codec.encode_dated(value, position, self.replica.leader_age())).send(request)

    add_health_routes(app)
    add_announcement_routes(app)
    ERRORS.install(app)


def outlived(work: Deferred[T]) -> Deferred[T]:
    """A waiter for `work`; cancelling it does not stop the work: a client that hangs up undoes no commit."""
    waiter: Deferred[T] = Deferred()

    def tell(result: Any) -> None:
        if not waiter.called:
            waiter.callback(result)

    work.addBoth(tell)
    return waiter
