"""Order replicas and catalogs as a front end sees them, over one real ledger, with switches for what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from tests.support.replica import TOYS, FakeReplica, now
from toystore.model import CatalogChange, CatalogRow, Order, Position, Product, Request
from toystore.replication.interface import NotLeader, Result, TurnedAway, Unsure
from toystore.storage.interface import Reader
from toystore.web.interface import (
    Broken,
    CatalogBehind,
    Dated,
    FeedBeat,
    FeedChange,
    FeedLine,
    FeedStart,
    Submitted,
    Unreachable,
)

T = TypeVar("T")


class FakeLedger:
    """What a majority has committed; the catalogs that are attached follow at once, unless they lag."""

    def __init__(self, rows: Sequence[CatalogRow] = TOYS) -> None:
        self.rows = rows
        self.replica = FakeReplica(rows=rows)
        self.log: list[Request] = []
        self.catalogs: list[FakeCatalogService] = []

    def commit(self, *requests: Request) -> list[Result]:
        answers: list[Result] = []
        for request in requests:
            answers += self.replica.commit(request)
            self.log.append(request)
        for catalog in self.catalogs:
            if not catalog.lags:
                catalog.catch_up()
        return answers

    def orders(self) -> list[Order]:
        return now(self.replica.storage.read(lambda reader: reader.orders_from(0, 1_000_000)))

    def product(self, name: str) -> Product:
        product = now(self.replica.storage.read(lambda reader: reader.product(name)))
        assert product is not None
        return product


@define(eq=False)
class FakeOrderService:
    """One order replica; it leads where `leads`. Each switch says what happens to a call that finds it set:

    `unreachable`: nothing arrives; `loses_requests`: it leaves, and is lost; `loses_answers`: it is carried out, and
    its answer is lost; `hangs`: it waits, until `wake`; `full`: turned away; `unsure`: carried out, and said to be
    unsure.
    """

    node: str
    ledger: FakeLedger
    clock: Clock
    leads: bool = False
    term: int = 1
    hint: str | None = None
    unreachable: bool = False
    loses_requests: bool = False
    loses_answers: bool = False
    hangs: bool = False
    full: bool = False
    unsure: bool = False
    delay: float = 0.0
    quorum_age: float = 0.04
    batches: list[tuple[Request, ...]] = field(factory=list)
    probes: int = 0
    reads: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    _hung: list[Callable[[], None]] = field(factory=list)

    def submit(self, requests: Sequence[Request]) -> Deferred[Submitted]:
        if requests:
            self.batches.append(tuple(requests))
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        else:
            self.probes += 1

        def over(result: object) -> object:
            self.in_flight -= bool(requests)
            return result

        return self._reached(lambda: self._carry_out(requests)).addBoth(over)

    def _carry_out(self, requests: Sequence[Request]) -> Submitted:
        if self.full and requests:
            return Submitted(self.term, tuple(TurnedAway("full") for _ in requests))
        results = tuple(self.ledger.commit(*requests))
        if requests and self.unsure:
            return Submitted(self.term, tuple(Unsure("leadership lost") for _ in requests))
        return Submitted(self.term, results)

    def order(self, number: int) -> Deferred[Dated[Order | None]]:
        return self._read(lambda reader: reader.order(number))

    def orders(self, before: int | None, limit: int) -> Deferred[Dated[list[Order]]]:
        return self._read(lambda reader: reader.orders(before, limit))

    def product(self, name: str) -> Deferred[Dated[Product | None]]:
        return self._read(lambda reader: reader.product(name))

    def _read(self, query: Callable[[Reader], T]) -> Deferred[Dated[T]]:
        self.reads += 1
        replica = self.ledger.replica
        return self._reached(lambda: Dated(now(replica.storage.read(query)), replica.position(), self.quorum_age))

    def _reached(self, act: Callable[[], T]) -> Deferred[T]:
        if self.unreachable:
            return fail(Unreachable("refused"))
        if self.loses_requests:
            return fail(Broken("the request was lost"))
        result: Deferred[T] = Deferred()

        def arrive() -> None:
            try:
                if not self.leads:
                    raise NotLeader(self.hint)
                value = act()
                if self.loses_answers:
                    raise Broken("the answer was lost")
            except (NotLeader, Broken) as error:
                if not result.called:
                    result.errback(error)
            else:
                if not result.called:
                    result.callback(value)

        if self.hangs:
            self._hung.append(arrive)
        elif self.delay:
            self.clock.callLater(self.delay, arrive)
        else:
            arrive()
        return result

    def wake(self) -> None:
        """What has hung arrives, whether anybody still waits for it or not."""
        self.hangs = False
        hung, self._hung = self._hung, []
        for arrive in hung:
            arrive()


@define(eq=False)
class FakeCatalogService:
    """One catalog. While it `lags` it applies nothing; while it is `mute` its feed says nothing; `age` is what it says
    about its contact with a leader; `delay` is how long an answer is on its way (it is read at once)."""

    node: str
    ledger: FakeLedger
    clock: Clock
    unreachable: bool = False
    hangs: bool = False
    lags: bool = False
    mute: bool = False
    age: float | None = 0.0
    delay: float = 0.0
    asked: list[str] = field(factory=list)
    at_least: list[Position | None] = field(factory=list)
    replica: FakeReplica = field(init=False)
    _applied: int = 0
    _listeners: list[tuple[Callable[[FeedLine], None], Deferred[None]]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.replica = FakeReplica(self.node, self.ledger.rows)
        self.ledger.catalogs.append(self)
        self.catch_up()

    def catch_up(self) -> None:
        for request in self.ledger.log[self._applied :]:
            self._applied += 1
            (answer,) = self.replica.commit(request)
            names = tuple(product.name for product in getattr(answer.outcome, "products", ()))
            if names:
                self.tell(FeedChange(self.replica.position(), names))

    def product(self, name: str, at_least: Position | None = None) -> Deferred[Dated[Product | None]]:
        self.asked.append(name)
        return self._read(lambda reader: reader.product(name), at_least)

    def products(
        self, after: int, limit: int, text: str = "", topic: str | None = None, at_least: Position | None = None
    ) -> Deferred[Dated[list[Product]]]:
        self.asked.append("*")
        return self._read(lambda reader: reader.products(after, limit, text, topic), at_least)

    def orders_from(self, number: int, limit: int) -> Deferred[Dated[list[Order]]]:
        return self._export(lambda reader: reader.orders_from(number, limit))

    def changes_from(self, index: int, sequence: int, limit: int) -> Deferred[Dated[list[CatalogChange]]]:
        return self._export(lambda reader: reader.changes_from(index, sequence, limit))

    def _export(self, query: Callable[[Reader], T]) -> Deferred[Dated[T]]:
        return self._read(query, None).addCallback(lambda dated: evolve(dated, age=None))

    def _read(self, query: Callable[[Reader], T], at_least: Position | None) -> Deferred[Dated[T]]:
        self.at_least.append(at_least)
        if self.unreachable:
            return fail(Unreachable("refused"))
        result: Deferred[Dated[T]] = Deferred()
        if self.hangs:
            return result
        if at_least is not None and self.replica.position() < at_least:
            self.clock.callLater(1.0, lambda: result.called or result.errback(CatalogBehind("behind")))
            return result
        answer = Dated(now(self.replica.storage.read(query)), self.replica.position(), self.age)
        if not self.delay:
            return succeed(answer)
        self.clock.callLater(self.delay, lambda: result.called or result.callback(answer))
        return result

    # The feed

    def changes(self, listener: Callable[[FeedLine], None]) -> Deferred[None]:
        if self.unreachable:
            return fail(Unreachable("refused"))
        entry = (listener, Deferred[None](lambda _: self._listeners.remove(entry)))
        self._listeners.append(entry)
        self.tell(FeedStart(self.replica.position()))
        self.beat()
        return entry[1]

    @property
    def followed(self) -> bool:
        return bool(self._listeners)

    def tell(self, line: FeedLine) -> None:
        if not self.mute:
            for listener, _ in list(self._listeners):
                listener(line)

    def beat(self) -> None:
        self.tell(FeedBeat(self.age))

    def end_feed(self) -> None:
        """The stream breaks."""
        listeners, self._listeners = self._listeners, []
        for _, ended in listeners:
            ended.errback(Broken("reset"))
