"""What the network does to a packet on its way from one member to another. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import asdict, evolve, frozen

Pair = tuple[str, str]
"""From one member to another; the way back is a pair of its own."""


@frozen
class Conditions:
    """`loss` and `duplicate` are shares of the packets; `delay` and `jitter` are seconds, the jitter drawn anew for each
    packet: packets overtake one another where it is more than their distance. `cut`: nothing arrives."""

    cut: bool = False
    loss: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    duplicate: float = 0.0

    def and_also(self, other: Conditions) -> Conditions:
        """Both at once: what either cuts is cut, delays add up, of shares the larger one counts."""
        return Conditions(
            self.cut or other.cut,
            max(self.loss, other.loss),
            self.delay + other.delay,
            self.jitter + other.jitter,
            max(self.duplicate, other.duplicate),
        )


CLEAR = Conditions()
CUT = Conditions(cut=True)

Weather = Mapping[Pair, Conditions]
"""Pairs that are not named are clear."""


def fate(conditions: Conditions, rng: random.Random) -> tuple[float, ...]:
    """After how many seconds each copy of one packet arrives; empty where it is lost."""
    if conditions.cut or (conditions.loss and rng.random() < conditions.loss):
        return ()
    copies = 2 if conditions.duplicate and rng.random() < conditions.duplicate else 1
    if not conditions.delay and not conditions.jitter:
        return (0.0,) * copies
    return tuple(conditions.delay + conditions.jitter * rng.random() for _ in range(copies))


def together(layers: Iterable[Weather]) -> dict[Pair, Conditions]:
    """The weather under several faults at once."""
    found: dict[Pair, Conditions] = {}
    for layer in layers:
        for pair, conditions in layer.items():
            found[pair] = found.get(pair, CLEAR).and_also(conditions)
    return found


def between(some: Iterable[str], others: Iterable[str], conditions: Conditions = CUT) -> dict[Pair, Conditions]:
    """These conditions both ways between each of `some` and each of `others`."""
    found = {}
    for one in some:
        for other in others:
            if one != other:
                found[one, other] = found[other, one] = conditions
    return found


def one_way(some: Iterable[str], others: Iterable[str], conditions: Conditions = CUT) -> dict[Pair, Conditions]:
    """These conditions from each of `some` to each of `others`; the way back is clear."""
    return {(one, other): conditions for one in some for other in list(others) if one != other}


def ring(members: Iterable[str]) -> dict[Pair, Conditions]:
    """Each reaches only its two neighbours in a circle: there are paths between all, but nobody sees everybody."""
    circle = list(members)
    near = {frozenset((circle[i], circle[i - 1])) for i in range(len(circle))}
    return {(one, other): CUT for one in circle for other in circle if one != other and frozenset((one, other)) not in near}


# On the wire to the switch: a list of [from, to, conditions] --------------------------------------------------------


def to_list(weather: Weather) -> list[list[Any]]:
    return [[*pair, asdict(conditions)] for pair, conditions in weather.items()]


def from_list(rows: Iterable[Iterable[Any]]) -> dict[Pair, Conditions]:
    """Raises TypeError, ValueError."""
    return {(str(one), str(other)): evolve(CLEAR, **conditions) for one, other, conditions in rows}
