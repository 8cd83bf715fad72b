"""A shop over a cluster in memory, under a fake clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.simulation.cluster import Cluster, Process
from toystore.consensus.node import NodeConfig
from toystore.model import CatalogRow, Line, LoadCatalog, Order, PlaceOrder, Request
from toystore.replication.interface import Answer, ReplicaStatus, Result
from toystore.replication.replicator import Pace
from toystore.storage.interface import Reader


class Shop(Cluster):
    """Three order replicas and a catalog, with "Tux" on its shelf once `open` has been called.

    The log keeps no more than some 20 entries, so that whoever is away for long needs a snapshot.
    """

    def __init__(self, election: str = "raft", keep_entries: int = 20, snapshot_chunk: int = 256 * 1024) -> None:
        pace = Pace(keep_entries=keep_entries, retry_full=0.1, snapshot_chunk=snapshot_chunk)
        super().__init__(3, 1, config=NodeConfig("", (), election=election), pace=pace)
        for process in self.processes.values():
            process.disk.latency = lambda work: 0.001 if work == "save" else 0.0
        self._orders = 0

    def open(self) -> Shop:
        self.boot()
        self.run_until(lambda: self.leading.leads)
        self.wait(self.leading.replica.submit([Request("load", LoadCatalog((CatalogRow("Tux", 1599, 10_000),)))]))
        self.settle()
        return self

    @property
    def leading(self) -> Process:
        """The leader, once there is one that serves."""

        def serves() -> bool:
            leader = self.leader()
            leadership = None if leader is None else leader.replica.node.leadership
            return leadership is not None and leadership.serves

        self.run_until(serves)
        leader = self.leader()
        assert leader is not None
        return leader

    @property
    def followers(self) -> list[Process]:
        return [process for process in self.voters if process.up and not process.leads]

    def wait(self, deferred: Deferred[Any], within: float = 2.0) -> Any:
        """What it fires with, or raises."""
        results: list[Any] = []
        failures: list[Any] = []
        deferred.addCallbacks(results.append, failures.append)
        self.run_until(lambda: bool(results or failures), within)
        if failures:
            failures[0].raiseException()
        return results[0]

    def request(self, request_id: str = "") -> Request:
        self._orders += 1
        request_id = request_id or f"request-{self._orders}"
        return Request(request_id, PlaceOrder("buy", (Line("Tux", 1),), request_id))

    def submit(self, request: Request, process: Process | None = None) -> Deferred[list[Result]]:
        return (process or self.leading).replica.submit([request])

    def buy(self, count: int = 1) -> list[Order]:
        """So many orders, one after the other, at the leader."""
        placed = []
        for _ in range(count):
            [answer] = self.wait(self.submit(self.request()))
            assert isinstance(answer, Answer), answer
            placed.append(answer.outcome.order)
        return placed

    def orders(self, process: Process) -> list[Order]:
        return self.read(process, lambda reader: reader.orders_from(0, 100_000))

    def read(self, process: Process, query: Callable[[Reader], Any]) -> Any:
        return self.wait(process.replica.read(query))[0]

    def status(self, process: Process) -> ReplicaStatus:
        return self.wait(process.replica.status())

    def settle(self) -> None:
        """Until all that run have applied the same, and count."""
        running = [process for process in self.processes.values() if process.up]

        def settled() -> bool:
            last = self.leading.replica.node.log.last_index
            return all(
                p.replica.node.log.applied == last and (p not in self.voters or p.replica.node.named) for p in running
            )

        self.run_until(settled)

    def assert_equal(self) -> None:
        """All replicas have the same state, byte for byte."""
        self.settle()
        hashes = {
            node: self.wait(process.replica.state_hash(process.replica.position().index))
            for node, process in self.processes.items()
        }
        assert len(set(hashes.values())) == 1, hashes


@pytest.fixture(params=["raft", "appointed"])
def shop(request: pytest.FixtureRequest) -> Shop:
    """The same must hold however the leader is chosen."""
    return Shop(request.param).open()
