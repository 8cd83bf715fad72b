"""Which of the states that a point allows to look at, in what order: the telling ones first, then drawn ones, for ever."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from random import Random

from tests.disks.crash import GARBAGE, KEPT, LOST, ZEROS, Choice, Fate, Pending, Point, sectors
from tests.disks.trace import Write

FEW = 6
"""Of so many unsynced changes every subset is tried."""

SECTORS = (512, 4096)


def choices(point: Point, random: Random) -> Iterator[Choice]:
    """None of what waits; all; only the last; then, in an order that is drawn, all prefixes, all but one, one alone, every
    subset of a few, each write torn behind all before it; then whatever is drawn. Ends only where nothing waits."""
    free = [place for place, pending in enumerate(point.pending) if not pending.settled]
    fates = [KEPT] * len(point.pending)

    def closed(of_free: list[Fate]) -> Choice:
        for place, fate in zip(free, of_free, strict=True):
            fates[place] = fate
        return point.closed(fates)

    count = len(free)
    yield closed([LOST] * count)
    if not free:
        return
    yield closed([KEPT] * count)
    yield closed([LOST] * (count - 1) + [KEPT])
    plans = [("prefix", place) for place in range(1, count)]
    plans += [(kind, place) for kind in ("without", "alone", "torn", "torn off") for place in range(count)]
    if count <= FEW:
        plans += [("subset", number) for number in range(2**count)]
    random.shuffle(plans)
    for kind, number in plans:
        yield closed(_planned(kind, number, [point.pending[place] for place in free], random))
    while True:
        share, torn = random.choice((0.1, 0.5, 0.9)), random.choice((0, 0.2, 0.6))
        yield closed([_drawn(point.pending[place], random, share, torn) for place in free])


def _planned(kind: str, number: int, pending: list[Pending], random: Random) -> list[Fate]:
    count = len(pending)
    match kind:
        case "prefix":
            return [KEPT] * number + [LOST] * (count - number)
        case "without":
            return [KEPT] * number + [LOST] + [KEPT] * (count - number - 1)
        case "alone":
            return [LOST] * number + [KEPT] + [LOST] * (count - number - 1)
        case "torn":
            return [KEPT] * number + [_torn(pending[number], random)] + [KEPT] * (count - number - 1)
        case "torn off":
            return [KEPT] * number + [_torn(pending[number], random)] + [LOST] * (count - number - 1)
        case _:
            return [KEPT if number >> place & 1 else LOST for place in range(count)]


def _drawn(pending: Pending, random: Random, share: float, torn: float) -> Fate:
    if random.random() < torn:
        return _torn(pending, random)
    return KEPT if random.random() < share else LOST


def _torn(pending: Pending, random: Random) -> Fate:
    """Some of its sectors; of what has none, or one only, nothing."""
    change = pending.change
    if not isinstance(change, Write):
        return LOST
    if pending.grows and random.random() < 0.2:
        return random.choice((ZEROS, GARBAGE))
    size = random.choice(SECTORS)
    count = len(sectors(change, size))
    if count < 2:
        return LOST
    cut = random.randint(1, count - 1)
    begin, everything = (1 << cut) - 1, (1 << count) - 1
    return Fate(True, size, random.choice((begin, everything ^ begin, random.randint(1, everything - 1))))


def all_subsets(point: Point) -> Iterator[Choice]:
    """Every combination of whole changes, for small points."""
    for fates in product(*[(KEPT,) if pending.settled else (LOST, KEPT) for pending in point.pending]):
        yield point.closed(fates)
