"""What may be found after a power failure at a point of a trace, and what may not.

What is found must be, whole and exactly, what the storage showed after some call: none before the last that was
acknowledged as durable by then, none after the last that had begun. So nothing acknowledged is missing, and nothing is
half there: an entry without the term it was saved with, an order without its movement of stock, a digest without its rows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from attrs import frozen

from tests.disks.calls import DURABLE, Made
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
        self._begun = [made.begun for made in calls]
        acknowledged = sorted((m.done, n) for n, m in enumerate(calls, 1) if m.done is not None and isinstance(m.call, DURABLE))
        self._acknowledged = [event for event, _ in acknowledged]
        self._durable = [0]
        for _, number in acknowledged:
            self._durable.append(max(self._durable[-1], number))

    def known(self, events: int) -> Known:
        """After so many events of the trace."""
        return Known(self._durable[bisect_right(self._acknowledged, events)], bisect_right(self._begun, events))

    def verdict(self, found: Ledger | Views | Refused) -> Verdict:
        """Good for all points at which this may be found."""
        if isinstance(found, Refused):
            return Verdict(self, frozenset(), f"refused: {found.why}", "")
        different = {number: found.differences(shown) for number, shown in enumerate(self.history)}  # type: ignore[arg-type]
        same = frozenset(number for number, fields in different.items() if not fields)
        nearest = min(different, key=lambda number: (len(different[number]), -number))
        near = f"nearest to it is what was shown after call {nearest}, which differs in {', '.join(different[nearest])}"
        return Verdict(self, same, f"found {found.short()}", f"so it was after call {max(same)}" if same else near)


@frozen
class Verdict:
    """Of something that was found: it is what was shown after the calls `same`."""

    judge: Judge
    same: frozenset[int]
    outcome: str
    remark: str

    def at(self, events: int) -> str | None:
        """What is wrong with finding it after so many events of the trace, None where nothing is."""
        known = self.judge.known(events)
        if not self.same.isdisjoint(range(known.durable, known.begun + 1)):
            return None
        last = f"{known.durable}, {self.judge.calls[known.durable - 1].call}" if known.durable else "0"
        expected = f"call {last}, was acknowledged, and {known.begun} had begun"
        return "; ".join(filter(None, (self.outcome, expected, self.remark)))
