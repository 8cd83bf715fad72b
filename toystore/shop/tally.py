"""What shoppers saw: how long each kind of request took and what came of it."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from attrs import Factory, asdict, define, fields, frozen

KINDS = ("lookup", "buy", "order query")
OUTCOMES = ("2xx", "4xx", "5xx", "reset", "timeout", "unreachable")
"""What becomes of a request: a class of answer, a connection that broke, no answer in time, no connection at
all."""


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the values that at least this share of them does not exceed (nearest rank). Needs one
    value."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@frozen
class Latency:
    """Of `count` answered requests; all others in milliseconds."""

    count: int
    avg: float
    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Latency | None:
        """None where there was no answer."""
        ordered = sorted(seconds)
        if not ordered:
            return None
        p50, p95, p99, longest = (round(1000 * percentile(ordered, share), 3) for share in (0.5, 0.95, 0.99, 1.0))
        return cls(len(ordered), round(1000 * sum(ordered) / len(ordered), 3), p50, p95, p99, longest)


FIGURES = tuple(field.name for field in fields(Latency))


@define
class Tally:
    """Latencies are in seconds and of answered requests; `longest` is the longest wait of any request, also
    of one that was never answered."""

    latencies: dict[str, array[float]] = Factory(lambda: {kind: array("d") for kind in KINDS})
    outcomes: dict[str, Counter[str]] = Factory(lambda: {kind: Counter() for kind in KINDS})
    longest: float = 0.0
    longest_kind: str = ""
    orders: int = 0

    def count(self, kind: str, outcome: str, seconds: float) -> None:
        """One request has come to its end."""
        self.outcomes[kind][outcome] += 1
        if outcome in ("2xx", "4xx", "5xx"):
            self.latencies[kind].append(seconds)
        if seconds > self.longest:
            self.longest, self.longest_kind = seconds, kind

    def total(self, outcome: str | None = None) -> int:
        """How many requests came to this outcome; None for all."""
        return sum(
            count for kind in self.outcomes.values() for found, count in kind.items() if outcome is None or found == outcome
        )

    def latency(self, kind: str) -> dict[str, float | int | None]:
        """`count`, and in milliseconds `avg`, `p50`, `p95`, `p99`, `max` (None where there was no answer)."""
        latency = Latency.of(self.latencies[kind])
        return {**dict.fromkeys(FIGURES), "count": 0} if latency is None else asdict(latency)

    def report(self) -> dict[str, Any]:
        """All of it as a JSON object; times in milliseconds."""
        return {
            "requests": self.total(),
            "orders": self.orders,
            "latency_ms": {kind.replace(" ", "_"): self.latency(kind) for kind in KINDS},
            "outcomes": {kind.replace(" ", "_"): {name: self.outcomes[kind][name] for name in OUTCOMES} for kind in KINDS},
            "longest_ms": round(1000 * self.longest, 3),
            "longest_kind": self.longest_kind.replace(" ", "_") or None,
        }
