"""The measurements of a sweep, at a store of two front ends that is only pretended, on a clock."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from attrs import asdict, define, field
from twisted.internet.defer import succeed
from twisted.internet.task import Clock

from tests.test_shop import run
from toystore.frontend.cache import Cache, Filled
from toystore.frontend.slots import SlotRecord
from toystore.model import Position, Product
from toystore.shop.connection import Answered
from toystore.shop.dialects import Ask, Reply
from toystore.shop.events import Answer
from toystore.shop.sweep import measure
from toystore.shop.sweep.plan import Plan
from toystore.shop.sweep.results import HIT, MISS, READ_AFTER_OTHER, READ_AFTER_OWN, STEPS, Counted
from toystore.shop.sweep.stand import PUSH_SECONDS, Front, NotMeasured, Stand
from toystore.shop.verdict import Verdict

NAMES = ("Tux", "Fox", "Lego")
CACHED, UNCACHED = Front("front-1", "http://cached", "http://one"), Front("front-2", "http://uncached", "http://two")
PLAN = Plan("v1", (0.0, 0.5), (True, False), clients=2, iterations=6, requests=120, cache_size=2)


@define
class Half:
    """One front end: its cache, and what happened to it."""

    cache: Cache
    slots: SlotRecord = field(factory=SlotRecord)


@define
class World:
    """A store that speaks v1. `deaf`: no front end hears of changes made elsewhere; `mood` may spoil an answer."""

    clock: Clock = field(factory=Clock)
    index: int = 1
    orders: list[dict[str, Any]] = field(factory=list)
    leader: str | None = "order-3"
    deaf: bool = False
    kept: int = 10_000
    asked: list[str] = field(factory=list)
    mood: Callable[[str, Ask], Answered | None] = lambda url, ask: None
    halves: dict[str, Half] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        for url, capacity in (("http://cached", PLAN.cache_size), ("http://uncached", 0)):
            slots = SlotRecord(self.kept)
            cache = Cache(capacity, on_event=lambda event, slots=slots: slots.note(event, self.clock.seconds()))
            cache.renew(math.inf)
            self.halves[url] = Half(cache, slots)

    def stand(self) -> Stand:
        stand = Stand(self.clock, lambda url: Line(self, url), "v1", CACHED, UNCACHED, 2)
        run(self.clock, stand.open())
        return stand

    def tell(self, half: Half, path: str) -> Any:
        if path == "/status":
            cache = half.cache
            counted = {"hits": cache.counters.hits, "misses": cache.counters.misses}
            contents = {str(slot): name for slot, name in cache.contents().items()}
            return {"leader": self.leader, "cache": {**counted, "contents": contents}}
        after = int(path.partition("after=")[2] or 0)
        events = [
            {"number": noted.number, "at": noted.at, "replaced": None, **asdict(noted.event)}
            | {"event": "filled" if isinstance(noted.event, Filled) else "emptied"}
            for noted in half.slots.after(after, 50)
        ]
        return {"last": half.slots.last, "events": events}

    def serve(self, half: Half, ask: Ask) -> Any:
        if ask.body is not None:
            (line,) = json.loads(ask.body)["lines"]
            self.index += 1
            self.orders.append(line)
            for other in self.halves.values():
                if other is half or not self.deaf:
                    other.cache.raise_floor(line["name"], Position(0, self.index))
            half.cache.put(self.product(line["name"]), Position(0, self.index))
            return {"number": len(self.orders) - 1}
        name = ask.path.rpartition("/")[2]
        if ask.path.startswith("/v1/orders/"):
            return {"number": int(name), "lines": [self.orders[int(name)]]}
        if half.cache.get(name, 0.0) is None:
            self.clock.advance(0.004)
            half.cache.put(self.product(name), Position(0, self.index))
        return {"quantity": 1000}

    def product(self, name: str) -> Product:
        return Product(name, 1, 1599, 1000, "", self.index, 0)


@define
class Line:
    """A connection to one of the addresses."""

    world: World
    url: str

    async def send(self, ask: Ask) -> Answered:
        world, began = self.world, self.world.clock.seconds()
        world.asked.append(self.url)
        if (spoilt := world.mood(self.url, ask)) is not None:
            return spoilt
        own = {"http://one": "http://cached", "http://two": "http://uncached"}.get(self.url)
        if own is not None:
            told = world.tell(world.halves[own], ask.path)
        elif ask.path.startswith("/v1/products?"):
            told = {"data": [{"name": name} for name in NAMES], "next": None}
        else:
            told = {"data": world.serve(world.halves[self.url], ask)}
        world.clock.advance(0.001)
        return Answered("2xx", world.clock.seconds() - began, Reply(200, json.dumps(told).encode()))


@pytest.mark.row("B5")
def test_a_round_has_latencies_by_kind_and_what_the_front_end_counted() -> None:
    world, verified = World(), measure.Verified()
    stand = world.stand()
    cached, uncached = run(world.clock, measure.shop_at(stand, PLAN, 0.5, verified))
    assert (cached.cache, uncached.cache) == (True, False)
    for found in (cached, uncached):
        lookups, buys = found.latency["lookup"], found.latency["buy"]
        assert lookups is not None
        assert buys is not None
        assert lookups.count == found.counted.hits + found.counted.misses == 12
        assert buys.count == verified.orders / 2 == len(world.orders) / 2 > 0, "the seed makes both do the same"
    assert (cached.counted.hits > 0, uncached.counted) == (True, Counted(0, 12))
    alone, _ = run(world.clock, measure.shop_at(stand, PLAN, 0.0, verified))
    assert alone.latency["buy"] is alone.latency["order query"] is None


@pytest.mark.row("K7", "K8")
def test_hits_are_all_hits_and_misses_all_misses() -> None:
    world = World()
    found = run(world.clock, measure.hits_and_misses(world.stand(), PLAN))
    assert found[HIT].counted == Counted(120, 0)
    assert found[MISS].counted == Counted(0, 120)
    assert (found[HIT].latency.avg, found[MISS].latency.avg) == (1.0, 5.0)


@pytest.mark.row("B6")
def test_a_read_after_a_write_elsewhere_is_a_miss_and_the_others_are_hits() -> None:
    world = World()
    found = run(world.clock, measure.after_writes(world.stand(), PLAN))
    assert tuple(found) == STEPS
    assert {latency.count for latency in found.values()} == {PLAN.writes} == {12}
    assert (found[READ_AFTER_OWN].avg, found[READ_AFTER_OTHER].avg) == (1.0, 5.0)


@pytest.mark.row("B6")
def test_requests_in_bulk_take_turns_with_and_without_the_cache() -> None:
    world = World()
    stand = world.stand()
    world.asked.clear()
    found = run(world.clock, measure.in_bulk([stand], PLAN, 3))
    assert {(bulk.kind, bulk.cache): bulk.latency.count for bulk in found} == {
        (kind, cache): 120 for kind in ("lookup", "buy", "order query") for cache in (True, False)
    }
    assert {bulk.clients for bulk in found} == {3}
    assert all(bulk.seconds > 0 for bulk in found)
    turns = [world.asked[n] for n in range(0, 240, measure.TURN)]
    assert turns == ["http://cached", "http://uncached"] * 2 + ["http://cached"], "50, 50 and 20 of each"
    assert len(world.orders) == 240


@pytest.mark.row("B6")
def test_stores_take_turns_too() -> None:
    worlds = [World(), World()]
    worlds[1].clock = worlds[0].clock
    found = run(worlds[0].clock, measure.in_bulk([world.stand() for world in worlds], PLAN, 1))
    assert len(found) == 2 * 2 * 3
    assert [len(world.orders) for world in worlds] == [240, 240]


@pytest.mark.row("B7")
def test_the_slots_are_watched_from_what_they_hold_at_first() -> None:
    world, verified = World(), measure.Verified()
    stand = world.stand()
    run(world.clock, measure.hits_and_misses(stand, PLAN))
    first = world.halves["http://cached"].cache.contents()
    story = run(world.clock, measure.watch_slots(stand, PLAN, verified))
    assert (story.capacity, story.first) == (2, first)
    numbers = [event.number for event in story.events]
    assert len(numbers) > 10
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert any(event.replaced for event in story.events)
    assert verified.orders > 0


@pytest.mark.row("B7")
def test_the_leader_is_killed_and_started_while_customers_shop() -> None:
    world, verified, done = World(), measure.Verified(), list[tuple[str, str, float]]()

    def carry_out(verb: str) -> Callable[[str], Any]:
        def act(node: str) -> Any:
            done.append((verb, node, world.clock.seconds()))
            world.leader = "order-2"
            return succeed("done")

        return act

    switch = measure.Switch(carry_out("kill"), carry_out("start"))
    found = run(world.clock, measure.fail_over(world.stand(), PLAN, True, switch, verified))
    assert [(verb, node) for verb, node, _ in done] == [("kill", "order-3"), ("start", "order-3")]
    assert [at for *_, at in done] == [found.killed, found.started]
    assert (found.leader, found.successor, found.failed) == ("order-3", "order-2", 0)
    assert found.killed - found.began == pytest.approx(measure.KILL_AFTER, abs=0.1)
    assert found.answers[-1].at - found.began == pytest.approx(measure.LEAVE_AFTER, abs=0.5)
    assert {answer.kind for answer in found.answers} == {"lookup", "buy"}, "the checks at the end are not among them"
    assert all(isinstance(answer, Answer) for answer in found.answers)


# What ends a measurement


def test_a_cache_for_everything_replaces_nothing() -> None:
    world = World()
    roomy = Plan("v1", (0.0,), (True,), cache_size=3)
    with pytest.raises(NotMeasured, match="room for all 3 products"):
        run(world.clock, measure.hits_and_misses(world.stand(), roomy))


def test_a_front_end_that_hears_of_nothing() -> None:
    world = World(deaf=True)
    with pytest.raises(NotMeasured, match="front-1 has not heard of a change for 3 s"):
        run(world.clock, measure.after_writes(world.stand(), PLAN))
    assert world.clock.seconds() > PUSH_SECONDS


def test_events_that_were_forgotten() -> None:
    world = World(kept=3)
    with pytest.raises(NotMeasured, match="front-1 has forgotten what happened to its cache"):
        run(world.clock, measure.watch_slots(world.stand(), PLAN, measure.Verified()))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answered("4xx", 0.1, Reply(409, b'{"code":"insufficient_stock"}')), "/v1/orders was answered with status 409: b'{"),
        (Answered("timeout", 15.0), "/v1/orders was answered with timeout"),
    ],
)
def test_an_answer_that_is_no_yes(answer: Answered, says: str) -> None:
    world = World(mood=lambda url, ask: None if ask.body is None else answer)
    with pytest.raises(NotMeasured, match=says):
        run(world.clock, measure.in_bulk([world.stand()], PLAN, 1))


def test_a_store_that_can_not_be_asked() -> None:
    with pytest.raises(NotMeasured, match="unreachable"):
        World(mood=lambda url, ask: Answered("unreachable", 0.1)).stand()
    silent = World()
    stand = silent.stand()
    silent.mood = lambda url, ask: Answered("reset", 0.1) if url == "http://one" else None
    with pytest.raises(NotMeasured, match="front-1/status was answered with reset"):
        run(silent.clock, stand.counted(CACHED))


def test_no_leader_no_failover() -> None:
    world = World(leader=None)
    switch = measure.Switch(succeed, succeed)
    with pytest.raises(NotMeasured, match="no leader is known"):
        run(world.clock, measure.fail_over(world.stand(), PLAN, True, switch, measure.Verified()))


def test_orders_that_are_not_as_promised_are_kept_and_those_unverified_end_it() -> None:
    verified = measure.Verified()
    verified.add(Verdict(3, ["order 1 is gone"], []))
    verified.add(Verdict(2, [], []))
    assert (verified.orders, verified.wrong) == (5, ["order 1 is gone"])
    with pytest.raises(NotMeasured, match="2 orders could not be verified"):
        verified.add(Verdict(0, [], [1, 2]))
