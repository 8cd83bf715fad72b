"""Virtual time, for calls by the hundred thousand: a heap of tuples, and what a process's own clock adds to it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from attrs import define, field


class Timeline:
    """What is due at one time happens in the order in which it was asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self.count = 0
        """How many calls have been asked for."""
        self._calls: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []

    def callLater(self, delay: float, call: Callable[..., Any], *arguments: Any) -> None:  # noqa: N802
        """As a reactor's; what was asked for can not be cancelled."""
        self.count += 1
        heapq.heappush(self._calls, (self.now + delay, self.count, call, arguments))

    def advance(self, end: float) -> None:
        """Do all that is due until then."""
        calls, pop = self._calls, heapq.heappop
        while calls and calls[0][0] <= end:
            self.now, _, call, arguments = pop(calls)
            call(*arguments)
        self.now = end


@define(eq=False)
class Life:
    """One run of a process, from its start to its end. It can stand still: what comes then waits for `resume`."""

    timeline: Timeline
    paused: bool = False
    ended: bool = False
    runs_since: float = 0.0
    _withheld: list[tuple[Callable[..., Any], tuple[Any, ...]]] = field(factory=list)

    def later(self, delay: float, call: Callable[..., Any], *arguments: Any) -> None:
        """Unless the process has ended by then."""
        self.timeline.callLater(delay, self._do, call, arguments)

    def _do(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        if self.ended:
            return
        if self.paused:
            self._withheld.append((call, arguments))
        else:
            call(*arguments)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused, self.runs_since = False, self.timeline.now
        withheld, self._withheld = self._withheld, []
        for call, arguments in withheld:
            self.later(0.0, call, *arguments)

    def end(self) -> None:
        self.ended = True
        self._withheld.clear()
