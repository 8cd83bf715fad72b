"""Which fault comes when: bursts without end, all from one seed. Pure.

A burst is some seconds of faults, a few at once, after which all are taken away and the store must recover. When the next
burst begins depends on how long that takes, so times count from the start of a burst; what happens in burst n depends on
the seed, the shape and n alone.

Kinds are dealt from a deck that holds each as often as it weighs, so that even a short run has some of many kinds.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from attrs import frozen

from toystore.torture.kinds import LEADER, ORDER, Draw, Kind


@frozen
class Shape:
    """The members a fault may hit, and how a burst goes: it lasts `seconds`, a fault begins every `every` on average."""

    orders: Sequence[str]
    others: Sequence[str]
    kinds: Sequence[Kind]
    seconds: float = 30.0
    every: float = 2.5

    @property
    def nodes(self) -> list[str]:
        return [*self.orders, *self.others]


@frozen
class Planned:
    """One fault: it begins `at` seconds after its burst and lasts `seconds`. `targets` are nodes in the order in which to
    take the first that is free; a kind that is aimed at the leader takes that one, and these where nobody leads."""

    number: int
    at: float
    seconds: float
    kind: Kind
    targets: tuple[str, ...]
    draw: Draw

    @property
    def ends(self) -> float:
        return self.at + self.seconds


Burst = tuple[Planned, ...]


def bursts(seed: int, shape: Shape) -> Iterator[Burst]:
    """The bursts of a run, in turn, without end."""
    rng = random.Random(f"torture {seed}")
    deck: list[Kind] = []
    number = 0
    while True:
        burst: list[Planned] = []
        at = rng.uniform(0, shape.every)
        while at < shape.seconds:
            if not deck:
                deck = _deck(shape.kinds, rng)
            number += 1
            burst.append(_planned(number, at, deck.pop(), shape, rng))
            at += rng.uniform(0.4, 1.6) * shape.every
        yield tuple(burst)


def _deck(kinds: Sequence[Kind], rng: random.Random) -> list[Kind]:
    deck = [kind for kind in kinds for _ in range(kind.weight)]
    rng.shuffle(deck)
    return deck


def _planned(number: int, at: float, kind: Kind, shape: Shape, rng: random.Random) -> Planned:
    """Most faults are short: the length is drawn evenly on a logarithmic scale, and cut at the end of the burst."""
    length = kind.shortest * (kind.longest / kind.shortest) ** rng.random()
    targets = list(shape.orders if kind.aim in (ORDER, LEADER) else shape.nodes)
    rng.shuffle(targets)
    draw = kind.draw(rng)
    return Planned(number, round(at, 3), round(min(length, shape.seconds - at), 3), kind, tuple(targets), draw)
