"""Virtual time: one heap of calls for the whole cluster, and a clock for each process that can stand still or end.

`twisted.internet.task.Clock` sorts all its calls for each new one; a simulated run makes a million. What is due at one
time happens in the order in which it was asked for, so that a run depends on nothing but its seed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

ROUNDING = 1e-6
"""Seconds."""


@implementer(IDelayedCall)
class VirtualCall:
    """A call to come. `clock` is the one that it was asked of, and shows `due` then."""

    __slots__ = ("arguments", "call", "cancelled", "clock", "done", "due", "keywords", "time")

    def __init__(self, clock: VirtualClock, delay: float, call: Callable[..., Any], arguments: Any, keywords: Any) -> None:
        self.clock, self.call = clock, call
        self.time, self.due = clock.due_in(delay), clock.seconds() + delay
        self.arguments, self.keywords = arguments, keywords
        self.cancelled = self.done = False

    def getTime(self) -> float:  # noqa: N802
        return self.due

    def active(self) -> bool:
        return not (self.cancelled or self.done)

    def cancel(self) -> None:
        if self.done:
            raise AlreadyCalled
        if self.cancelled:
            raise AlreadyCancelled
        self.cancelled = True

    def delay(self, seconds: float) -> None:
        self.reset(self.getTime() - self.clock.seconds() + seconds)

    def reset(self, seconds: float) -> None:
        self.time, self.due = self.clock.due_in(seconds), self.clock.seconds() + seconds
        self.clock.timeline.add(self)


class Timeline:
    """All calls to come, by time and then by the order in which they were asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._calls: list[tuple[float, int, VirtualCall]] = []
        self._count = 0

    def add(self, call: VirtualCall) -> None:
        self._count += 1
        heapq.heappush(self._calls, (call.time, self._count, call))

    def advance(self, end: float) -> bool:
        """Do the next call that is due until `end`; False where there is none, and it is `end` then."""
        while self._calls and self._calls[0][0] <= end:
            time, _, call = heapq.heappop(self._calls)
            if call.cancelled or call.done or call.time != time:
                continue
            self.now = max(self.now, time)
            call.clock.fire(call)
            return True
        self.now = end
        return False


@implementer(IReactorTime)
class VirtualClock:
    """The clock of the world, and, with a `turn_over`, that of a process: what is called after each of its calls."""

    def __init__(self, timeline: Timeline, turn_over: Callable[[], None] | None = None, rate: float = 1.0) -> None:
        self.timeline = timeline
        self._turn_over = turn_over
        self._withheld: list[VirtualCall] = []
        self.paused = self.ended = False
        self.runs_since = timeline.now
        self._rate = rate
        self._zero, self._since = timeline.now, timeline.now
        self._shown = 0.0
        self._warped = rate != 1.0

    def seconds(self) -> float:
        if not self._warped:
            return self.timeline.now
        return max(self._shown, self._zero + (self.timeline.now - self._since) * self._rate)

    def due_in(self, seconds: float) -> float:
        """What time it is when so many seconds have passed on this clock."""
        return self.timeline.now + seconds / self._rate

    def run_at(self, rate: float) -> None:
        """From now on it is too fast (above 1) or too slow. It never jumps, as a monotonic clock does not."""
        self._zero, self._since, self._rate, self._warped = self.seconds(), self.timeline.now, rate, True

    def callLater(self, delay: float, callable: Any, *args: Any, **kw: Any) -> VirtualCall:  # noqa: N802, A002
        assert delay >= 0, delay
        call = VirtualCall(self, delay, callable, args, kw)
        self.timeline.add(call)
        return call

    def getDelayedCalls(self) -> list[IDelayedCall]:  # noqa: N802
        raise NotImplementedError("nothing here asks what is to come")

    def fire(self, call: VirtualCall) -> None:
        if self.ended:
            return
        if self.paused:
            self._withheld.append(call)
            return
        if self._warped:
            due = call.due
            if self.seconds() < due - ROUNDING:  # the clock has become slower since
                call.time = self.due_in(due - self.seconds())
                self.timeline.add(call)
                return
            self._shown = max(self._shown, due)
        call.done = True
        call.call(*call.arguments, **call.keywords)
        if self._turn_over is not None and not self.ended:
            self._turn_over()

    def pause(self) -> None:
        """Whatever is due from now on waits for `resume`: the process is stopped, and the world goes on."""
        self.paused = True

    def resume(self) -> None:
        self.paused, self.runs_since = False, self.timeline.now
        withheld, self._withheld = self._withheld, []
        for call in withheld:
            if call.active():
                call.time = self.timeline.now
                self.timeline.add(call)

    def end(self) -> None:
        """Nothing is called any more: the process is dead."""
        self.ended = True
        self._withheld.clear()
