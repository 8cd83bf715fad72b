"""Draws a plan from a seed: what the cluster is like, which faults it has, how strong they are and when they come.

Each kind of fault is there or not, and mild or strong, by a stream of its own, so that runs differ in kind and not only in
detail (swarm testing: Groce et al., ISSTA 2012); to take one away changes no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

from attrs import evolve

from tests.simulation.mischief import ALL, LEADER, REGISTER, moments_of
from tests.simulation.plan import ANYONE, Fault, Plan, Shape
from tests.simulation.store_swarm import MIXED, some_theme, store_faults
from tests.simulation.themes import known_under, named, with_theme
from toystore.consensus.settings import Limits

SECONDS = 27.0
"""For how long things go wrong; with the rest that follows, some 30 s."""

THEMED = 0.6
"""The share of runs that have one theme, and little beside it: where everything goes wrong at once, each pattern of faults
comes once or never."""

DROPS = ("of any kind", "of any kind", "appends", "heartbeats", "replies", "votes", "pings")


def draw(seed: int, election: str = "raft", theme: str = "", *, whole: bool = False) -> Plan:
    """The plan of this seed; with a `theme`, one that has it. Raises ValueError where there is none of that name."""
    plan = Plan(seed, election, whole, SECONDS)
    plan = evolve(plan, shape=_shape(plan.stream("shape"), whole))
    faults: list[Fault] = []
    choice = plan.stream("theme")
    themed = choice.random() < THEMED or bool(theme)
    if whole:
        theme = theme or some_theme(plan)
        themed = theme != MIXED
        faults += store_faults(plan, theme)
    elif themed:
        known = known_under(election)
        some = choice.choice(list(known))
        plan, faults = with_theme(plan, named(theme or some, known, election))
    sleep = plan.stream("faults/sleep")
    if not themed and sleep.random() < 0.06:
        plan = evolve(plan, seconds=SECONDS + 40.0)
        faults.append(_sleep(sleep))
    few = choice.sample(sorted(_SWARM), choice.choice((0, 1, 2)))
    for name, (chance, low, high, make) in _SWARM.items():
        random = plan.stream(f"faults/{name}")
        on, rate = random.random() < chance, random.uniform(low, high)
        if on and (name in few or not themed):
            faults += make(random, low if themed else rate, plan)
    return evolve(plan, faults=tuple(sorted(faults, key=lambda fault: fault.at)))


def _shape(random: Random, whole: bool) -> Shape:
    limits = Limits(
        append_entries=random.choice((2, 8, 64)),
        append_bytes=random.choice((500, 4_000, 100_000)),
        window=random.choice((1, 2, 4)),
        uncommitted_bytes=random.choice((2_000, 20_000, 1_000_000)),
        apply_entries=random.choice((1, 7, 1024)),
    )
    voters = random.choice((3, 3, 3, 5))
    return Shape(
        voters=voters,
        learners=(2 if voters == 3 else 1) if whole else 5 - voters,
        fronts=2,
        rate=random.choice((0.7, 1.5, 3.0) if whole else (2.0, 4.0, 8.0)),
        stock=random.choice((8, 60, 200)),
        cache_size=random.choice((1, 2, 3, 5)),
        max_floors=random.choice((1, 2, 4, 100)),
        feed_waiting=random.choice((1, 4, 64)) if whole else 64,
        restock=random.choice((0.0, 0.0, 3.0)) if whole else 0.0,
        election_ticks=random.choice(((6, 10), (8, 14), (10, 20))),
        hand_over_ticks=random.choice((None, None, 40)),
        keep_entries=random.choice((4, 16, 64)),
        scrub_every=random.choice((0.0, 1.0, 5.0)),
        snapshot_chunk=random.choice((700, 4_000, 100_000)),
        limits=limits,
    )


Make = Callable[[Random, float, Plan], Iterator[Fault]]


def _times(random: Random, rate: float, plan: Plan) -> Iterator[float]:
    """When they come: `rate` times a second in the mean, at any moment."""
    at = random.expovariate(rate)
    while at < plan.seconds:
        yield at
        at += random.expovariate(rate)


def _replica(random: Random, plan: Plan) -> str:
    """The leader more often than others: what befalls it matters most."""
    shape = plan.shape
    names = [*(f"order-{n + 1}" for n in range(shape.voters)), *(f"catalog-{n + 1}" for n in range(shape.learners))]
    anyone = random.choice(names)
    return LEADER if random.random() < 0.35 else anyone


def _voter(random: Random, plan: Plan) -> str:
    return f"order-{random.randint(1, plan.shape.voters)}"


def _moment(random: Random, plan: Plan, share: float = 0.5) -> str:
    moment = random.choice(moments_of(plan.election))
    return moment if random.random() < share else ""


# Links


def _everywhere(kind: str, low: float, high: float, lateness: float = 0.0, ways: Sequence[str] = ("",)) -> Make:
    """On all links, for the whole run; or on some, for a while; the first of the `ways` for the whole run."""

    def make(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
        way = ways[0]
        share, by = random.uniform(low, high), random.uniform(0.05, max(lateness, 0.05)) if lateness else 0.0
        if random.random() < 0.5:
            yield Fault(kind, way, who=ANYONE, whom=(ANYONE,), seconds=plan.seconds, share=share, by=by)
            return
        for at in _times(random, rate, plan):
            one, other = _voter(random, plan), random.choice((ANYONE, _voter(random, plan), "front-1"))
            who, whom = (one, other) if random.random() < 0.5 else (other, one)
            seconds = random.uniform(0.3, 3.0)
            way = random.choice(ways)
            yield Fault(kind, way, at, who, (whom,), "", seconds, min(1.0, 3 * share), by)

    return make


def _delays(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    for at in _times(random, rate, plan):
        one, other = _voter(random, plan), random.choice((ANYONE, _voter(random, plan)))
        who, whom = (one, other) if random.random() < 0.5 else (other, one)
        yield Fault(
            "delay",
            "of any kind",
            at=at,
            who=who,
            whom=(whom,),
            seconds=random.uniform(0.5, 4.0),
            by=random.uniform(0.005, 0.2),
        )


def _clogs(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    for at in _times(random, rate, plan):
        one, other = _voter(random, plan), random.choice((ANYONE, _voter(random, plan), "front-1"))
        who, whom = (one, other) if random.random() < 0.5 else (other, one)
        yield Fault("clog", at=at, who=who, whom=(whom,), seconds=random.uniform(0.1, 2.0))


def _half_open(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    for at in _times(random, rate, plan):
        yield Fault("half-open", at=at, who=_voter(random, plan), seconds=random.uniform(1.0, 6.0))


def _cuts(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    ways = ["one", "one", "in", "out", "pair", "halves", "ring", "clients"]
    ways += ["register", "register"] if plan.election == "appointed" else []
    for at in _times(random, rate, plan):
        way, who, seconds = random.choice(ways), _replica(random, plan), random.uniform(0.2, 2.5)
        other, moment = _voter(random, plan), _moment(random, plan, 0.25)
        camp = tuple(sorted({_voter(random, plan), _voter(random, plan), "front-1"} if way == "halves" else {other}))
        yield Fault("cut", way, at, ANYONE if moment else who, camp if way in ("halves", "pair") else (), moment, seconds)


# Processes


def _crashes(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    for at in _times(random, rate, plan):
        way = random.choice(("loses", "loses", "keeps", "keeps a part", "tears"))
        seconds, share, by = random.choice((0.02, 0.3, 1.5)) * random.uniform(0.3, 1.0), random.random(), 0.0
        who, moment = _replica(random, plan), _moment(random, plan)
        if moment:
            who, by = random.choice((ANYONE, who)), random.choice((0.0, random.uniform(0, 0.005), random.uniform(0, 0.05)))
        yield Fault("crash", way, at, who, (), moment, seconds, share, by)


def _relapses(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    """Whoever votes dies at once, and is back within milliseconds: the one moment at which a vote can be given twice."""
    for at in _times(random, rate, plan):
        moment = random.choice(("a term is saved", "a vote is sent", "a vote is asked for"))
        who = random.choice((ANYONE, _voter(random, plan)))
        yield Fault(
            "crash", "loses", at, who, (), moment, random.uniform(0.001, 0.03), 0.0, random.uniform(0, 0.004)
        )  # fmt: skip


def _just_elected(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    for at in _times(random, rate, plan):
        kind, way = random.choice((("crash", "loses"), ("crash", "keeps"), ("pause", ""), ("cut", "one"), ("stall", "")))
        seconds, by = random.uniform(0.1, 1.5), random.choice((0.0, random.uniform(0, 0.1)))
        yield Fault(kind, way, at, ANYONE, (), "somebody is elected", seconds, 0.0, by)


def _restarts(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    for at in _times(random, rate, plan):
        way, seconds, share = random.choice(("loses", "keeps")), random.uniform(0.02, 0.6), random.random()
        yield Fault("restart of all", way, at, ALL, (), "", seconds, share)


def _rolling(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    for at in list(_times(random, rate, plan))[:2]:
        yield Fault("rolling restart", at=at, who=ALL, seconds=random.uniform(0.05, 1.0))


def _stops(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    for at in _times(random, rate, plan):
        yield Fault("stop", at=at, who=_replica(random, plan), seconds=random.uniform(0.02, 0.5))


def _pauses(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    for at in _times(random, rate, plan):
        who, moment, seconds = _replica(random, plan), _moment(random, plan, 0.3), random.uniform(0.05, 2.0)
        yield Fault("pause", "", at, ANYONE if moment else who, (), moment, seconds)


def _sleep(random: Random) -> Fault:
    """Longer than clients wait, and than any outcome is thought of as under way; up to a minute."""
    return Fault("pause", at=random.uniform(2.0, 5.0), who=LEADER, seconds=random.uniform(12.0, 60.0))


def _transfers(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    for at in _times(random, rate, plan):
        yield Fault("transfer", at=at, who=random.choice((ANYONE, _voter(random, plan))))


# Disks


def _slow_disks(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    share, by = random.uniform(0.01, 0.3), random.uniform(0.01, 0.5)
    who = random.choice((ANYONE, _voter(random, plan)))
    yield Fault("slow disk", who=who, seconds=plan.seconds, share=share, by=by)


def _disk(kind: str, low: float, high: float, *, moments: float = 0.2) -> Make:
    def make(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
        for at in _times(random, rate, plan):
            who, moment, seconds = _replica(random, plan), _moment(random, plan, moments), random.uniform(low, high)
            yield Fault(kind, "", at, ANYONE if moment else who, (), moment, seconds)

    return make


def _rot(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    for at in _times(random, rate, plan):
        yield Fault("rot", at=at, who=_replica(random, plan), share=random.random())


def _snapshots(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    """Somebody is away; the leader's log is cut down meanwhile."""
    for at in _times(random, rate, plan):
        who, way, seconds = _replica(random, plan), random.choice(("crash", "cut", "compact")), random.uniform(0.3, 2.0)
        if way == "crash":
            yield Fault("crash", "loses", at, who, seconds=seconds)
        elif way == "cut":
            yield Fault("cut", "one", at, who, seconds=seconds)
        yield Fault("compact", at=at + 0.8 * seconds, who=LEADER)


