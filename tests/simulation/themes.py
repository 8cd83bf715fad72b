"""Patterns of faults that belong together: each is what some known mistake needs to come to light.

A theme shapes the cluster, and repeats its pattern through the whole run, each time with other delays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from random import Random
from typing import Any

from attrs import evolve, field, frozen

from tests.simulation.mischief import LEADER, points_of
from tests.simulation.plan import ANYONE, Fault, Plan
from toystore.consensus.settings import Limits

QUICK: dict[str, Any] = {"election_ticks": (5, 9), "heartbeat_ticks": 1, "resend_ticks": 2, "suspect_ticks": 10}
"""Ticks, for many elections in one run."""

Make = Callable[[Random, Plan], Iterator[Fault]]


@frozen
class Theme:
    name: str
    make: Make
    election: str = ""
    shape: Mapping[str, Any] = field(factory=dict)


def _times(plan: Plan, every: float) -> Iterator[float]:
    at = 1.0
    while at < plan.seconds:
        yield at
        at += every


def voters_of(plan: Plan) -> list[str]:
    return [f"order-{n + 1}" for n in range(plan.shape.voters)]


def _figure_8(random: Random, plan: Plan) -> Iterator[Fault]:
    """Leaders that fall with entries that few have, and come back (Raft 5.4.2, figure 8): some are alone with their clients
    at once, some die with the first acknowledgements."""
    for at in _times(plan, 0.5):
        kind, seconds = random.random(), random.uniform(0.1, 0.4)
        after = random.choice((random.uniform(0.002, 0.02), random.uniform(0.05, 0.25)))
        if kind < 0.4:
            elected = "somebody is elected"
            yield Fault("cut", "one", at, ANYONE, (), elected, after + 0.01)
            yield Fault("crash", "loses", at, ANYONE, (), elected, seconds, by=after)
        elif kind < 0.8:
            arrived = "an acknowledgement arrives"
            yield Fault("crash", "loses", at, ANYONE, (), arrived, seconds, by=random.uniform(0.0, 0.0005))


def _duel(random: Random, plan: Plan) -> Iterator[Fault]:
    """One voter is between two camps that do not hear one another. It is paused, so that both ask it in the same term;
    everything comes to it twice; and it dies when it has voted, to be back within milliseconds."""
    for at in _times(plan, 1.6):
        voters = voters_of(plan)
        random.shuffle(voters)
        between, *camp = voters
        half = len(camp) // 2
        seconds = random.uniform(0.7, 1.2)
        for voter in camp[:half]:
            yield Fault("cut", "pair", at, voter, tuple(camp[half:]), "", seconds)
        yield Fault("echo", "", at, ANYONE, (between,), "", seconds + 0.3, by=random.uniform(0.005, 0.05))
        yield Fault("pause", "", at, between, (), "", random.uniform(0.45, 0.8))
        for _ in range(2):
            if random.random() < 0.8:
                down, by = random.uniform(0.001, 0.02), random.uniform(0.0, 0.002)
                yield Fault("crash", "loses", at, between, (), "a vote is sent", down, by=by)


def _stale_tail(random: Random, plan: Plan) -> Iterator[Fault]:
    """A leader alone with its clients writes what will never be committed; the next one's heartbeats reach it before
    its appends do; and some fall as soon as they have dropped it."""
    for at in _times(plan, 2.5):
        alone, node = random.uniform(0.6, 1.5), random.choice(voters_of(plan))
        who = random.choice((LEADER, LEADER, node))
        yield Fault("cut", "one", at, who, (), "", alone)
        if random.random() < 0.5:
            yield Fault("crash", "keeps", at + alone - 0.05, node, (), "", random.uniform(0.02, 0.1))
        lost = random.uniform(0.2, 1.0)
        yield Fault(
            "drop", "appends", at + alone - 0.2, ANYONE, (random.choice((node, ANYONE)),), "", lost, random.uniform(0.5, 1.0)
        )
        if random.random() < 0.4:
            down, by = random.uniform(0.01, 0.1), random.uniform(0.001, 0.01)
            yield Fault("crash", "loses", at, ANYONE, (), "entries are dropped", down, by=by)


def _only_in(random: Random, plan: Plan) -> Iterator[Fault]:
    """Answers to the leader are lost, what it sends arrives: nobody else stands for election, and nothing commits."""
    for at in _times(plan, 3.0):
        seconds = random.uniform(0.8, 2.5)
        yield Fault(*random.choice((("cut", "in"), ("drop", "replies"))), at, LEADER, (), "", seconds, 1.0)
        if random.random() < 0.3:
            yield Fault("drop", "replies", at, ANYONE, (LEADER,), "", seconds, random.uniform(0.5, 1.0))


def _late_requests(random: Random, plan: Plan) -> Iterator[Fault]:
    """Requests of clients arrive when they are long given up, at a leader that serves; there is little in stock."""
    fronts = [f"front-{n + 1}" for n in range(plan.shape.fronts)]
    for at in _times(plan, 1.0):
        front, voter = random.choice(fronts), random.choice((ANYONE, *voters_of(plan)))
        kind, by = random.random(), random.uniform(0.4, 1.5)
        if kind < 0.5:
            yield Fault("delay", "of any kind", at, front, (voter,), "", random.uniform(0.2, 1.0), by=by)
        elif kind < 0.7:
            yield Fault("clog", "", at, front, (voter,), "", random.uniform(0.9, 2.5))
        elif kind < 0.85:
            yield Fault("drop", "of any kind", at, voter, (front,), "", random.uniform(0.2, 1.0), 0.5)
        else:
            yield Fault("transfer", "", at)


def _snapshots(random: Random, plan: Plan) -> Iterator[Fault]:
    """Somebody is away and needs a snapshot, which is interrupted, or comes from another leader than it began with."""
    nodes = [*voters_of(plan), *(f"catalog-{n + 1}" for n in range(plan.shape.learners))]
    for at in _times(plan, 2.0):
        node, seconds = random.choice(nodes), random.uniform(0.2, 1.5)
        way = random.choice(("wipe", "cut", "cut", "crash"))
        if way == "wipe":
            yield Fault("wipe", "", at, node, (), "", seconds)
        else:
            yield Fault(way, "one" if way == "cut" else "loses", at, node, (), "", seconds)
        yield Fault("compact", "", at + seconds * 0.9, LEADER)
        sent, installed = "a snapshot is sent", "a snapshot is installed"
        by, down = random.uniform(0, 0.02), random.uniform(0.05, 0.5)
        match random.randrange(6):
            case 0:
                yield Fault("crash", "loses", at, LEADER, (), sent, down, by=by)
            case 1:
                yield Fault("transfer", "", at, random.choice(voters_of(plan)), (), sent, by=by)
            case 2:
                yield Fault("crash", random.choice(("loses", "keeps")), at, node, (), installed, down, by=by)
            case 3:
                yield Fault("reorder", "", at + seconds, LEADER, (node,), "", 1.0, 0.4, by=0.2)
            case 4:
                yield Fault("duplicate", "", at + seconds, ANYONE, (node,), "", 1.0, 0.4, by=0.2)


def _register(random: Random, plan: Plan) -> Iterator[Fault]:
    """What the register has just stored, or is about to tell, is late, or old, or lost with its disk."""
    stored = "a view is stored"
    for at in _times(plan, 1.5):
        voters = voters_of(plan)
        node, other = random.sample(voters, 2)
        by = random.uniform(0.05, 0.5)
        yield Fault("crash", "loses", at, random.choice((LEADER, node)), (), "", random.uniform(0.1, 1.2))
        match random.randrange(5):
            case 0 | 1:  # told late to one, lost to the others, and then the disk is gone
                yield Fault("delay", "of any kind", at, REGISTER_NODE, (node,), "", 1.0, by=by)
                for third in voters:
                    if third != node:
                        yield Fault("drop", "pings", at, REGISTER_NODE, (third,), stored, 0.3, 1.0)
                yield Fault(
                    "register is lost", "", at, ANYONE, (), stored, random.uniform(0.01, 0.2), by=random.uniform(0, 0.004)
                )
            case 2:  # an old view comes after a newer one, or after a restart
                yield Fault("reorder", "", at, REGISTER_NODE, (node,), "", 1.2, 0.4, by=1.0)
                yield Fault("crash", "loses", at, node, (), "a term is saved", random.uniform(0.01, 0.1), by=by / 50)
            case 3:
                yield Fault("register dies", random.choice(("keeps", "loses")), at, ANYONE, (), stored, by, by=by / 100)
                yield Fault("cut", "one", at, other, (), "", by)
            case 4:
                yield Fault("register pauses", "", at, ANYONE, (), "a change is asked for", by * 2, by=by / 100)
                yield Fault("crash", "loses", at, LEADER, (), "a change is asked for", by, by=by / 50)


def _joining(random: Random, plan: Plan) -> Iterator[Fault]:
    """Replicas leave and join; something befalls the leader, or the one that joins, in between."""
    for at in _times(plan, 2.0):
        node, seconds = random.choice(voters_of(plan)), random.uniform(0.8, 1.6)
        yield Fault("cut", "one", at, node, (), "", seconds)
        moment = random.choice(("a change is asked for", "somebody joins", "somebody is dropped", "a view is stored"))
        by, down = random.choice((0.0, random.uniform(0, 0.01))), random.uniform(0.05, 1.5)
        match random.randrange(4):
            case 0:
                yield Fault("crash", "loses", at + seconds * 0.5, LEADER, (), moment, down, by=by)
            case 1:
                yield Fault("crash", "loses", at + seconds * 0.5, ANYONE, (), moment, down, by=by)
            case 2:
                yield Fault(
                    "cut", random.choice(("one", "in", "out", "register")), at + 0.3, LEADER, (), moment, down, by=by
                )
            case 3:
                yield Fault("stall", "", at + seconds * 0.8, node, (), "", down)
                yield Fault("crash", "loses", at + seconds + 0.5, LEADER, (), "", down)


def _old_leader(random: Random, plan: Plan) -> Iterator[Fault]:
    """A leader whose answers are late is left behind with one of the clients, which goes on reading there; the other one
    finds the next leader, and is acknowledged."""
    for at in _times(plan, 1.4):
        late, by = random.uniform(0.05, 0.4), random.uniform(0.02, random.choice((0.1, 0.3, 0.7)))
        yield Fault("delay", "replies", at, ANYONE, (LEADER,), "", late, by=by)
        with_it = (random.choice(("front-1", "front-2")),) if plan.election == "raft" else ("front-2",)
        yield Fault("cut", "halves", at + late, LEADER, with_it, "", random.uniform(0.5, 1.2))


def _flapping(random: Random, plan: Plan) -> Iterator[Fault]:
    """One goes and comes again and again, while old copies of what the leader asks for are under way to the register."""
    node = random.choice(voters_of(plan))
    for voter in voters_of(plan):
        yield Fault("reorder", "", 1.0, voter, (REGISTER_NODE,), "", plan.seconds, 0.4, by=1.5)
    for at in _times(plan, 0.7):
        yield Fault("crash", "loses", at, node, (), "", random.uniform(0.1, 0.3))


def _back_together(random: Random, plan: Plan) -> Iterator[Fault]:
    """The leader and the register were alone; all others are back at one moment, and what is asked for is slow."""
    for at in _times(plan, 3.0):
        alone = random.uniform(1.2, 2.0)
        yield Fault("cut", "halves", at, LEADER, (REGISTER_NODE,), "", alone)
        if random.random() < 0.5:
            by = random.uniform(0.02, 0.2)
            yield Fault("delay", "of any kind", at + alone - 0.1, LEADER, (REGISTER_NODE,), "", 1.0, by=by)
        else:
            asked = "a change is asked for"
            yield Fault("register pauses", "", at + alone - 0.1, ANYONE, (), asked, random.uniform(0.1, 0.3))
        if random.random() < 0.5:
            after, down = random.uniform(0.1, 0.6), random.uniform(0.3, 1.0)
            yield Fault("crash", "loses", at + alone + after, LEADER, (), "", down)


def _heir(random: Random, plan: Plan) -> Iterator[Fault]:
    """The highest is to join; the leader dies when something is committed that nobody else has been told of, and the next
    one when it has asked for the highest."""
    node = voters_of(plan)[-1]
    for at in _times(plan, 2.5):
        away = random.uniform(0.5, 0.9)
        yield Fault("cut", "one", at, node, (), "", away)
        yield Fault("crash", "loses", at + away, LEADER, (), "an entry is committed", random.uniform(0.5, 1.0))
        yield Fault("drop", "appends", at + away, ANYONE, (node,), "", 1.0, random.uniform(0.3, 0.9))
        down, by = random.uniform(0.5, 1.0), random.uniform(0.002, 0.006)
        yield Fault("crash", "loses", at + away + 0.05, ANYONE, (), "a change is asked for", down, by=by)


def _one_of_each(random: Random, plan: Plan) -> Iterator[Fault]:
    """Everything that can go wrong, one after the other, and a crash at every moment."""
    if plan.election == "raft":
        yield Fault("lie", "", 1.0, random.choice(voters_of(plan)), seconds=0.1)
    points = [point for point in points_of(plan.election, plan.whole) if point != "lie"]
    random.shuffle(points)
    step = (plan.seconds - 4.0) / len(points)
    for place, point in enumerate(points):
        at, seconds = 3.5 + place * step, random.uniform(0.5, 0.9) * step
        one, other = random.sample(voters_of(plan), 2)
        if point.startswith("when "):
            yield Fault("crash", "loses", at, ANYONE, (), point.removeprefix("when "), seconds)
        else:
            kind, _, way = point.partition(": ")
            who = random.choice((one, LEADER))
            by = 3600.0 if kind == "wall clock jumps" else 0.05
            yield Fault(kind, way, at, who, (other,), "", seconds, random.uniform(0.3, 1.0), by)


def _behind_the_log(random: Random, plan: Plan) -> Iterator[Fault]:
    """Leaders fall, and who comes next has not carried out yet what is committed."""
    for at in _times(plan, 1.6):
        yield Fault(
            "slow apply", "", at, random.choice((ANYONE, *voters_of(plan))), (), "", 1.0, by=random.uniform(0.03, 0.3)
        )
        kind = random.choice(("crash", "pause", "transfer"))
        who = random.choice(voters_of(plan)) if kind == "transfer" else LEADER
        yield Fault(kind, "loses" if kind == "crash" else "", at + random.uniform(0.1, 0.6), who, (), "", 0.7)


def _islands(random: Random, plan: Plan) -> Iterator[Fault]:
    """No replica hears another, for longer than clients wait; they go on asking all of them. What the leader has taken in by
    then is carried out when all is over."""
    for at in _times(plan, 6.0):
        for voter in voters_of(plan):
            yield Fault("cut", "one", at + random.uniform(0.0, 0.01), voter, (), "", random.uniform(2.5, 4.0))


REGISTER_NODE = "front-1"
"""The node that appoints, as links name it."""

_FEW = {"limits": Limits(append_entries=1, window=1), "keep_entries": 64}
_SMALL = {"keep_entries": 4, "snapshot_chunk": 700}

THEMES: tuple[Theme, ...] = (
    Theme("one of each", _one_of_each, "", QUICK),
    Theme("figure 8", _figure_8, "raft", {**QUICK, **_FEW, "rate": 8.0}),
    Theme("duel", _duel, "raft", QUICK),
    Theme("stale tail", _stale_tail, "", {**QUICK, "rate": 8.0}),
    Theme("only in", _only_in, "", QUICK),
    Theme("late requests", _late_requests, "", {**QUICK, "stock": 8, "rate": 8.0}),
    Theme("snapshots", _snapshots, "", {**QUICK, **_SMALL}),
    Theme("register", _register, "appointed", QUICK),
    Theme("joining", _joining, "appointed", QUICK),
    Theme("flapping", _flapping, "appointed", QUICK),
    Theme("back together", _back_together, "appointed", QUICK),
    Theme("heir", _heir, "appointed", {**QUICK, **_FEW, "voters": 3}),
    Theme("behind the log", _behind_the_log, "", {**QUICK, "reads": 0.5, "rate": 12.0}),
    Theme("islands", _islands, "", {**QUICK, "rate": 8.0}),
    Theme("old leader", _old_leader, "", {**QUICK, "reads": 0.7, "rate": 12.0}),
)


def known_under(election: str, themes: Iterable[Theme] = THEMES) -> dict[str, Theme]:
    """Those that make sense there, by their names."""
    return {theme.name: theme for theme in themes if theme.election in ("", election)}


def named(name: str, known: Mapping[str, Theme], election: str) -> Theme:
    """Raises ValueError."""
    if name not in known:
        raise ValueError(f"there is no theme {name!r} where leaders are {_CHOSEN[election]}; there are {', '.join(known)}")
    return known[name]


_CHOSEN = {"raft": "elected", "appointed": "appointed"}


def with_theme(plan: Plan, theme: Theme) -> tuple[Plan, list[Fault]]:
    """The plan in a cluster of the theme's shape, and the faults of the theme."""
    plan = evolve(plan, shape=evolve(plan.shape, **theme.shape))
    return plan, list(theme.make(plan.stream(f"theme/{theme.name}"), plan))
