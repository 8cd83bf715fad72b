"""What happened to the slots of the cache lately: which product came into which, what it replaced, what left.

Pure: the time is an argument. Every event has a number, one more than that of the event before; a reader who names the
last number that it has seen gets all that came since, or sees by the numbers what it has missed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

from attrs import frozen

from toystore.frontend.cache import CacheEvent

KEPT = 10_000
"""Events that are remembered."""


@frozen
class Noted:
    """An event, its number (from 1), and when it was, in seconds of the process's clock."""

    number: int
    at: float
    event: CacheEvent


class SlotRecord:
    """The last `kept` events. Invariant: the numbers of those kept are consecutive, up to `last`."""

    def __init__(self, kept: int = KEPT) -> None:
        if kept < 1:
            raise ValueError("there must be room for an event")
        self.last = 0
        self._noted: deque[Noted] = deque(maxlen=kept)

    def note(self, event: CacheEvent, now: float) -> None:
        self.last += 1
        self._noted.append(Noted(self.last, now, event))

    def after(self, number: int, limit: int) -> Sequence[Noted]:
        """The oldest `limit` of those with a higher number."""
        forgotten = self.last - len(self._noted)
        start = max(0, number - forgotten)
        return list(islice(self._noted, start, start + limit))