# Clocks


def _jumps(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    for at in _times(random, rate, plan):
        who, way = random.choice((ALL, _voter(random, plan))), random.choice(("forward", "back"))
        yield Fault("wall clock jumps", way, at, who, (), "", random.uniform(1.0, 10.0), 0.0, 3600.0)


def _rates(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    for voter in range(plan.shape.voters):
        way, by = random.choice(("fast", "slow")), random.uniform(0.0, 0.05)
        yield Fault("clock runs", way, 0.0, f"order-{voter + 1}", (), "", plan.seconds, 0.0, by)


# Where leaders are appointed


def _register(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    if plan.election != "appointed":
        return
    for at in _times(random, rate, plan):
        paused, way, seconds = random.random() < 0.4, random.choice(("keeps", "loses")), random.random()
        moment = random.choice(("", "", "a change is asked for", "a view is stored", "a term is saved"))
        if paused:
            yield Fault("register pauses", "", at, ANYONE if moment else REGISTER, (), moment, seconds)
        else:
            by = random.uniform(0, 0.01) if moment else 0.0
            yield Fault("register dies", way, at, ANYONE if moment else REGISTER, (), moment, seconds, 0.0, by)


def _amnesia(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    if plan.election == "appointed":
        for at in _times(random, rate, plan):
            yield Fault("register is lost", at=at, who=REGISTER, seconds=random.uniform(0.01, 0.5))


def _lies(random: Random, rate: float, plan: Plan) -> Iterator[Fault]:
    if plan.election == "raft":
        for at in _times(random, rate, plan):
            yield Fault("lie", at=at, who=_voter(random, plan), seconds=random.uniform(0.01, 0.3))


_SWARM: dict[str, tuple[float, float, float, Make]] = {
    "drop": (0.5, 0.1, 0.5, _everywhere("drop", 0.005, 0.2, ways=DROPS)),
    "duplicate": (0.5, 0.1, 0.5, _everywhere("duplicate", 0.01, 0.2, 0.5)),
    "reorder": (0.5, 0.1, 0.5, _everywhere("reorder", 0.01, 0.3, 0.5)),
    "delay": (0.3, 0.05, 0.3, _delays),
    "clog": (0.35, 0.05, 0.3, _clogs),
    "half-open": (0.35, 0.05, 0.2, _half_open),
    "cut": (0.6, 0.1, 0.7, _cuts),
    "crash": (0.7, 0.1, 0.7, _crashes),
    "relapse": (0.5, 0.05, 0.3, _relapses),
    "just elected": (0.4, 0.05, 0.3, _just_elected),
    "restart of all": (0.25, 0.03, 0.15, _restarts),
    "rolling restart": (0.15, 0.02, 0.05, _rolling),
    "stop": (0.4, 0.05, 0.3, _stops),
    "pause": (0.5, 0.05, 0.5, _pauses),
    "transfer": (0.35, 0.05, 0.4, _transfers),
    "slow disk": (0.5, 0.0, 0.0, _slow_disks),
    "stall": (0.4, 0.05, 0.3, _disk("stall", 0.05, 1.5)),
    "full disk": (0.35, 0.05, 0.25, _disk("full disk", 0.1, 2.0)),
    "wipe": (0.5, 0.1, 0.5, _disk("wipe", 0.02, 0.5)),
    "rot": (0.4, 0.1, 0.4, _rot),
    "failed sync": (0.3, 0.05, 0.2, _disk("failed sync", 0.0, 0.0)),
    "lie": (0.2, 0.05, 0.2, _lies),
    "compact": (0.4, 0.05, 0.3, _snapshots),
    "wall clock": (0.4, 0.05, 0.3, _jumps),
    "clock rate": (0.4, 0.0, 0.0, _rates),
    "register": (0.5, 0.05, 0.5, _register),
    "register lost": (0.5, 0.1, 0.5, _amnesia),
}
"""The probability that a run has the fault, and its least and greatest rate (times a second)."""
