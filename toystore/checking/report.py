"""All checkers over one history. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from toystore.checking.final import Final
from toystore.checking.findings import Anomaly, Check
from toystore.checking.operations import Recording
from toystore.checking.orders import check_orders
from toystore.checking.realtime import check_real_time
from toystore.checking.second_opinion import check_windows
from toystore.checking.staleness import BOUND, check_staleness
from toystore.checking.stock import check_shown, check_stock
from toystore.checking.timeline import shelves


@frozen
class Report:
    """What was checked, and what was found."""

    operations: int
    orders: int
    faults: int
    forgiven: int
    checks: Sequence[Check]

    @property
    def anomalies(self) -> list[Anomaly]:
        """Those that are told: of each promise the first ones."""
        return [anomaly for check in self.checks for anomaly in check.anomalies]

    @property
    def count(self) -> int:
        """Of all anomalies."""
        return sum(check.count for check in self.checks)

    @property
    def good(self) -> bool:
        return not self.count

    def summary(self) -> dict[str, Any]:
        """The same for programs; may be encoded as JSON."""
        return {
            "format": 1,
            "operations": self.operations,
            "orders": self.orders,
            "faults": self.faults,
            "forgiven": self.forgiven,
            "anomalies": self.count,
            "checks": [
                {
                    "promise": check.promise,
                    "checked": check.checked,
                    "anomalies": check.count,
                    "given_up": check.given_up,
                    "told": [anomaly.text for anomaly in check.anomalies],
                }
                for check in self.checks
            ],
        }

    def text(self) -> str:
        """For people: a line for each promise, and beneath it what was wrong."""
        lines = [f"{self.operations} operations, {self.orders} orders in the ledger, {self.faults} events of the nemesis"]
        if self.forgiven:
            lines.append(f"{self.forgiven} answers are of an older generation, whose loss was accepted: not judged")
        for check in self.checks:
            verdict = f"{check.count} WRONG" if check.count else "ok" if check.checked else "nothing to check"
            lines.append(f"  {verdict:>16}  {check.promise} ({check.checked})")
            lines += [f"      {anomaly.text}" for anomaly in check.anomalies]
            if check.given_up:
                lines.append(f"      {check.given_up} could not be decided: too many possibilities")
            if check.count > len(check.anomalies):
                lines.append(f"      and {check.count - len(check.anomalies)} more")
        lines.append(f"{self.count} anomalies" if self.count else "no anomaly")
        return "\n".join(lines)


def check(recording: Recording, final: Final, *, bound: int = BOUND, windows: int = 20) -> Report:
    """Hold a history against the ledger. `bound` is how stale a cached read may be, in nanoseconds; `windows` is how many
    stretches of the history are judged by a second, independent algorithm too."""
    by_index = shelves(final)
    checks = [
        *check_orders(recording, final.orders),
        *check_stock(final, by_index),
        check_shown(recording, by_index),
        *check_real_time(recording, final.orders, by_index),
        *check_staleness(recording, final.orders, bound),
        check_windows(recording, final, by_index, windows),
    ]
    return Report(recording.count, len(final.orders), recording.faults, recording.forgiven, checks)
