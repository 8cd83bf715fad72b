"""What a sweep has measured. Frozen values, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from attrs import frozen

from toystore.shop.events import Answer
from toystore.shop.sweep.plan import Plan
from toystore.shop.tally import Latency

HIT, MISS = "hit", "miss"

OWN_WRITE = "write"
READ_AFTER_OWN = "read after a write through the same front end"
READ_AFTER_OTHER = "first read after a write through another front end"
READ_AGAIN = "second read after it"
STEPS = (OWN_WRITE, READ_AFTER_OWN, READ_AFTER_OTHER, READ_AGAIN)
"""Of a write followed by reads of what was written."""


@frozen
class Counted:
    """Lookups as a front end counts them."""

    hits: int = 0
    misses: int = 0

    def __add__(self, other: Counted) -> Counted:
        return Counted(self.hits + other.hits, self.misses + other.misses)

    def __sub__(self, other: Counted) -> Counted:
        return Counted(self.hits - other.hits, self.misses - other.misses)


@frozen
class Round:
    """A crowd at one probability, with the cache or without it; a kind of which there was no request is None."""

    cache: bool
    probability: float
    latency: Mapping[str, Latency | None]
    counted: Counted


@frozen
class Bulk:
    """Requests of one kind, one after the other (`clients` 1) or by several at once, in `seconds` altogether."""

    cache: bool
    catalogs: int
    clients: int
    kind: str
    latency: Latency
    seconds: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.latency.count / self.seconds


@frozen
class Exercise:
    """Lookups of which is known what the cache makes of them, and what the front end counted."""

    latency: Latency
    counted: Counted


@frozen
class SlotEvent:
    """As a front end tells it at `/cache-events`, `at` in seconds of its clock."""

    number: int
    at: float
    slot: int
    event: str
    name: str
    replaced: str | None


@frozen
class SlotStory:
    """What the `capacity` slots held at first, by slot, and what happened to them then."""

    capacity: int
    first: Mapping[int, str]
    events: Sequence[SlotEvent]


@frozen
class Failover:
    """All requests around the death of the leader; the times are seconds of one clock, `began` is its zero."""

    leader: str
    successor: str | None
    began: float
    killed: float
    started: float
    answers: Sequence[Answer]

    @property
    def longest(self) -> Answer | None:
        """The request that took longest."""
        return max(self.answers, key=lambda answer: answer.seconds, default=None)

    @property
    def silence(self) -> float:
        """The longest time, in seconds, in which no order was carried out; 0 where there were fewer than two."""
        ends = sorted(a.at + a.seconds for a in self.answers if (a.kind, a.outcome) == ("buy", "2xx"))
        return max((later - sooner for sooner, later in pairwise(ends)), default=0.0)

    @property
    def failed(self) -> int:
        """Requests that got no answer, or one that says that the store can not."""
        return sum(answer.outcome not in ("2xx", "4xx") for answer in self.answers)


@frozen
class Setting:
    """Where and how it was measured; `products` are those that customers asked for."""

    date: str
    command: str
    machine: str
    version: str
    products: int


@frozen
class CacheStudy:
    """What the cache was seen to do: `exercises` by HIT and MISS, `after_writes` by STEPS."""

    exercises: Mapping[str, Exercise]
    after_writes: Mapping[str, Latency]
    slots: SlotStory


@frozen
class Results:
    """`study` is None where the cache was off. `verified` orders were as they were promised, `wrong` tells of the
    others."""

    plan: Plan
    setting: Setting
    rounds: Sequence[Round]
    study: CacheStudy | None
    bulks: Sequence[Bulk]
    failover: Failover
    verified: int
    wrong: Sequence[str]
