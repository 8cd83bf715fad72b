"""What a sweep measures. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from attrs import frozen

MOST_PROBABILITIES = 101
BULK_CLIENTS = 5
"""Customers at once, where requests of one kind are sent concurrently."""


@frozen
class Plan:
    """`probabilities` are of an order after a lookup; `caches` says whether to measure with the cache, without, or both;
    `iterations` are of each client at each probability; `requests` are of each kind in the measurements in bulk."""

    dialect: str
    probabilities: tuple[float, ...]
    caches: tuple[bool, ...]
    clients: int = 5
    iterations: int = 50
    requests: int = 1000
    cache_size: int = 5
    seed: int = 1

    @property
    def writes(self) -> int:
        """How often a write followed by a read is measured."""
        return max(10, self.requests // 10)


def parse_probabilities(text: str) -> tuple[float, ...]:
    """`0:0.8:0.2` (first, last, step; both ends included), `0,0.4,1` or `0.4`. Raises ValueError, saying what is wrong."""
    expected = "FIRST:LAST:STEP such as 0:0.8:0.2, or numbers such as 0,0.4"
    try:
        numbers = [Decimal(part) for part in text.replace(":", ",").split(",")]
    except InvalidOperation:
        raise ValueError(f"{text!r} is not {expected}") from None
    if ":" in text:
        if len(numbers) != 3 or "," in text:
            raise ValueError(f"{text!r} is not {expected}")
        numbers = _range(*numbers)
    if not all(number.is_finite() and 0 <= number <= 1 for number in numbers):
        raise ValueError(f"{text!r}: a probability is from 0 to 1")
    if len(set(numbers)) != len(numbers):
        raise ValueError(f"{text!r} names a probability twice")
    return tuple(float(number) for number in numbers)


def _range(first: Decimal, last: Decimal, step: Decimal) -> list[Decimal]:
    if not (first.is_finite() and last.is_finite() and step.is_finite()) or step <= 0 or last < first:
        raise ValueError(f"{first}:{last}:{step}: the first must not be above the last, and the step must be above 0")
    count = int((last - first) / step) + 1
    if count > MOST_PROBABILITIES:
        raise ValueError(f"{first}:{last}:{step} are {count} probabilities; at most {MOST_PROBABILITIES} are measured")
    return [first + step * n for n in range(count)]


def parse_caches(text: str) -> tuple[bool, ...]:
    """`on,off`, `on` or `off`. Raises ValueError."""
    names = text.split(",")
    if not set(names) <= {"on", "off"} or len(set(names)) != len(names):
        raise ValueError(f"{text!r} is not on, off, or on,off")
    return tuple(name == "on" for name in names)
