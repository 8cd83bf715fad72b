"""What is sold out is there again (row R1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

import pytest
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from tests.support.replica import FakeReplica, now
from toystore.catalog.forward import NoLeader
from toystore.catalog.restock import LOOK, Restock
from toystore.model import Line, PlaceOrder, Request, RestockEmpty
from toystore.web.interface import Submitted


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []

    def observe(event: dict[str, object]) -> None:
        lines.append(str(event.get("log_format", "")).format(**event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


class Catalog:
    """The restock of one catalog; the replica is the leader's as well."""

    def __init__(self, replica: FakeReplica, clock: Clock, name: str = "c1", every: float = 10.0) -> None:
        self.replica = replica
        ids = count(1)
        self.restock = Restock(replica, self.submit, 100, every, clock, lambda: f"{name}-{next(ids)}")
        self.leader = True

    async def submit(self, requests: Sequence[Request]) -> Submitted:
        if not self.leader:
            raise NoLeader("none")
        return Submitted(1, tuple(await self.replica.submit(requests)))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def replica() -> FakeReplica:
    return FakeReplica()


def quantity(replica: FakeReplica, name: str) -> int:
    product = now(replica.storage.read(lambda reader: reader.product(name)))
    assert product is not None
    return product.quantity


def sell_out(replica: FakeReplica, name: str, leave: int = 0) -> None:
    units = quantity(replica, name) - leave
    key = f"all {name} {replica.position()}"
    replica.commit(Request(key, PlaceOrder("buy", (Line(name, units),), key)))


def advance(clock: Clock, seconds: float) -> None:
    for _ in range(round(seconds / LOOK)):
        clock.advance(LOOK)


@pytest.mark.row("R1")
def test_the_first_is_at_start_and_then_every_ten_seconds(replica: FakeReplica, clock: Clock, logged: list[str]) -> None:
    Catalog(replica, clock).restock.start()
    assert quantity(replica, "Barbie") == 100
    assert logged == ["Restocking Barbie"]
    sell_out(replica, "Fox")
    sell_out(replica, "Tux", leave=1)
    advance(clock, 9.8)
    assert quantity(replica, "Fox") == 0
    advance(clock, 0.4)
    assert (quantity(replica, "Fox"), quantity(replica, "Tux")) == (100, 1), "only what is at exactly 0"
    assert logged == ["Restocking Barbie", "Restocking Fox"]
    assert [request.request_id for request in replica.submitted] == ["c1-1", "c1-2"]


@pytest.mark.row("R1")
def test_nothing_is_proposed_while_nothing_is_sold_out(replica: FakeReplica, clock: Clock) -> None:
    Catalog(replica, clock).restock.start()
    advance(clock, 60)
    assert len(replica.submitted) == 1


def test_it_waits_for_a_leader(replica: FakeReplica, clock: Clock) -> None:
    replica.age = None
    Catalog(replica, clock).restock.start()
    advance(clock, 5)
    assert replica.submitted == []
    replica.age = 0.0
    advance(clock, LOOK)
    assert quantity(replica, "Barbie") == 100


def test_without_a_leader_it_tries_again_later(replica: FakeReplica, clock: Clock, logged: list[str]) -> None:
    catalog = Catalog(replica, clock)
    catalog.leader = False
    catalog.restock.start()
    assert quantity(replica, "Barbie") == 0
    catalog.leader = True
    advance(clock, 10.2)
    assert quantity(replica, "Barbie") == 100
    assert logged == ["no restock now: none", "Restocking Barbie"]


@pytest.mark.row("R1")
def test_several_catalogs_do_the_work_of_one(replica: FakeReplica, clock: Clock, logged: list[str]) -> None:
    replica.held = True
    for name in ("c1", "c2"):
        Catalog(replica, clock, name).restock.start()
    replica.release()
    assert [request.command for request in replica.submitted] == [RestockEmpty(100, 0)] * 2
    assert logged.count("Restocking Barbie") == 1


def test_zero_is_never(replica: FakeReplica, clock: Clock) -> None:
    Catalog(replica, clock, every=0).restock.start()
    assert (clock.getDelayedCalls(), replica.submitted) == ([], [])


def test_a_failure_is_logged_and_does_not_end_it(replica: FakeReplica, clock: Clock, logged: list[str]) -> None:
    catalog = Catalog(replica, clock)
    replica.leads = False
    catalog.restock.start()
    assert logged == ["a restock failed"]
    replica.leads = True
    advance(clock, 10.2)
    assert quantity(replica, "Barbie") == 100


def test_stop_leaves_nothing(replica: FakeReplica, clock: Clock) -> None:
    catalog = Catalog(replica, clock)
    replica.held = True
    catalog.restock.start()
    catalog.restock.stop()
    assert clock.getDelayedCalls() == []
