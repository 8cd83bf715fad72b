"""A cluster that is only pretended, for drills to be played on under a fake clock: the real front end and dialects, over
one real ledger; order replicas and catalogs that come and go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from attrs import define
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, LoopingCall
from twisted.python.failure import Failure

from tests.support.front import Front
from tests.support.replica import now
from tests.support.services import FakeCatalogService, FakeOrderService
from toystore.commands.place import packaged_place
from toystore.commands.status import Status, cluster_status
from toystore.commands.verify import Findings
from toystore.drills.scene import Drill, Seen
from toystore.frontend.balance import RoundRobinByKind
from toystore.frontend.dialects import make_dialect
from toystore.ops.catalog_csv import read_catalog
from toystore.orders.projection import Projection
from toystore.shop.connection import PATIENCE, Answered
from toystore.shop.dialects import Ask, Reply
from toystore.web import codec
from toystore.web.client import Calls
from toystore.web.interface import Broken

T = TypeVar("T")
ELECTION = 1.0
"""Seconds until a silent leader is replaced."""
HAND_OVER = 0.5
"""Seconds until a replica that has returned leads again, where the highest is preferred."""


@define(eq=False)
class Replica:
    """An order replica: `file` is what it has written, None where it has never run."""

    service: FakeOrderService
    up: bool = False
    file: bytes | None = None


class Ground:
    """A `Stage`. A test breaks it on purpose by another `_written`, `_elect`, `_returned` or `send`."""

    patience = 5.0
    deaths: Sequence[str] = ()

    def __init__(self, drill: Drill, directory: Path, **leader: Any) -> None:
        """The files are made from one in the directory; `leader` are options of the client of the leader."""
        shop = self.shop = drill.shop
        self.preference = drill.preference
        self.config = packaged_place(shop.dialect, None).config
        catalog = self.config.cluster.catalog_csv
        assert catalog is not None
        policy = RoundRobinByKind() if shop.dialect == "books" else None
        self.front = Front(rows=read_catalog(catalog, "USD"), policy=policy, **leader)
        self.clock: Clock = self.front.clock
        self.front.orders[2].leads = False
        self.leader: str | None = None
        self.term = 0
        self.replicas = {service.node: Replica(service) for service in self.front.orders}
        self.catalogs = {service.node: service for service in self.front.catalogs}
        self.agents: list[RequestTraversalAgent] = []
        self._projection = Projection(self.front.ledger.replica, shop.format, shop.path, directory / "file", "USD")
        for every, work in ((0.01, self._pump), (0.5, self._beat)):
            loop = LoopingCall(work)
            loop.clock = self.clock
            loop.start(every)

    async def __aenter__(self) -> Ground:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Nothing runs."""

    # Stage

    async def start(self, without: Sequence[str]) -> Seen:
        for name, replica in self.replicas.items():
            replica.up = name not in without
            replica.service.unreachable = not replica.up
        self._elect()
        return Seen("all serve", True) if self.leader else Seen("not all serve: no leader", False)

    async def carry_out(self, verb: str, node: str) -> None:
        catalog, replica = self.catalogs.get(node), self.replicas.get(node)
        if catalog is not None:
            self._set_catalog(catalog, verb == "start")
        elif replica is not None and verb == "pause":
            replica.service.hangs = True
        elif replica is not None:
            self._set_replica(replica, verb == "start")

    async def status(self) -> Status:
        index = self.front.ledger.replica.position().index
        ledger = {"commit_index": index, "applied_index": index, "in_sync": True, "leader": self.leader, "term": self.term}
        answers: dict[str, dict[str, Any] | None] = {"front-1": {"state": "serving", **self.front.store.status()}}
        for name, replica in self.replicas.items():
            state = "leader" if name == self.leader else "follower"
            answers[name] = {"state": state, **ledger} if replica.up else None
        for name, catalog in self.catalogs.items():
            answers[name] = None if catalog.unreachable else {"state": "learner", **ledger}
        return cluster_status(self.config, answers, {})

    async def ask(self, node: str, path: str) -> Any:
        if node == "front-1":
            return self.front.store.status()
        name = path.removeprefix("/products/")
        replica = self.catalogs[node].replica
        if name == path:  # the list
            found: Any = now(replica.storage.read(lambda reader: reader.products(0, 1)))
        else:
            wanted = next(one for one in self.shop.products if name == one.replace(" ", "%20"))
            found = now(replica.storage.read(lambda reader: reader.product(wanted)))
        return json.loads(codec.encode_dated(found, replica.position(), 0.0))

    def connect(self, dialect: str) -> Wire:
        made = make_dialect(dialect, self.front.store, "USD", self.front.new_id, {})
        agent = RequestTraversalAgent(made.resource())
        self.agents.append(agent)
        return Wire(Calls("http://shop.test", agent, self.clock, PATIENCE), self.clock)

    def file(self, order: int) -> bytes | None:
        replica = self.replicas[f"order-{order}"]
        if replica.up:
            replica.file = self._written(f"order-{order}", self._whole())
        return replica.file

    async def examine(self) -> Findings:
        return Findings(["digest at 9", "state at 9", "orders of order-1: all", f"{self.shop.format} in it"])

    # How it goes, and what a test may break

    def _written(self, node: str, whole: bytes) -> bytes:
        """What a replica that is up has in its file."""
        return whole

    def _elect(self) -> None:
        """The highest leads that is up, unless another one leads already and may go on."""
        leading = None if self.leader is None else self.replicas[self.leader]
        if leading is not None and leading.up and self.preference == "sticky":
            return
        live = [name for name, replica in self.replicas.items() if replica.up]
        heir = max(live, default=None)
        self.term += 1
        for name, replica in self.replicas.items():
            replica.service.leads, replica.service.term = name == heir, self.term
        self.leader = heir

    def _returned(self, replica: Replica) -> None:
        """A replica has started again."""
        self.clock.callLater(HAND_OVER, self._hand_over)

    def _hand_over(self) -> None:
        if self.leader is not None:
            self._elect()

    # Within

    def _set_replica(self, replica: Replica, up: bool) -> None:
        if up:
            replica.up, replica.service.unreachable = True, False
            self._returned(replica)
            return
        self.file(int(replica.service.node[-1]))  # what it has written stays
        replica.up, replica.service.unreachable = False, True
        replica.service.leads = replica.service.hangs = False
        if replica.service.node == self.leader:
            self.leader = None
            self.clock.callLater(ELECTION, self._elect)

    def _set_catalog(self, catalog: FakeCatalogService, up: bool) -> None:
        catalog.unreachable, catalog.lags = not up, not up
        if up:
            catalog.catch_up()
        else:
            catalog.end_feed()

    def _whole(self) -> bytes:
        """The file, with all that has been committed."""
        now(Deferred.fromCoroutine(self._projection.catch_up()))
        return self._projection.target.read_bytes()

    def _pump(self) -> None:
        for agent in self.agents:
            agent.flush()

    def _beat(self) -> None:
        for catalog in self.catalogs.values():
            if not catalog.unreachable:
                catalog.beat()


@define
class Wire:
    """A customer's connection, without a network."""

    calls: Calls
    clock: Clock

    async def send(self, ask: Ask) -> Answered:
        began = self.clock.seconds()
        try:
            reached = await (self.calls.get(ask.path) if ask.body is None else self.calls.post(ask.path, ask.body))
        except Broken:
            return Answered("timeout", self.clock.seconds() - began)
        outcome = f"{reached.status // 100}xx"
        return Answered(outcome, self.clock.seconds() - began, Reply(reached.status, reached.body))


def run(clock: Clock, work: Any, seconds: float = 120.0) -> Any:
    """What the coroutine comes to, within so much pretended time."""
    found: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(found.append)
    while not found:
        assert clock.seconds() < seconds, f"it has not come to an end within {seconds} s"
        clock.advance(max(0.0, min(call.getTime() for call in clock.getDelayedCalls()) - clock.seconds()))
    if isinstance(found[0], Failure):
        found[0].raiseException()
    return found[0]
