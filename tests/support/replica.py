"""A replica that stands alone: the real ledger over a storage in memory, and switches for what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from attrs import evolve
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from toystore.consensus.messages import Entry, Kind
from toystore.encoding import encode_entry
from toystore.model import CatalogRow, LoadCatalog, Position, Request
from toystore.replication.interface import Answer, NotLeader, ReplicaStatus, Result
from toystore.storage.interface import Applied, Reader
from toystore.storage.memory import MemoryDisk, MemoryStorage

T = TypeVar("T")

TOYS = (
    CatalogRow("Tux", 1599, 100),
    CatalogRow("Fox", 1299, 100),
    CatalogRow("Barbie", 5599, 0, topic="dolls"),
)


class FakeReplica:
    """A `Replica` that commits at once. Set `leads`, `leader`, `age`, `generation` or `held` to change that.

    While `held`, submissions wait for `release`.
    """

    def __init__(self, node: str = "order-1", rows: Sequence[CatalogRow] = TOYS) -> None:
        self.node = node
        self.leads = True
        self.leader: str | None = node
        self.age: float | None = 0.0
        self.generation = 0
        self.held = False
        self.submitted: list[Request] = []
        self.storage = MemoryStorage(MemoryDisk(lambda: "a-uuid"))
        self.storage.open()
        self._applied = 0
        self._held: list[Callable[[], None]] = []
        self._waiting: list[tuple[Position, Deferred[None]]] = []
        self._followers: list[tuple[Callable[[Sequence[Applied]], None], Callable[[], None]]] = []
        if rows:
            self.commit(Request("load", LoadCatalog(tuple(rows))))

    def commit(self, *requests: Request) -> list[Answer]:
        """Put these into the log and apply them, as one batch."""
        entries = [
            Entry(self._applied + 1 + i, 1, Kind.COMMAND, encode_entry(1000, request)) for i, request in enumerate(requests)
        ]
        self.storage.save(None, entries)
        batch = now(self.storage.apply(entries))
        self._applied += len(entries)
        for listener, _ in list(self._followers):
            listener(batch)
        for position, waiter in self._waiting:
            if position <= self.position() and not waiter.called:
                waiter.callback(None)
        return [Answer(one.index, one.term, one.outcome, self.generation) for one in batch if one.outcome is not None]

    def install_snapshot(self) -> None:
        """What followers are told after one."""
        for _, reset in list(self._followers):
            reset()

    def release(self) -> None:
        self.held = False
        for go_on in self._held:
            go_on()

    # Replica

    def submit(self, requests: Sequence[Request]) -> Deferred[list[Result]]:
        if not self.leads:
            return fail(NotLeader(self.leader))
        self.submitted += requests
        done: Deferred[list[Result]] = Deferred()

        def carry_out() -> None:
            if done.called:  # cancelled: this replica, unlike a real one, then forgets it
                return
            done.callback([*self.commit(*requests)] if requests else [])

        if self.held:
            self._held.append(carry_out)
        else:
            carry_out()
        return done

    def term(self) -> int:
        return 1

    def read(self, query: Callable[[Reader], T]) -> Deferred[tuple[T, Position]]:
        return self.storage.read(query).addCallback(lambda value: (value, self.position()))

    def read_linearizable(self, query: Callable[[Reader], T]) -> Deferred[tuple[T, Position]]:
        return self.read(query) if self.leads else fail(NotLeader(self.leader))

    def wait_for(self, position: Position) -> Deferred[None]:
        if position <= self.position():
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._waiting.append((position, waiter))
        return waiter

    def position(self) -> Position:
        return Position(self.generation, self._applied)

    def leader_age(self) -> float | None:
        return self.age

    def follow(self, listener: Callable[[Sequence[Applied]], None], reset: Callable[[], None]) -> Callable[[], None]:
        follower = (listener, reset)
        self._followers.append(follower)
        return lambda: self._followers.remove(follower)

    def state_hash(self, index: int) -> Deferred[str]:
        return self.storage.state_hash(index)

    def status(self) -> Deferred[ReplicaStatus]:
        status = ReplicaStatus(
            node=self.node,
            state="leader" if self.leads else "follower",
            leader=self.leader,
            term=1,
            last_index=self._applied,
            commit_index=self._applied,
            applied_index=self._applied,
            digest=now(self.storage.read(lambda reader: reader.digest())).hex(),
            lag=0,
            in_sync=True,
            generation=self.generation,
            uuid="a-uuid",
            leader_age=self.age,
            reasons=(),
        )
        return succeed(status if self.age is not None else evolve(status, reasons=("no leader heard of",)))


def now(result: Deferred[T]) -> T:
    """The result of a Deferred that has fired already; raises what it failed with."""
    values: list[T] = []
    failures: list[Failure] = []
    result.addCallbacks(values.append, failures.append)
    if failures:
        failures[0].raiseException()
    assert values, "it has not fired yet"
    return values[0]
