"""The measurements of a sweep, each on a store that stands already. All raise NotMeasured."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import cycle, islice
from random import Random

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from toystore.shop.dialects import Ask, Reply
from toystore.shop.events import Answer, Event
from toystore.shop.shopper import Habits
from toystore.shop.sweep.plan import Plan
from toystore.shop.sweep.results import (
    HIT,
    MISS,
    OWN_WRITE,
    READ_AFTER_OTHER,
    READ_AFTER_OWN,
    READ_AGAIN,
    STEPS,
    Bulk,
    Counted,
    Exercise,
    Failover,
    Round,
    SlotStory,
)
from toystore.shop.sweep.stand import NotMeasured, Stand
from toystore.shop.tally import KINDS, Latency
from toystore.shop.verdict import Verdict
from toystore.together import together

WARM_UP = Habits(10, 0.5, (1, 1))
"""What each customer of a first crowd does, of which nothing is kept."""

WALK = Habits(60, 0.1, (1, 1), pause=0.05)
STROLL = Habits(8, 1.0, (1, 1), pause=0.35)
"""What is done while the slots of the cache are watched: by customers of the front end with the cache, and by others."""

PARTS = 5
TURN = 50
"""What is compared takes turns, so that all see the same machine: the iterations at one probability in so many parts, the
requests in bulk in turns of so many."""

FAILOVER = Habits(None, 0.5, (1, 2), pause=0.02)
KILL_AFTER, START_AFTER, LEAVE_AFTER = 2.0, 5.0, 8.0
"""Seconds of shopping after which the leader is killed, is started again, and the customers leave."""


@define
class Verified:
    """What came of checking the orders of all crowds."""

    orders: int = 0
    wrong: list[str] = field(factory=list)

    def add(self, verdict: Verdict) -> None:
        if verdict.unanswered:
            raise NotMeasured(f"{len(verdict.unanswered)} orders could not be verified")
        self.orders += verdict.verified
        self.wrong += verdict.wrong


async def warm_up(stand: Stand, plan: Plan, verified: Verified) -> None:
    """So that no measurement pays for what happens once only."""
    for front in (stand.cached, stand.uncached):
        crowd = await stand.crowd(front, plan.clients, plan.seed)
        await crowd.shop(WARM_UP)
        verified.add(await crowd.verify())


async def shop_at(stand: Stand, plan: Plan, probability: float, verified: Verified) -> list[Round]:
    """Crowds that look, and buy with this probability, and ask for each order right after it was promised; with the cache
    and without as planned, in `PARTS` turns each."""
    crowds = {cache: await stand.crowd(stand.front(cache), plan.clients, plan.seed) for cache in plan.caches}
    counted = dict.fromkeys(plan.caches, Counted())
    for part in range(1, PARTS + 1):
        for cache, crowd in crowds.items():
            before = await stand.counted(stand.front(cache))
            await crowd.shop(Habits(plan.iterations * part // PARTS, probability, check_at_once=True))
            counted[cache] += (await stand.counted(stand.front(cache))) - before
    for crowd in crowds.values():
        verified.add(await crowd.verify())
    return [
        Round(cache, probability, {kind: Latency.of(crowd.tally.latencies[kind]) for kind in KINDS}, counted[cache])
        for cache, crowd in crowds.items()
    ]


Side = tuple[Stand, bool]
"""A store, and whether the cache is on: what takes turns when requests are sent in bulk."""


async def in_bulk(stands: Sequence[Stand], plan: Plan, clients: int) -> list[Bulk]:
    """So many requests of each kind, one kind after the other: lookups, buys, and queries of the orders just made, where
    these have numbers. All stores, with and without the cache as planned, take turns of `TURN` requests."""
    random, dialect = Random(f"{plan.seed}/bulk"), stands[0].dialect
    names = [stands[0].any_name(random) for _ in range(plan.requests)]
    sides: list[Side] = [(stand, cache) for stand in stands for cache in plan.caches]
    looked = await _in_turns(plan, clients, {side: [dialect.look(name) for name in names] for side in sides})
    bought = await _in_turns(plan, clients, {side: [dialect.place(name, 1, "buy") for name in names] for side in sides})
    done = {"lookup": looked, "buy": bought}
    if dialect.log is None:
        numbers = {side: [side[0].number_of(reply) for reply, _ in taken.replies] for side, taken in bought.items()}
        queries = {side: [dialect.query(n) for n in found if n is not None] for side, found in numbers.items()}
        done["order query"] = await _in_turns(plan, clients, queries)
    return [_bulk(side, clients, kind, taken) for kind, of_kind in done.items() for side, taken in of_kind.items()]


@define
class _Taken:
    """Replies with the seconds of each, and the seconds of all together."""

    replies: list[tuple[Reply, float]] = field(factory=list)
    seconds: float = 0.0


async def _in_turns(plan: Plan, clients: int, asks: Mapping[Side, Sequence[Ask]]) -> Mapping[Side, _Taken]:
    taken = {side: _Taken() for side in asks}
    for start in range(0, plan.requests, TURN):
        for (stand, cache), wanted in asks.items():
            replies, seconds = await stand.bulk(stand.front(cache), clients, wanted[start : start + TURN])
            taken[stand, cache].replies += replies
            taken[stand, cache].seconds += seconds
    return taken


def _bulk(side: Side, clients: int, kind: str, taken: _Taken) -> Bulk:
    latency = Latency.of(seconds for _, seconds in taken.replies)
    assert latency is not None, "every plan has requests"
    stand, cache = side
    return Bulk(cache, stand.catalogs, clients, kind, latency, taken.seconds)


async def hits_and_misses(stand: Stand, plan: Plan) -> Mapping[str, Exercise]:
    """Lookups of one product again and again, and of all products one after the other: more than the cache has room for,
    so that the least recently used one is always the next to be asked for, and has just been replaced. They take turns,
    each of which begins with lookups that are not measured."""
    if len(stand.names) <= plan.cache_size:
        raise NotMeasured(f"the cache has room for all {len(stand.names)} products, so nothing is ever replaced")
    sender = stand.customer(stand.cached)
    in_turn = {HIT: stand.names[:1], MISS: stand.names}
    taken: dict[str, list[float]] = {HIT: [], MISS: []}
    counted = {HIT: Counted(), MISS: Counted()}
    for start in range(0, plan.requests, TURN):
        for what, names in in_turn.items():
            for name in names:
                await stand.look(sender, name)
            before = await stand.counted(stand.cached)
            for name in islice(cycle(names), min(TURN, plan.requests - start)):
                taken[what].append(await stand.look(sender, name))
            counted[what] += (await stand.counted(stand.cached)) - before
    return {what: Exercise(latency, counted[what]) for what in taken if (latency := Latency.of(taken[what])) is not None}


async def after_writes(stand: Stand, plan: Plan) -> Mapping[str, Latency]:
    """A product is bought and looked up, by customers of one front end and of two."""
    here, elsewhere = stand.customer(stand.cached), stand.customer(stand.uncached)
    taken: dict[str, list[float]] = {step: [] for step in STEPS}
    name = stand.names[0]
    for _ in range(plan.writes):
        taken[OWN_WRITE].append(await stand.buy(here, name))
        taken[READ_AFTER_OWN].append(await stand.look(here, name))
        last = await stand.last_event(stand.cached)
        await stand.buy(elsewhere, name)
        await stand.until_emptied(stand.cached, last)
        taken[READ_AFTER_OTHER].append(await stand.look(here, name))
        taken[READ_AGAIN].append(await stand.look(here, name))
    return {step: latency for step, seconds in taken.items() if (latency := Latency.of(seconds)) is not None}


async def watch_slots(stand: Stand, plan: Plan, verified: Verified) -> SlotStory:
    """What comes into the cache and leaves it while a customer walks about, and one of the other front end buys."""
    front = stand.cached
    first, last = await stand.contents(front), await stand.last_event(front)
    walker = await stand.crowd(front, 1, plan.seed)
    buyer = await stand.crowd(stand.uncached, 1, plan.seed + 1)
    await together([walker.shop(WALK), buyer.shop(STROLL)])
    story = SlotStory(plan.cache_size, first, await stand.events(front, last))
    for crowd in (walker, buyer):
        verified.add(await crowd.verify())
    return story


@frozen
class Switch:
    """How to kill a node, by its name, and to start it again."""

    kill: Callable[[str], Awaitable[object]]
    start: Callable[[str], Awaitable[object]]


async def fail_over(stand: Stand, plan: Plan, cache: bool, switch: Switch, verified: Verified) -> Failover:
    """Customers shop all the time; the leader is killed, and started again later."""
    answers: list[Answer] = []

    def keep(event: Event) -> None:
        if isinstance(event, Answer):
            answers.append(event)

    clock = stand.reactor
    leader = await stand.leader()
    if leader is None:
        raise NotMeasured("no leader is known, so none can be killed")
    crowd = await stand.crowd(stand.front(cache), plan.clients, plan.seed, keep)
    began = clock.seconds()
    shopping = Deferred.fromCoroutine(crowd.shop(FAILOVER))
    try:
        await deferLater(clock, KILL_AFTER)
        killed = clock.seconds()
        await switch.kill(leader)
        await deferLater(clock, max(0.0, began + START_AFTER - clock.seconds()))
        successor, started = await stand.leader(), clock.seconds()
        await switch.start(leader)
        await deferLater(clock, max(0.0, began + LEAVE_AFTER - clock.seconds()))
    finally:
        crowd.leave()
    await shopping
    shopped = tuple(answers)
    verified.add(await crowd.verify())
    return Failover(leader, successor, began, killed, started, shopped)
