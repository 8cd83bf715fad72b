"""Patterns of faults for the core, beside those of `simulation.themes`."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.core.points import core_points
from tests.simulation.mischief import ALL, LEADER, REGISTER
from tests.simulation.plan import ANYONE, Fault, Plan
from tests.simulation.themes import QUICK, REGISTER_NODE, Theme, voters_of
from toystore.consensus.settings import Limits


def _times(random: Random, plan: Plan, every: float) -> Iterator[float]:
    at = 1.0
    while at < plan.seconds:
        yield at
        at += every * random.uniform(0.8, 1.2)


def _late_pings(random: Random, plan: Plan) -> Iterator[Fault]:
    """Leadership is handed over; the register has stored the view that says so and tells it to one, late; then its disk is
    gone. Whoever takes over must have been promised that what the first one says comes too late."""
    stored = "a view is stored"
    for at in _times(random, plan, 1.3):
        node, *others = random.sample(voters_of(plan), plan.shape.voters)
        yield Fault("transfer", "", at, node)
        yield Fault(
            "delay", "of any kind", at, REGISTER_NODE, (node,), "", random.uniform(0.2, 0.6), by=random.uniform(0.03, 0.4)
        )
        for third in others:
            lost = random.choice((1.0, 1.0, random.random()))
            yield Fault("drop", "pings", at, REGISTER_NODE, (third,), "", random.uniform(0.2, 0.4), lost)
        by = random.choice((0.0, random.uniform(0.0, 0.003)))
        yield Fault("register is lost", "", at, ANYONE, (), stored, random.uniform(0.005, 0.15), by=by)
        if random.random() < 0.3:
            down = random.uniform(0.001, 0.03)
            yield Fault(
                "crash", "loses", at, random.choice(others), (), "a term is saved", down, by=random.uniform(0.0, 0.002)
            )


def _late_answers(random: Random, plan: Plan) -> Iterator[Fault]:
    """A leader is cut off while answers to what it has asked are under way: they keep it in office for a while, in which
    somebody else may lead, and its clients go on reading."""
    for at in _times(random, plan, 1.4):
        cut_at = at + random.uniform(0.02, 0.1)
        yield Fault(
            "delay", "replies", at, ANYONE, (LEADER,), "", cut_at - at + 0.01, by=random.choice((0.05, 0.15, 0.35, 0.5))
        )
        yield Fault("cut", "one", cut_at, LEADER, (), "", random.uniform(0.5, 1.1))


def _founding(random: Random, plan: Plan) -> Iterator[Fault]:
    """When all begins, some are not there yet, or do not hear one another, or fall as soon as they have begun."""
    for voter in voters_of(plan):
        at = random.uniform(0.0, 0.3)
        match random.randrange(5):
            case 0:
                yield Fault("crash", random.choice(("loses", "keeps")), 0.0, voter, (), "", random.uniform(0.1, 3.0))
            case 1:
                yield Fault("cut", "one", 0.0, voter, (), "", random.uniform(0.3, 3.0))
            case 2:
                moment = random.choice(("a term is saved", "entries are saved", "entries are acknowledged"))
                yield Fault("crash", "loses", at, voter, (), moment, random.uniform(0.01, 0.5), by=random.uniform(0, 0.003))
            case 3:
                yield Fault("pause", "", at, voter, (), "", random.uniform(0.1, 1.5))
    for at in _times(random, plan, 4.0):
        yield Fault("wipe", "", at, random.choice(voters_of(plan)), (), "", random.uniform(0.02, 1.0))


def _forgetting(random: Random, plan: Plan) -> Iterator[Fault]:
    """Disks that lie, are wiped, or fail to sync, with nothing else wrong."""
    at = 2.0
    while at < plan.seconds - 4.0:
        voter = random.choice(voters_of(plan))
        if random.random() < 0.6:
            yield Fault("lie", "", at, voter, (), "", random.uniform(0.05, 0.6))
        else:
            yield Fault(random.choice(("wipe", "failed sync")), "", at, random.choice((LEADER, voter)), (), "", 0.2)
        at += random.uniform(3.0, 4.5)


def _alone_with_the_register(random: Random, plan: Plan) -> Iterator[Fault]:
    """One replica and the register are cut off from the others: it leads, soon with nobody else in sync. Then it dies and
    the register's disk is gone, and the others, who know of none of this, are back: they must wait for it."""
    at = 1.5
    while at < plan.seconds - 4.0:
        alone, seconds = random.choice(voters_of(plan)), random.uniform(1.2, 1.9)
        yield Fault("cut", "halves", at, alone, (REGISTER_NODE,), "", seconds)
        gone = at + seconds - random.uniform(0.01, 0.1)
        yield Fault("register is lost", "", gone, REGISTER, (), "", random.uniform(0.01, 0.15))
        yield Fault("crash", "loses", gone + 0.001, alone, (), "", random.uniform(0.6, 1.5))
        at += seconds + random.uniform(1.5, 2.5)


