"""What may be found after a power failure at a point of a trace, and what may not.

What is found must be, whole and exactly, what the storage showed after some call: none before the last that was
acknowledged as durable by then, none after the last that had begun. So nothing acknowledged is missing, and nothing is
half there: an entry without the term it was saved with, an order without its movement of stock, a digest without its rows.
Only the uuid may be another one where a sync has failed, until the storage has been opened again.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Hashable, Sequence

from attrs import evolve, frozen

from tests.disks.calls import DURABLE, Made, Open
from tests.disks.history import History
from tests.disks.recovery import Ledger, Refused, Views


@frozen
class Known:
    """At a point: the calls up to `durable` (counted, 0: none) must be there, those up to `begun` may be."""

    durable: int
    begun: int


class Judge:
    """Knows the calls of one trace, and what the storage shows after each."""

    def __init__(self, calls: Sequence[Made], history: History[Ledger] | History[Views]) -> None:
        if len(history) != len(calls) + 1:
            raise ValueError(f"{len(calls)} calls, and {len(history)} things shown")
        self.calls, self.history = calls, history
        self._marked: dict[Hashable, list[int]] = {}
        for number, shown in enumerate(history):
            self._marked.setdefault(shown.mark, []).append(number)
        self._begun = [made.begun for made in calls]
        acknowledged = sorted(
            (m.done, n) for n, m in enumerate(calls, 1) if m.done is not None and isinstance(m.call, DURABLE)
        )
        self._acknowledged = [event for event, _ in acknowledged]
        self._durable = [0]
        for _, number in acknowledged:
            self._durable.append(max(self._durable[-1], number))

        self._broken = [self._until_opened(number) for number, made in enumerate(calls) if made.failed is not None]

    def _until_opened(self, failed: int) -> range:
        """The points from the beginning of a call that failed until the next process has opened the storage."""
        opened = (made.done for made in self.calls[failed + 1 :] if isinstance(made.call, Open) and made.done is not None)
        return range(self.calls[failed].begun, next(opened, sys.maxsize))

    def is_broken(self, events: int) -> bool:
        """A call has failed: the storage takes another uuid when it is opened."""
        return any(events in points for points in self._broken)

    def known(self, events: int) -> Known:
        """After so many events of the trace."""
        return Known(self._durable[bisect_right(self._acknowledged, events)], bisect_right(self._begun, events))

    def verdict(self, found: Ledger | Views | Refused) -> Verdict:
        """Good for all points at which this may be found."""
        if isinstance(found, Refused):
            return Verdict(self, found, frozenset(), frozenset())
        same, but_for_uuid = set(), set()
        for number in self._marked.get(found.mark, ()):
            shown = self.history[number]
            if found.is_same_as(shown):
                same.add(number)
            elif isinstance(shown, Ledger) and found.is_same_as(evolve(shown, uuid=None)):  # type: ignore[arg-type]
                but_for_uuid.add(number)
        return Verdict(self, found, frozenset(same), frozenset(but_for_uuid))


@frozen
class Verdict:
    """Of something that was found: it is what was shown after the calls `same`, and under another uuid `but_for_uuid`."""

    judge: Judge
    found: Ledger | Views | Refused
    same: frozenset[int]
    but_for_uuid: frozenset[int]

    def at(self, events: int) -> str | None:
        """What is wrong with finding it after so many events of the trace, None where nothing is."""
        known = self.judge.known(events)
        same = self.same | self.but_for_uuid if self.judge.is_broken(events) else self.same
        if not same.isdisjoint(range(known.durable, known.begun + 1)):
            return None
        last = f"call {known.durable}, {self.judge.calls[known.durable - 1].call}" if known.durable else "nothing"
        return (
            f"{self.found.short()}; {last} was acknowledged, call {known.begun} was the last to begin; {self._remark(known)}"
        )

    def _remark(self, known: Known) -> str:
        if isinstance(self.found, Refused):
            return "nothing of this is to be refused"
        if self.same:
            return f"so it was after call {max(self.same)}"
        may_be = range(known.durable, known.begun + 1)
        different = {n: self.found.differences(self.judge.history[n]) for n in may_be}  # type: ignore[arg-type]
        nearest = min(may_be, key=lambda n: len(different[n]))
        return f"so it never was: after call {nearest} there was another {', '.join(different[nearest])}"
