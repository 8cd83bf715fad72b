"""The network between replicas, and the connections of clients to them.

Each link has its own random streams, one for each kind of fault: to take one fault away changes nothing about the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from tests.simulation.clock import VirtualClock
from toystore.consensus.messages import Message
from toystore.model import Order, Product, Request
from toystore.replication.interface import NotLeader
from toystore.web.interface import Broken, Dated, Submitted, Unreachable

if TYPE_CHECKING:
    from tests.simulation.cluster import Process

Streams = Callable[[str], Random]
"""A source of random numbers for each name; the same name and seed give the same numbers."""

SHORTEST, LONGEST = 0.0002, 0.002
"""Seconds that a message takes where nothing is wrong."""


class Links:
    """What becomes of a message (`replication.loopback.Fate`).

    `loss`, `repeat` and `late` are the shares of messages that are lost, that arrive twice, and that are late by up to
    `lateness` seconds, which puts them out of order.
    """

    def __init__(self, streams: Streams, loss: float, repeat: float, late: float, lateness: float) -> None:
        self._streams = streams
        self._loss, self._repeat, self._late, self._lateness = loss, repeat, late, lateness
        self._cut: Counter[tuple[str, str]] = Counter()
        self._links: dict[tuple[str, str], tuple[Random, Random, Random, Random]] = {}
        self.calm = False
        self.echoes: dict[str, float] = {}
        """To whom everything comes twice, and how much later (seconds) the second time."""

    def cut(self, sender: str, to: str) -> None:
        self._cut[sender, to] += 1

    def mend(self, sender: str, to: str) -> None:
        self._cut[sender, to] -= 1

    def connected(self, sender: str, to: str) -> bool:
        return self.calm or not self._cut[sender, to]

    def fate(self, message: Message) -> list[float]:
        link = message.sender, message.to
        if not self.connected(*link):
            return []
        if link not in self._links:
            kinds = ("delay", "loss", "repeat", "late")
            delay, loss, repeat, late = (self._streams(f"link/{link[0]}>{link[1]}/{kind}") for kind in kinds)
            self._links[link] = delay, loss, repeat, late
        else:
            delay, loss, repeat, late = self._links[link]
        if loss.random() < self._loss and not self.calm:
            return []
        copies = 2 if repeat.random() < self._repeat and not self.calm else 1
        delays = [self._delay(delay, late) for _ in range(copies)]
        echo = self.echoes.get(message.to)
        return delays if echo is None or self.calm else [*delays, delays[0] + echo]

    def _delay(self, delay: Random, late: Random) -> float:
        seconds = SHORTEST + (LONGEST - SHORTEST) * delay.random()
        if late.random() < self._late and not self.calm:
            seconds += late.random() * self._lateness
        return seconds


class Connection:
    """One order replica as a front end calls it (`web.interface.OrderService`): a connection refused, a request that
    never arrives or arrives late, an answer that is lost. TCP neither repeats nor reorders."""

    def __init__(
        self, client: str, process: Process, clock: VirtualClock, links: Links, random: Random, broken: float
    ) -> None:
        self._client, self._process, self._clock = client, process, clock
        self._links, self._random, self._broken = links, random, broken

    @property
    def node(self) -> str:
        return self._process.id

    def submit(self, requests: Sequence[Request]) -> Deferred[Submitted]:
        def carry_out() -> Deferred[Submitted]:
            replica = self._process.replica
            term = replica.term() if self._process.up else 0
            return replica.submit(requests).addCallback(lambda results: Submitted(term, tuple(results)))

        return self._call(carry_out)

    def read_linearizable(self, query: Callable[[Any], Any]) -> Deferred[Any]:
        return self._call(lambda: self._process.replica.read_linearizable(query))

    def order(self, number: int) -> Deferred[Dated[Order | None]]:
        return self.read_linearizable(lambda reader: reader.order(number)).addCallback(_dated)

    def orders(self, before: int | None, limit: int) -> Deferred[Dated[list[Order]]]:
        return self.read_linearizable(lambda reader: reader.orders(before, limit)).addCallback(_dated)

    def product(self, name: str) -> Deferred[Dated[Product | None]]:
        return self.read_linearizable(lambda reader: reader.product(name)).addCallback(_dated)

    def _call(self, carry_out: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        """The way there and back. A process that dies breaks its connections; what is lost is never answered."""
        if not self._process.up or not self._links.connected(self._client, self.node):
            return fail(Unreachable(f"{self.node} refuses the connection"))
        answer: Deferred[Any] = Deferred()
        incarnation = self._process.clock
        lost_there, lost_back = (self._random.random() < self._broken and not self._links.calm for _ in "12")
        delay_there, delay_back = (self._delay() for _ in "12")

        def arrive() -> None:
            if not self._process.up:
                back(Failure(NotLeader(None)))
            else:
                carry_out().addBoth(back)

        def back(result: Any) -> None:
            if not lost_back and self._links.connected(self.node, self._client):
                self._clock.callLater(delay_back, deliver, result)

        def deliver(result: Any) -> None:
            if not answer.called:
                answer.callback(result)

        if not lost_there:
            incarnation.callLater(delay_there, arrive)
            self._process.when_dead(lambda: deliver(Failure(Broken("connection reset"))))
        return answer

    def _delay(self) -> float:
        seconds = self._random.uniform(SHORTEST, LONGEST)
        slow = self._random.random()
        return seconds if self._links.calm or slow > self._broken else seconds + slow / self._broken * 0.5


def _dated(read: Any) -> Dated[Any]:
    return Dated(read[0], read[1])