def _slow_and_behind(random: Random, plan: Plan) -> Iterator[Fault]:
    """Disks stall while the log is cut down: a snapshot is sent to one that has what is in it already, and more."""
    for at in _times(random, plan, 1.0):
        node, seconds = random.choice(voters_of(plan)), random.uniform(0.15, 0.8)
        yield Fault("stall", "", at, node, (), "", seconds)
        yield Fault("compact", "", at + seconds * random.uniform(0.5, 1.0), LEADER)
        if random.random() < 0.5:
            late = random.uniform(0.05, 0.4)
            yield Fault("delay", random.choice(("of any kind", "replies")), at, node, (ANYONE,), "", seconds, by=late)


def _late_acknowledgements(random: Random, plan: Plan) -> Iterator[Fault]:
    """What one replica acknowledges comes so late that it is sent no more; the other one is cut off, so that what is
    committed is part of what the first one has; and the log is cut there. The first one is sent a snapshot of what it has,
    while its acknowledgements of more are under way."""
    for at in _times(random, plan, 1.3):
        late, other = random.sample(voters_of(plan), 2)
        yield Fault("delay", "replies", at, late, (ANYONE,), "", 0.6, by=random.uniform(0.3, 0.5))
        yield Fault("delay", "replies", at, other, (ANYONE,), "", 0.6, by=random.uniform(0.03, 0.1))
        alone = at + random.uniform(0.1, 0.3)
        yield Fault("cut", "one", alone, other, (), "", 0.6)
        yield Fault("compact", "", alone + random.uniform(0.05, 0.2), LEADER)


def _one_of_each(random: Random, plan: Plan) -> Iterator[Fault]:
    """All that the catalogue has, and a crash at each moment, in any order; what needs a calm time may not come to be."""
    points = list(core_points(plan.election))
    random.shuffle(points)
    step = (plan.seconds - 2.0) / len(points)
    for count, point in enumerate(points):
        at, seconds = 1.0 + count * step, random.uniform(0.1, 0.6)
        voter, other = random.sample(voters_of(plan), 2)
        if point.startswith("when "):
            by = random.uniform(0.0, 0.01)
            yield Fault("crash", "loses", at, ANYONE, (), point.removeprefix("when "), random.uniform(0.01, 0.3), by=by)
            continue
        kind, _, way = point.partition(": ")
        who = ALL if kind in ("restart of all", "rolling restart") else voter
        share, by = random.uniform(0.2, 1.0), random.uniform(0.01, 0.1)
        yield Fault(
            kind, way, at, who, (other,) if kind != "cut" or way in ("halves", "pair") else (), "", seconds, share, by
        )


_PIPELINED = {
    "limits": Limits(append_entries=1, window=8), "keep_entries": 64, "snapshot_chunk": 100_000, "election_ticks": (10, 20),
    "resend_ticks": 6, "voters": 3, "rate": 16.0, "reads": 0.1,
}  # fmt: skip

THEMES = (
    Theme("one of each", _one_of_each),
    Theme("late pings", _late_pings, "appointed", {**QUICK, "suspect_ticks": 20}),
    Theme("late answers", _late_answers, "", {**QUICK, "rate": 8.0, "reads": 0.5}),
    Theme("founding", _founding, "", QUICK),
    Theme("alone with the register", _alone_with_the_register, "appointed", QUICK),
    Theme("slow and behind", _slow_and_behind, "", {**QUICK, "keep_entries": 4, "snapshot_chunk": 4_000, "rate": 8.0}),
    Theme("late acknowledgements", _late_acknowledgements, "", _PIPELINED),
    Theme("forgetting", _forgetting, "raft", {"hand_over_ticks": None, "rate": 8.0}),
)
