"""The network: what becomes of a message on each link, and the connections of clients.

A link is one direction between two nodes. Each has its own random streams, one for each kind of fault: to take a fault
away changes nothing about the others. What is wrong with it at the moment is set by `faults`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from tests.simulation.clock import VirtualClock
from tests.simulation.plan import ANYONE
from toystore.consensus.messages import Message
from toystore.model import Order, Product, Request
from toystore.replication.interface import NotLeader
from toystore.storage.interface import StorageError
from toystore.web.interface import Broken, Dated, Submitted, Unreachable

if TYPE_CHECKING:
    from tests.simulation.cluster import Process

T = TypeVar("T")

Streams = Callable[[str], Random]
"""A source of random numbers for each name; the same name and seed give the same numbers."""

SHORTEST, LONGEST = 0.0002, 0.002
"""Seconds that a message takes where nothing is wrong."""


@define
class Trouble:
    """What a fault does to the links that it is about, as long as it lasts. Shares are of messages."""

    cut: bool = False
    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    """The share that is late by up to `lateness` seconds."""
    lateness: float = 0.0
    delay: float = 0.0
    """Seconds that everything takes longer, up to twice as much."""
    echo: float = 0.0
    """Everything comes once more, so many seconds later."""
    clogged_until: float = 0.0
    """Nothing arrives before."""
    silent: bool = False
    """Half-open: nobody is told that the other end is dead."""
    only: tuple[type[Message], ...] = ()
    """Only messages of these kinds; all, and calls, where it is empty."""


class Link:
    __slots__ = ("_chance", "_streams", "_usual", "name", "troubles")

    def __init__(self, streams: Streams, sender: str, to: str) -> None:
        self.name = f"link/{sender}>{to}"
        self.troubles: list[Trouble] = []
        self._streams = streams
        self._chance: dict[str, Random] = {}
        self._usual = streams(f"{self.name}/usual").random

    def draw(self, kind: str) -> float:
        if kind not in self._chance:
            self._chance[kind] = self._streams(f"{self.name}/{kind}")
        return self._chance[kind].random()

    def delays(self, now: float, message: Message | None = None) -> list[float]:
        """Of the copies of a message that is sent now; None stands for a client's call."""
        usual = SHORTEST + (LONGEST - SHORTEST) * self._usual()
        if not self.troubles:
            return [usual]
        copies = [usual]
        for trouble in self.troubles:
            if trouble.only and not isinstance(message, trouble.only):
                continue
            if trouble.cut or (trouble.drop and self.draw("drop") < trouble.drop):
                return []
            if trouble.duplicate and self.draw("duplicate") < trouble.duplicate:
                copies.append(usual + trouble.lateness * self.draw("duplicate"))
            if trouble.reorder and self.draw("reorder") < trouble.reorder:
                copies[0] += trouble.lateness * self.draw("reorder")
            if trouble.delay:
                copies[0] += trouble.delay * (1 + self.draw("delay"))
            if trouble.echo:
                copies.append(usual + trouble.echo)
            if trouble.clogged_until > now:
                copies = [max(copy, trouble.clogged_until - now + usual) for copy in copies]
        return copies


class Links:
    """All links, by sender and receiver."""

    def __init__(self, streams: Streams, now: Callable[[], float]) -> None:
        self._streams, self._now = streams, now
        self._links: dict[tuple[str, str], Link] = {}
        self._everywhere: list[tuple[str, str, Trouble]] = []

    def link(self, sender: str, to: str) -> Link:
        link = self._links.get((sender, to))
        if link is None:
            link = self._links[sender, to] = Link(self._streams, sender, to)
            link.troubles += [trouble for a, b, trouble in self._everywhere if _about(a, b, sender, to)]
        return link

    def trouble(self, sender: str, to: str, trouble: Trouble) -> None:
        """Begins on the link; on all that there are and will be, where an end is `ANYONE`."""
        self._everywhere.append((sender, to, trouble))
        for (a, b), link in self._links.items():
            if _about(sender, to, a, b):
                link.troubles.append(trouble)

    def cut_all(self, pairs: Sequence[tuple[str, str]]) -> Callable[[], None]:
        """Nothing gets through on these links, until the result is called."""
        cut = Trouble(cut=True)
        for sender, to in pairs:
            self.trouble(sender, to, cut)
        return lambda: self.end(cut)

    def end(self, trouble: Trouble) -> None:
        self._everywhere = [known for known in self._everywhere if known[2] is not trouble]
        for link in self._links.values():
            link.troubles = [known for known in link.troubles if known is not trouble]

    def calm(self) -> None:
        """Nothing is wrong any more."""
        self._everywhere.clear()
        for link in self._links.values():
            link.troubles.clear()

    def fate(self, message: Message) -> list[float]:
        """As `replication.loopback.Fate`."""
        return self.link(message.sender, message.to).delays(self._now(), message)

    def connected(self, sender: str, to: str) -> bool:
        return not any(trouble.cut for trouble in self.link(sender, to).troubles)

    def silent(self, sender: str, to: str) -> bool:
        return any(trouble.silent for trouble in self.link(sender, to).troubles)


