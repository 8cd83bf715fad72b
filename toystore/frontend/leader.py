"""The client of the leader: gathers commands into batches, and carries each one over a change of leader.

A command has one request id for all its attempts, so that sending it again is harmless. What is told to
its waiter:

- an `Answer`, refusals included, whichever attempt brought it;
- `Unavailable` where the command can not have been carried out: no byte of it ever left, or every
attempt was turned away by the replica. From that moment it is never sent again;
- `OutcomeUnknown` where some attempt ended without an answer, or has none yet, at the deadline.

A waiter may go (cancel its Deferred); the command goes on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

from attrs import define
from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from toystore.encoding import encode_request
from toystore.frontend.search import LONGEST, SHORTEST, LeaderSearch
from toystore.model import Order, PlaceOrder, Product, Request
from toystore.replication.interface import Answer, NotLeader, Result, TurnedAway, Unsure
from toystore.web.errors import OutcomeUnknown, StoreError, Unavailable
from toystore.web.interface import Broken, Dated, OrderService, Submitted, Unreachable

T = TypeVar("T")
log = Logger()

LATE = "no leader could be reached in time"


@define(eq=False)
class _Command:
    """A command under way. `certain`: no attempt so far can have been carried out. It is in the queue,
    or `sent` (in an attempt that is not over), or `over`."""

    sequence: int
    request: Request
    size: int
    deadline: float
    waiter: Deferred[Answer] | None
    timer: IDelayedCall | None = None
    certain: bool = True
    sent: bool = False
    over: bool = False


@define(eq=False)
class _Flight:
    """A call to a replica, in its role as leader."""

    node: str
    since: float
    call: Deferred[Any]
    abandoned: str = ""


class LeaderClient:
    """Times in seconds. `window` is how many batches may be in flight at once; a batch has at most
    `max_entries` commands and `max_bytes`, but at least one command; beyond `max_queued` commands more
    are refused at once."""

    def __init__(
        self,
        services: Sequence[OrderService],
        clock: IReactorTime,
        random: Random,
        *,
        deadline: float = 10.0,
        unreachable_after: float = 2.0,
        probe_after: float = 0.3,
        probe_every: float = 0.1,
        attempt_timeout: float = 3.0,
        read_timeout: float = 1.0,
        window: int = 1,
        max_entries: int = 512,
        max_bytes: int = 512 * 1024,
        max_queued: int = 10_000,
    ) -> None:
        self.search = LeaderSearch(services, clock, random)
        self.search.on_found = self._leader_found
        self.search.on_dark = self._all_dark
        self.why_nobody_leads: Callable[[], str] = lambda: ""
        """For the text of a 503, where somebody here knows."""
        self._clock = clock
        self._random = random
        self._deadline = deadline
        self._unreachable_after = unreachable_after
        self._probe_after = probe_after
        self._probe_every = probe_every
        self._attempt_timeout = attempt_timeout
        self._read_timeout = read_timeout
        self._window = window
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._max_queued = max_queued
        self._sequence = 0
        self._queue: OrderedDict[int, _Command] = OrderedDict()
        self._under_way: dict[int, _Command] = {}
        self._batches = 0
        self._flights: dict[_Flight, None] = {}  # in the order of departure
        self._readers: dict[Deferred[None], None] = {}
        self._watch: IDelayedCall | None = None
        self._hold: IDelayedCall | None = None
        self._held = 0
        self._stopped = False

    def start(self) -> None:
        """Look for the leader from now on."""
        self.search.start()

    def stop(self) -> None:
        """Send nothing more; whoever still waits is told what is known."""
        self._stopped = True
        self.search.stop()
        for timer in (self._watch, self._hold):
            if timer is not None and timer.active():
                timer.cancel()
        for command in list(self._under_way.values()):
            self._give_up(command, "this front end is stopping")
        for flight in list(self._flights):
            self._abandon(flight, "this front end is stopping")
        self._wake_readers()

    @property
    def queued(self) -> int:
        """How many commands are under way."""
        return len(self._under_way)

    # Commands

    def submit(self, request: Request, deadline: float | None = None) -> Deferred[Answer]:
        """Have the request carried out within `deadline` seconds. Fails with Unavailable or OutcomeUnknown.

        To cancel the result means only that nobody waits any more.
        """
        waiter: Deferred[Answer] = Deferred(lambda _: self._leave(command))
        limit = self._deadline if deadline is None else deadline
        size = len(encode_request(request))
        command = _Command(self._sequence, request, size, self._clock.seconds() + limit, waiter)
        self._sequence += 1
        if self._stopped or len(self._under_way) >= self._max_queued:
            why = "this front end is stopping" if self._stopped else "too many commands are waiting already"
            return fail(Unavailable(1.0, why))
        self._under_way[command.sequence] = command
        command.timer = self._clock.callLater(limit, self._give_up, command, LATE)
        self._queue[command.sequence] = command
        self._pump()
        return waiter

    def _leave(self, command: _Command) -> None:
        command.waiter = None

    def _pump(self) -> None:
        """Send what has gathered, as long as there is a leader, room in the window and no reason to hold."""
        while self._queue and self._batches < self._window and not self._stopped and self._hold is None:
            if self.search.leader is None:
                return
            batch = self._take()
            if batch:
                self._send(self.search.leader, batch)

    def _take(self) -> list[_Command]:
        batch: list[_Command] = []
        room = self._max_bytes
        while self._queue and len(batch) < self._max_entries:
            sequence, command = next(iter(self._queue.items()))
            if batch and command.size > room:
                break
            if command.deadline <= self._clock.seconds():
                self._give_up(command, LATE)
                continue
            del self._queue[sequence]
            room -= command.size
            command.sent = True
            batch.append(command)
        return batch

    def _send(self, service: OrderService, batch: list[_Command]) -> None:
        self._batches += 1
        call = self._fly(service.node, maybeDeferred(service.submit, [command.request for command in batch]))
        call.addCallback(_checked, len(batch))
        call.addCallbacks(self._answered, self._failed, (service.node, batch), {}, (service.node, batch))
        call.addErrback(lambda failure: log.failure("a batch was mishandled", failure))

    def _answered(self, submitted: Submitted, node: str, batch: list[_Command]) -> None:
        self._batches -= 1
        again: list[_Command] = []
        answers: list[tuple[_Command, Answer]] = []
        results: list[Result] = list(submitted.results)
        for command, result in zip(batch, results, strict=True):
            command.sent = False
            if isinstance(result, Answer):
                answers.append((command, result))
            else:
                command.certain = command.certain and isinstance(result, TurnedAway)
                again.append(command)
        self._queue_again(again)
        unsure = next((result for result in results if isinstance(result, Unsure)), None)
        if unsure is not None:
            self.search.lost(node, Broken(unsure.reason))
        else:
            self.search.confirmed(node, submitted.term)
        if any(isinstance(result, TurnedAway) for result in results):
            self._wait_a_little()
        else:
            self._held = 0
        self._pump()
        for command, answer in answers:
            self._tell(command, answer)

    def _failed(self, failure: Failure, node: str, batch: list[_Command]) -> None:
        self._batches -= 1
        error = _understood(failure)
        for command in batch:
            command.sent = False
            command.certain = command.certain and isinstance(error, NotLeader | Unreachable)
        self._queue_again(batch)
        self.search.lost(node, error)
        self._pump()

    def _queue_again(self, commands: list[_Command]) -> None:
        """To the front, in their order; not those whose deadline has passed meanwhile."""
        for command in reversed(commands):
            if not command.over:
                self._queue[command.sequence] = command
                self._queue.move_to_end(command.sequence, last=False)

    def _wait_a_little(self) -> None:
        """The leader has too much to do: 10 to 100 ms."""
        pause = min(LONGEST, SHORTEST * 2 ** min(self._held, 8)) * self._random.uniform(0.5, 1.0)
        self._held += 1
        if self._hold is None and not self._stopped:
            self._hold = self._clock.callLater(pause, self._go_on)

    def _go_on(self) -> None:
        self._hold = None
        self._pump()

    # How a command ends

    def _tell(self, command: _Command, result: Answer | StoreError) -> None:
        if command.over:
            return
        command.over = True
        if command.timer is not None and command.timer.active():
            command.timer.cancel()
        self._queue.pop(command.sequence, None)
        del self._under_way[command.sequence]
        waiter, command.waiter = command.waiter, None
        if waiter is None:
            log.debug("{id} ended with nobody waiting", id=command.request.request_id)
        elif isinstance(result, Answer):
            waiter.callback(result)
        else:
            waiter.errback(result)

    def _give_up(self, command: _Command, why: str) -> None:
        if command.certain and not command.sent:
            self._tell(command, Unavailable(1.0, self._explained(why)))
        else:
            self._tell(command, OutcomeUnknown(_key(command.request)))

    def _explained(self, what: str) -> str:
        why = self.why_nobody_leads()
        return f"{what}: {why}" if why else what

    def _all_dark(self) -> None:
        """No replica can be reached. What can not have been carried out need not wait for its deadline."""
        if self.search.dark_for() < self._unreachable_after:
            return
        for command in list(self._queue.values()):
            if command.certain:
                self._give_up(command, "no replica of the order service can be reached")
        self._wake_readers()

    def _leader_found(self) -> None:
        leader = self.search.leader
        for flight in list(self._flights):
            if leader is not None and flight.node != leader.node:
                self._abandon(flight, f"{leader.node} leads now")
        self._wake_readers()
        self._pump()

    # Flights: every call to a leader, watched so that one that hangs does not hold up what it carries

    def _fly(self, node: str, call: Deferred[T]) -> Deferred[T]:
        """The same call, ended as Broken when it is abandoned."""
        flight = _Flight(node, self._clock.seconds(), call)

        def landed(result: T | Failure) -> T | Failure:
            self._flights.pop(flight, None)
            if flight.abandoned and isinstance(result, Failure):
                raise Broken(flight.abandoned) from result.value
            return result

        self._flights[flight] = None
        if self._watch is None:
            self._watch = self._clock.callLater(self._probe_after, self._watch_flights)
        return call.addBoth(landed)

    def _watch_flights(self) -> None:
        self._watch = None
        now = self._clock.seconds()
        for flight in list(self._flights):
            if now - flight.since >= self._attempt_timeout:
                self._abandon(flight, f"no answer from {flight.node} for {self._attempt_timeout} s")
        if any(now - flight.since >= self._probe_after for flight in self._flights):
            self.search.look()
        if self._flights and self._watch is None and not self._stopped:
            self._watch = self._clock.callLater(self._probe_every, self._watch_flights)

    def _abandon(self, flight: _Flight, why: str) -> None:
        flight.abandoned = why
        flight.call.cancel()

    # Reads

    async def order(self, number: int) -> Dated[Order | None]:
        """Linearizable, as all reads here. Raises Unavailable."""
        return await self._read(lambda leader: leader.order(number))

    async def orders(self, before: int | None, limit: int) -> Dated[list[Order]]:
        """The newest first, with numbers below `before`. Raises Unavailable."""
        return await self._read(lambda leader: leader.orders(before, limit))

    async def product(self, name: str) -> Dated[Product | None]:
        """Raises Unavailable."""
        return await self._read(lambda leader: leader.product(name))

    async def _read(self, query: Callable[[OrderService], Deferred[T]]) -> T:
        """Ask the leader, and the next one, until the deadline: a read may be repeated freely."""
        end = self._clock.seconds() + self._deadline
        while True:
            leader = self.search.leader
            left = end - self._clock.seconds()
            if left <= 0 or self._stopped:
                raise Unavailable(1.0, self._explained("no leader answered in time"))
            if leader is None:
                await self._some_news(left)
                if self.search.leader is None and self.search.dark_for() >= self._unreachable_after:
                    raise Unavailable(1.0, "no replica of the order service can be reached")
                continue
            call = self._fly(leader.node, maybeDeferred(query, leader))
            call.addTimeout(min(left, self._read_timeout), self._clock)
            try:
                return await call
            except (NotLeader, Unreachable, Broken, TimedOut) as error:
                self.search.lost(leader.node, error)

    async def _some_news(self, timeout: float) -> None:
        """Until a leader is found, or none can be, or so many seconds have passed."""
        news: Deferred[None] = Deferred()
        self._readers[news] = None
        news.addTimeout(timeout, self._clock)
        try:
            await news
        except TimedOut:
            return
        finally:
            self._readers.pop(news, None)

    def _wake_readers(self) -> None:
        for reader in list(self._readers):
            self._readers.pop(reader, None)
            reader.callback(None)


def _checked(submitted: Submitted, count: int) -> Submitted:
    if len(submitted.results) != count:
        raise Broken(f"{len(submitted.results)} results for {count} commands")
    return submitted


def _understood(failure: Failure) -> Exception:
    """Anything but the three known errors is a fault somewhere, and the command may have left."""
    error = failure.value
    if isinstance(error, NotLeader | Unreachable | Broken):
        return error
    if not isinstance(error, CancelledError):
        log.failure("a batch failed in an unknown way", failure)
    return Broken(repr(error))


def _key(request: Request) -> str | None:
    """What a client repeats, to be told what came of an order."""
    return request.command.key if isinstance(request.command, PlaceOrder) else None
