"""The change feed: each front end that subscribes is told which products change, as they change.

A subscriber that does not read costs no memory: beyond so many lines (`MAX_WAITING`) it is told,
once it reads again, that changes can not be listed (reset), and after `PATIENCE` seconds without reading it is hung up on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web.server import Request
from zope.interface import implementer

from toystore.model import Done, Position
from toystore.replication.interface import Replica
from toystore.storage.interface import Applied
from toystore.web.codec import encode_feed_line
from toystore.web.interface import FeedBeat, FeedChange, FeedLine, FeedReset, FeedStart

BEAT = 1.0
"""Seconds between two heartbeats."""
MAX_WAITING = 64
MAX_NAMES = 1000
"""Products that one line names at most; more make it a reset."""
PATIENCE = 10.0
MAX_SUBSCRIBERS = 100


class FeedFull(Exception):
    """There are as many subscribers as there may be."""


class Feed:
    """Tells all subscribers what one replica applies; `max_waiting` lines at most wait for one of them."""

    _log = Logger()

    def __init__(self, replica: Replica, clock: IReactorTime, max_waiting: int = MAX_WAITING) -> None:
        self._replica = replica
        self._clock = clock
        self._max_waiting = max_waiting
        self._subscribers: dict[Subscriber, None] = {}
        self._unfollow: Callable[[], None] | None = None
        self._beats = LoopingCall(self._beat)
        self._beats.clock = clock

    def start(self) -> None:
        self._unfollow = self._replica.follow(self._applied, self._reset)
        self._beats.start(BEAT, now=False).addErrback(
            lambda failure: self._log.failure("the feed has no heartbeat any more", failure=failure)
        )

    def stop(self) -> None:
        """End all streams."""
        if self._unfollow is not None:
            self._unfollow()
            self._unfollow = None
        if self._beats.running:
            self._beats.stop()
        for subscriber in list(self._subscribers):
            subscriber.end()

    def __len__(self) -> int:
        return len(self._subscribers)

    def stream(self, request: Request) -> Deferred[None]:
        """Write the feed to this request; fires when the stream is at its end. Raises FeedFull."""
        if len(self._subscribers) >= MAX_SUBSCRIBERS:
            raise FeedFull(f"{MAX_SUBSCRIBERS} follow already")
        subscriber = Subscriber(request, self._replica.position, self._clock, self._max_waiting)
        self._subscribers[subscriber] = None

        def gone(result: object) -> None:
            self._subscribers.pop(subscriber, None)

        subscriber.done.addBoth(gone)
        subscriber.tell(FeedStart(self._replica.position()))
        subscriber.tell(FeedBeat(self._replica.leader_age()))
        return subscriber.done

    def _applied(self, batch: Sequence[Applied]) -> None:
        """One line for a batch, with the names in it and the last index that changed any."""
        names: dict[str, None] = {}
        last = 0
        for applied in batch:
            if isinstance(applied.outcome, Done) and applied.outcome.products:
                names.update((product.name, None) for product in applied.outcome.products)
                last = applied.index
        if not names:
            return
        position = Position(self._replica.position().generation, last)
        self._tell(FeedChange(position, tuple(names)) if len(names) <= MAX_NAMES else FeedReset(position))

    def _reset(self) -> None:
        self._tell(FeedReset(self._replica.position()))

    def _beat(self) -> None:
        self._tell(FeedBeat(self._replica.leader_age()))

    def _tell(self, line: FeedLine) -> None:
        for subscriber in list(self._subscribers):
            subscriber.tell(line)


@implementer(IPushProducer)
class Subscriber:
    """One stream. While its transport is paused lines wait, but for heartbeats, which would be too old."""

    def __init__(self, request: Request, position: Callable[[], Position], clock: IReactorTime, max_waiting: int) -> None:
        self.done: Deferred[None] = Deferred(lambda _: self._close())
        self._request = request
        self._position = position
        self._clock = clock
        self._max_waiting = max_waiting
        self._waiting: list[FeedLine] = []
        self._lost = False
        self._hang_up: IDelayedCall | None = None
        request.setHeader(b"Content-Type", b"application/jsonl")
        request.registerProducer(self, True)
        request.notifyFinish().addErrback(lambda _: self._gone())

    def tell(self, line: FeedLine) -> None:
        if self.done.called:
            return
        if self._hang_up is None:
            self._request.write(encode_feed_line(line))
        elif not isinstance(line, FeedBeat) and not self._lost:
            self._waiting.append(line)
            if len(self._waiting) > self._max_waiting:
                self._waiting.clear()
                self._lost = True

    def pauseProducing(self) -> None:  # noqa: N802
        if self._hang_up is None and not self.done.called:
            self._hang_up = self._clock.callLater(PATIENCE, self._give_up)

    def resumeProducing(self) -> None:  # noqa: N802
        self._forget_to_hang_up()
        waiting, self._waiting = self._waiting, []
        if self._lost:
            self._lost = False
            waiting = [FeedReset(self._position())]
        for line in waiting:
            self.tell(line)

    def stopProducing(self) -> None:  # noqa: N802
        """The connection is lost, which the request tells too."""

    def end(self) -> None:
        """The stream ends here; whoever awaits it finishes the request."""
        if not self.done.called:
            self._close()
            self.done.callback(None)

    def _gone(self) -> None:
        self._request.producer = None  # there is no channel left to unregister it from
        self.end()

    def _give_up(self) -> None:
        self._hang_up = None
        self._request.channel.forceAbortClient()

    def _close(self) -> None:
        self._forget_to_hang_up()
        self._waiting.clear()
        if self._request.producer is self:
            self._request.unregisterProducer()

    def _forget_to_hang_up(self) -> None:
        if self._hang_up is not None:
            self._hang_up.cancel()
            self._hang_up = None