def _about(sender: str, to: str, a: str, b: str) -> bool:
    return sender in (ANYONE, a) and to in (ANYONE, b)


class Calls:
    """A client's connections to one node. TCP neither repeats nor reorders; it refuses, breaks, or keeps silent.

    `call` carries a question there and the answer back, each by its link. What is lost is never answered; a process that
    dies breaks its connections, unless nobody tells (half-open). `clock` is the client's. An answer may be `late` by so many
    seconds; after `timeout` seconds, where given, there is none.
    """

    def __init__(
        self,
        client: str,
        process: Process,
        clock: VirtualClock,
        links: Links,
        late: Callable[[], float] = lambda: 0.0,
        timeout: float | None = None,
    ) -> None:
        self.client, self.process, self._clock, self._links = client, process, clock, links
        self._late, self._timeout = late, timeout

    def call(self, carry_out: Callable[[], Deferred[T]]) -> Deferred[T]:
        there, back = self._links.link(self.client, self.process.id), self._links.link(self.process.id, self.client)
        now = self._clock.timeline.now
        if not self.process.up or not self._links.connected(self.client, self.process.id):
            if self._links.silent(self.client, self.process.id):
                return Deferred()
            return fail(Unreachable(f"{self.process.id} refuses the connection"))
        answer: Deferred[T] = Deferred()

        def arrive() -> None:
            carry_out().addBoth(send_back)

        def send_back(result: T | Failure) -> None:
            if isinstance(result, Failure) and result.check(StorageError):
                return  # the process ends, and so does the connection
            for delay in back.delays(self._clock.timeline.now)[:1]:
                self._clock.callLater(delay + self._late(), deliver, result)

        def deliver(result: T | Failure) -> None:
            if not answer.called:
                answer.callback(result)

        def reset() -> None:
            if not self._silent():
                self._clock.callLater(0, deliver, Failure(Broken("connection reset")))

        def over(result: T | Failure) -> T | Failure:
            forget()
            return result

        for delay in there.delays(now)[:1]:
            self.process.clock.callLater(delay, arrive)
        forget = self.process.when_dead(reset)
        if self._timeout is not None:
            answer.addTimeout(self._timeout, self._clock, lambda *_: Failure(Broken("no answer in time")))
        return answer.addBoth(over)

    def _silent(self) -> bool:
        return self._links.silent(self.process.id, self.client)


class Connection:
    """One order replica as a front end calls it (`web.interface.OrderService`)."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @property
    def node(self) -> str:
        return self._calls.process.id

    def submit(self, requests: Sequence[Request]) -> Deferred[Submitted]:
        process = self._calls.process

        def carry_out() -> Deferred[Submitted]:
            replica = process.replica
            if not process.up:
                return fail(NotLeader(None))
            term = replica.term()
            return replica.submit(requests).addCallback(lambda results: Submitted(term, tuple(results)))

        return self._calls.call(carry_out)

    def read_linearizable(self, query: Callable[[Any], Any]) -> Deferred[Any]:
        process = self._calls.process

        def carry_out() -> Deferred[Any]:
            return process.replica.read_linearizable(query) if process.up else fail(NotLeader(None))

        return self._calls.call(carry_out)

    def order(self, number: int) -> Deferred[Dated[Order | None]]:
        return self.read_linearizable(lambda reader: reader.order(number)).addCallback(_dated)

    def orders(self, before: int | None, limit: int) -> Deferred[Dated[list[Order]]]:
        return self.read_linearizable(lambda reader: reader.orders(before, limit)).addCallback(_dated)

    def product(self, name: str) -> Deferred[Dated[Product | None]]:
        return self.read_linearizable(lambda reader: reader.product(name)).addCallback(_dated)


def _dated(read: Any) -> Dated[Any]:
    return Dated(read[0], read[1])
