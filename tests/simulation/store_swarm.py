"""What goes wrong in a run of the whole store: in most of them one theme, which makes one kind of trouble often, and little
else, so that the patterns it is about are met many times; in the others everything that there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from tests.simulation.mischief import LEADER, WHOLE
from tests.simulation.plan import ANYONE, Fault, Plan

MIXED = "mixed"


def some_theme(plan: Plan) -> str:
    return plan.stream("faults/store theme").choice((MIXED, MIXED, *_THEMES))


def store_faults(plan: Plan, theme: str) -> Iterator[Fault]:
    """Raises ValueError where there is no such theme."""
    if theme not in (MIXED, *_THEMES):
        raise ValueError(f"there is no theme {theme!r} of the whole store; there are {MIXED}, {', '.join(_THEMES)}")
    for name, make in _THEMES.items():
        random = plan.stream(f"faults/store/{name}")
        if name == theme:
            yield from make(random, plan, random.uniform(0.3, 1.0))
        elif (theme == MIXED or name == "front ends") and random.random() < 0.3:
            yield from make(random, plan, random.uniform(0.03, 0.2))


def _times(random: Random, rate: float, plan: Plan) -> Iterator[float]:
    at = random.expovariate(rate)
    while at < plan.seconds:
        yield at
        at += random.expovariate(rate)


def _names(plan: Plan) -> list[str]:
    """Of the catalogs."""
    return [f"catalog-{catalog + 1}" for catalog in range(plan.shape.learners)]


def _catalog(random: Random, plan: Plan) -> str:
    return f"catalog-{random.randint(1, plan.shape.learners)}"


def _front(random: Random, plan: Plan) -> str:
    return f"front-{random.randint(1, plan.shape.fronts)}"


def _moment(random: Random) -> str:
    return random.choice(("", *WHOLE))


def _feeds(random: Random, plan: Plan, rate: float) -> Iterator[Fault]:
    for at in _times(random, 1.5 * rate, plan):
        kind = random.choice(("feed breaks", "feed breaks", "feed is cut", "feed is cut", "feed is silent", "feed unread"))
        who = random.choice((ANYONE, _front(random, plan), _catalog(random, plan)))
        seconds = random.choice((0.1, 0.5, 2.5, 4.0)) * random.uniform(0.5, 1.0)
        yield Fault(kind, "", at, who, (), _moment(random), seconds, 0.0, random.choice((0.0, random.uniform(0, 0.1))))


def _late_answers(random: Random, plan: Plan, rate: float) -> Iterator[Fault]:
    for name in _names(plan):
        share, by = random.uniform(0.2, 0.8), random.choice((0.05, 0.3, 1.0)) * random.uniform(0.5, 1.0)
        yield Fault("late answers", "", 0.0, name, (), "", plan.seconds, share, by)
    for at in _times(random, rate, plan):
        who, moment = random.choice((ANYONE, _front(random, plan))), random.choice(("", "a lookup is asked"))
        yield Fault("feed is cut", "", at, who, (), moment, random.choice((0.05, 0.3, 1.0)), 0.0, 0.0)


def _behind(random: Random, plan: Plan, rate: float) -> Iterator[Fault]:
    """A catalog misses more than the leader's log keeps, while front ends go on following it."""
    for at in _times(random, 0.7 * rate, plan):
        who, way, seconds = _catalog(random, plan), random.choice(("one", "in", "out")), random.uniform(0.3, 2.4)
        yield Fault("cut", way, at, who, (), random.choice(("", "", *WHOLE[:1])), seconds)
        for part in (0.5, 0.9):
            yield Fault("compact", at=at + part * seconds, who=LEADER)


def _alone(random: Random, plan: Plan, rate: float) -> Iterator[Fault]:
    """Catalogs hear no replica for longer than anything may be old, and front ends hear them."""
    for at in _times(random, 0.25 * rate, plan):
        seconds, all_of_them, way = random.uniform(2.5, 8.0), random.random() < 0.6, random.choice(("one", "in"))
        first = _catalog(random, plan)
        for name in _names(plan):
            if all_of_them or name == first:
                yield Fault("cut", way, at, name, (), "", seconds)


