"""When a replica reads everything that it keeps anew: pass after pass, each a little at a time."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from toystore.replication.interface import Scrubbed
from toystore.storage.interface import DiskFull, IndexPassed, Storage

REST = 19
"""After each slice it rests so many times as long as the slice took: a pass has a twentieth of the storage's time."""

SHORTEST_REST = 0.001
"""Seconds."""

RETRY = 10.0
"""Seconds after which a pass is begun anew that a snapshot or a full disk has ended."""


class Scrubber:
    """A pass begins with `start`, and then `every` seconds after the one before began (at once, where that took longer); 0
    is never. `broken` is told of what a pass has found."""

    log = Logger()

    def __init__(
        self,
        storage: Storage,
        clock: IReactorTime,
        every: float,
        wall_clock: Callable[[], int],
        broken: Callable[[Failure], object],
    ) -> None:
        self._storage, self._clock, self._every = storage, clock, every
        self._wall_clock, self._broken = wall_clock, broken
        self._timer: IDelayedCall | None = None
        self._running = False
        self._began = self._slice_began = 0.0
        self.done = Scrubbed()

    def start(self) -> None:
        if self._every:
            self._running = True
            self._begin()

    def stop(self) -> None:
        """What is under way ends with its next pause."""
        self._running = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _begin(self) -> None:
        self._began = self._slice_began = self._clock.seconds()
        self._storage.scrub(self._pause).addCallbacks(self._ended, self._failed)

    def _pause(self) -> Deferred[None]:
        """Never fires once this has stopped."""
        rested: Deferred[None] = Deferred()
        if self._running:
            rest = max(SHORTEST_REST, REST * (self._clock.seconds() - self._slice_began))
            self._timer = self._clock.callLater(rest, self._go_on, rested)
        return rested

    def _go_on(self, rested: Deferred[None]) -> None:
        self._slice_began = self._clock.seconds()
        rested.callback(None)

    def _ended(self, rows: int) -> None:
        if not self._running:
            return
        took = self._clock.seconds() - self._began
        self.done = Scrubbed(self.done.passes + 1, rows, round(took, 3), self._wall_clock())
        self.log.info("scrubbed {rows} rows in {took:.1f} s; all are whole", rows=rows, took=took)
        self._timer = self._clock.callLater(max(SHORTEST_REST, self._every - took), self._begin)

    def _failed(self, failure: Failure) -> None:
        if not self._running:
            return
        if failure.check(DiskFull, IndexPassed):
            self.log.info("a scrub was broken off: {reason}", reason=failure.value)
            self._timer = self._clock.callLater(min(RETRY, self._every), self._begin)
        else:
            self._running = False
            self._broken(failure)
