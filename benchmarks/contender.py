"""What is measured: something that sells toys over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from attrs import frozen

from benchmarks.wrk import Volley

TOYS = ("Tux", "Whale", "Fox", "Python", "Barbie", "Lego", "Monopoly", "Frisbee", "Marbles", "Giraffe")
STOCK = 100_000_000
"""Of each toy: more than any run can sell."""

Kind = Literal["buy", "hit", "miss"]


@frozen
class Case:
    """A kind of request from so many clients, each of whom asks again as soon as it is answered."""

    kind: Kind
    connections: int

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.connections} client{'s' if self.connections > 1 else ''}"


CASES = tuple(Case("buy", n) for n in (1, 8, 64)) + tuple(Case(kind, n) for kind in ("hit", "miss") for n in (8, 64))


@frozen
class Served:
    """What a contender knows of its own work so far: units it has sold, lookups answered from a cache and not (None: it
    has no cache)."""

    sold: int
    hits: int | None = None
    misses: int | None = None


class Contender(Protocol):
    """Something that can be measured."""

    @property
    def label(self) -> str:
        """Its name in results."""

    @property
    def url(self) -> str:
        """Where its customers go."""

    def volley(self, kind: Kind) -> Volley:
        """The requests of this kind."""

    def served(self) -> Served:
        """Its books, read when nothing is under way."""

    def processes(self) -> Mapping[str, Sequence[int]]:
        """Its process ids, under the names by which their work is reported."""