def _deposed(random: Random, plan: Plan, rate: float) -> Iterator[Fault]:
    """The leader is left with catalogs and a front end; others elect another."""
    names = _names(plan)
    for at in _times(random, 0.25 * rate, plan):
        camp = random.sample(names, random.randint(1, len(names))) + random.choice(([], [_front(random, plan)]))
        yield Fault("cut", "halves", at, LEADER, tuple(sorted(camp)), "", random.uniform(2.0, 8.0))


def _deaf(random: Random, plan: Plan, rate: float) -> Iterator[Fault]:
    """A front end hears no catalog for longer than anything in its cache may be used."""
    for at in _times(random, 0.3 * rate, plan):
        yield Fault("cut", "pair", at, _front(random, plan), tuple(_names(plan)), "", random.uniform(3.5, 8.0))


def _fronts(random: Random, plan: Plan, rate: float) -> Iterator[Fault]:
    for at in _times(random, rate, plan):
        moment = _moment(random)
        who, by = ANYONE if moment in WHOLE[1::2] else _front(random, plan), random.choice((0.0, random.uniform(0, 0.01)))
        moment = moment if who == ANYONE else ""
        if random.random() < 0.6:
            yield Fault("front end dies", "", at, who, (), moment, random.uniform(0.01, 1.0), 0.0, by)
        else:
            yield Fault("front end pauses", "", at, who, (), moment, random.choice((0.2, 2.0)) * random.random(), 0.0, by)


def _catalogs(random: Random, plan: Plan, rate: float) -> Iterator[Fault]:
    for at in _times(random, rate, plan):
        kind, way = random.choice((("crash", "loses"), ("crash", "keeps"), ("stall", ""), ("pause", ""), ("wipe", "")))
        moment = random.choice(("", WHOLE[0], WHOLE[2]))
        who = random.choice((ANYONE, _catalog(random, plan))) if moment else _catalog(random, plan)
        by = random.choice((0.0, random.uniform(0, 0.005)))
        yield Fault(kind, way, at, who, (), moment, random.choice((0.02, 0.3, 1.5)) * random.uniform(0.3, 1.0), 0.0, by)


def _bursts(random: Random, plan: Plan, rate: float) -> Iterator[Fault]:
    """A catalog gets nothing for a while, then much at once: it applies many entries together."""
    for at in _times(random, rate, plan):
        kind, way = random.choice((("stall", ""), ("cut", "in"), ("cut", "one")))
        yield Fault(kind, way, at, _catalog(random, plan), (), "", random.uniform(0.1, 1.0))


def _slow_disks(random: Random, plan: Plan, rate: float) -> Iterator[Fault]:
    """Of a catalog, for long: it hears the leader, and carries out nothing."""
    for at in _times(random, 0.2 * rate, plan):
        yield Fault("stall", "", at, _catalog(random, plan), (), "", random.uniform(2.0, 8.0))


def _repeats(random: Random, plan: Plan, rate: float) -> Iterator[Fault]:
    """Answers of the leader are lost: its clients send again what was carried out."""
    share = random.uniform(0.05, 0.4)
    for front in range(plan.shape.fronts):
        yield Fault(
            "drop", "of any kind", 0.0, ANYONE, (f"front-{front + 1}",), "", plan.seconds, share * random.random(), 0.0
        )
    for at in _times(random, 0.3 * rate, plan):
        voter = f"order-{random.randint(1, plan.shape.voters)}"
        front, seconds, by = _front(random, plan), random.uniform(0.5, 2.0), random.uniform(0.1, 0.5)
        yield Fault("delay", "of any kind", at, voter, (front,), "", seconds, 0.0, by)


_THEMES: dict[str, Callable[[Random, Plan, float], Iterator[Fault]]] = {
    "feeds": _feeds,
    "late answers": _late_answers,
    "behind": _behind,
    "alone": _alone,
    "deposed": _deposed,
    "front ends": _fronts,
    "catalogs": _catalogs,
    "bursts": _bursts,
    "slow disks": _slow_disks,
    "repeats": _repeats,
    "deaf": _deaf,
}
