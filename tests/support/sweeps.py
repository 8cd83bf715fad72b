"""Results of a sweep that never was, for what draws them and writes of them."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from toystore.shop.events import Answer
from toystore.shop.sweep.plan import Plan
from toystore.shop.sweep.results import (
    HIT,
    MISS,
    STEPS,
    Bulk,
    CacheStudy,
    Counted,
    Exercise,
    Failover,
    Results,
    Round,
    Setting,
    SlotEvent,
    SlotStory,
)
from toystore.shop.tally import KINDS, Latency


def latency(avg: float, count: int = 10) -> Latency:
    return Latency(count, avg, avg, 2 * avg, 3 * avg, 4 * avg)


def filled(number: int, at: float, slot: int, name: str, replaced: str | None = None) -> SlotEvent:
    return SlotEvent(number, at, slot, "filled", name, replaced)


def emptied(number: int, at: float, slot: int, name: str) -> SlotEvent:
    return SlotEvent(number, at, slot, "emptied", name, None)


STORY = SlotStory(
    2,
    {0: "Tux"},
    (
        filled(8, 100.0, 1, "Fox"),
        filled(9, 101.0, 0, "Lego", "Tux"),
        emptied(10, 102.0, 1, "Fox"),
        filled(11, 103.0, 1, "Tux"),
        filled(12, 104.0, 0, "Fox", "Lego"),
    ),
)

FAILOVER = Failover(
    "order-3",
    "order-2",
    began=50.0,
    killed=52.0,
    started=55.0,
    answers=(
        Answer("lookup", 50.5, "2xx", 0.001),
        Answer("buy", 51.0, "2xx", 0.010),
        Answer("buy", 52.1, "2xx", 0.400),
        Answer("buy", 52.2, "5xx", 0.100),
        Answer("lookup", 53.0, "4xx", 0.002),
    ),
)


def make_results(**changes: Any) -> Results:
    """Lookups of 1 ms with the cache and 4 ms without it, buys of 6 ms, order queries of 5; none of these at p = 0."""
    rounds = [
        Round(
            cache,
            p,
            {
                "lookup": latency(1.0 if cache else 4.0),
                "buy": latency(6.0) if p else None,
                "order query": latency(5.0) if p else None,
            },
            Counted(6, 4) if cache else Counted(0, 10),
        )
        for p in (0.0, 0.4)
        for cache in (True, False)
    ]
    bulks = [
        Bulk(cache, catalogs, clients, kind, latency(2.0 if cache else 3.0), 0.5 / clients)
        for catalogs in (2, 1)
        for clients in (1, 5)
        for kind in KINDS
        for cache in (True, False)
    ]
    study = CacheStudy(
        {HIT: Exercise(latency(0.27), Counted(10, 0)), MISS: Exercise(latency(1.57), Counted(0, 10))},
        dict(zip(STEPS, map(latency, (8.0, 0.5, 2.5, 0.5)), strict=True)),
        STORY,
    )
    setting = Setting("2023-05-04 17:10 UTC", "toystore sweep --p 0,0.4", "2 cores <ours>", "0.1.0", 10)
    plan = Plan("toys", (0.0, 0.4), (True, False))
    return evolve(Results(plan, setting, rounds, study, bulks, FAILOVER, 40, ()), **changes)
