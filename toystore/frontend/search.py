"""Who leads the order service: found by asking, remembered until it is lost.

A replica that leads answers an empty batch with its term, another one says that it does not lead. While
nobody is known to lead, all replicas are asked again and again, 10 to 100 ms apart; while one is, and
nothing else is heard of it, it is asked once a second, so that a change is noticed without a customer.
Nothing is ever asked on behalf of one order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from toystore.replication.interface import NotLeader
from toystore.web.interface import Broken, OrderService, Submitted, Unreachable

log = Logger()

SHORTEST = 0.01
LONGEST = 0.1
"""Seconds between two rounds of asking, as they grow."""


class LeaderSearch:
    """`leader` is the replica to talk to, None while it is looked for; `term` the highest one heard of.

    `on_found` is called when a leader is found or replaces another one, `on_term` with the node and its term when it
    first acts as a leader in that term, `on_dark` after each round of asking in which no replica could be reached. There is
    at most one question in flight to each replica.
    """

    def __init__(
        self,
        services: Sequence[OrderService],
        clock: IReactorTime,
        random: Random,
        *,
        watch_every: float = 1.0,
        patience: float = 1.0,
        forget_term_after: float = 2.0,
    ) -> None:
        self.leader: OrderService | None = None
        self.term = 0
        self.changes = 0
        self.on_found: Callable[[], None] = lambda: None
        self.on_term: Callable[[str, int], None] = lambda node, term: None
        self.on_dark: Callable[[], None] = lambda: None
        self._services = {service.node: service for service in services}
        self._clock = clock
        self._random = random
        self._watch_every = watch_every
        self._patience = patience
        self._forget_term_after = forget_term_after
        self._acted: tuple[str, int] | None = None
        self._hinted = False
        self._heard = 0.0
        self._lost_at = clock.seconds()
        self._dark: dict[str, bool] = dict.fromkeys(self._services, False)
        self._dark_since: float | None = None
        self._asking: dict[str, Deferred[Submitted]] = {}
        self._rounds = 0
        self._timer: IDelayedCall | None = None
        self._running = False

    def start(self) -> None:
        self._running = True
        self._round()

    def stop(self) -> None:
        self._running = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        for asking in list(self._asking.values()):
            asking.cancel()

    def dark_for(self) -> float:
        """For how many seconds no replica at all could be reached."""
        return 0.0 if self._dark_since is None else self._clock.seconds() - self._dark_since

    def confirmed(self, node: str, term: int) -> None:
        """The replica has just acted as a leader in `term`."""
        self._note(node, dark=False)
        if term < self.term and not (self.leader is None and self._searched_long()):
            return
        self.term = term
        self._hinted = False
        self._heard = self._clock.seconds()
        if self._acted != (node, term):
            self._acted = (node, term)
            self.on_term(node, term)
        if self.leader is None or self.leader.node != node:
            self._become(node)

    def lost(self, node: str, failure: Exception) -> None:
        """A call to the replica, as the leader, ended like this: look for another one."""
        self._note(node, dark=isinstance(failure, Unreachable))
        if self.leader is None or self.leader.node != node:
            return
        hint = failure.leader if isinstance(failure, NotLeader) else None
        if hint in self._services and hint != node and not self._hinted:
            self._hinted = True
            self._become(hint)
            return
        log.info("the leader {node} is lost in term {term}: {why}", node=node, term=self.term, why=failure)
        self.leader = None
        self._hinted = False
        self._lost_at = self._clock.seconds()
        self._rounds = 0
        self._schedule(0)

    def look(self) -> None:
        """The leader is slow: ask the others whether one of them leads in a higher term."""
        for node in self._services:
            if self.leader is None or node != self.leader.node:
                self._ask(node)

    async def answers(self, node: str) -> bool:
        """Whether the replica answers now, as a leader or not."""
        try:
            await maybeDeferred(self._services[node].submit, ()).addTimeout(self._patience, self._clock)
        except NotLeader:
            return True
        except (Unreachable, Broken, TimedOut):
            return False
        return True

    def _become(self, node: str) -> None:
        self.leader = self._services[node]
        self.changes += 1
        log.info("the leader is {node}, term {term}", node=node, term=self.term)
        self._schedule(self._watch_every)
        self.on_found()

    # Asking

    def _round(self) -> None:
        if self.leader is None:
            for node in self._services:
                self._ask(node)
            pause = min(LONGEST, SHORTEST * 2 ** min(self._rounds, 8)) * self._random.uniform(0.5, 1.0)
            self._rounds += 1
            if self.leader is None:
                self._schedule(pause)
        else:
            if self._clock.seconds() - self._heard >= self._watch_every:
                self._ask(self.leader.node)
            if self.leader is not None:
                self._schedule(self._watch_every)

    def _schedule(self, delay: float) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._running:
            self._timer = self._clock.callLater(delay, self._round)

    def _ask(self, node: str) -> None:
        if node in self._asking or not self._running:
            return
        asking = maybeDeferred(self._services[node].submit, ())
        self._asking[node] = asking
        asking.addTimeout(self._patience, self._clock)
        asking.addBoth(self._asked, node)
        asking.addErrback(lambda failure: log.failure("asking {node} failed", failure, node=node))

    def _asked(self, answer: Submitted | Failure, node: str) -> None:
        self._asking.pop(node, None)
        if not self._running:
            return
        if isinstance(answer, Failure):
            error = answer.value
            if not isinstance(error, NotLeader | Unreachable | Broken | CancelledError | TimedOut):
                log.failure("asking {node} failed", answer, node=node)
            self.lost(node, error if isinstance(error, Exception) else Broken(repr(error)))
        else:
            self.confirmed(node, answer.term)
        if self._dark_since is not None and not self._asking:
            self.on_dark()

    def _searched_long(self) -> bool:
        """A term that nobody answers for any more may belong to a ledger that is gone."""
        return self._clock.seconds() - self._lost_at > self._forget_term_after

    def _note(self, node: str, dark: bool) -> None:
        self._dark[node] = dark
        if not all(self._dark.values()):
            self._dark_since = None
        elif self._dark_since is None:
            self._dark_since = self._clock.seconds()
