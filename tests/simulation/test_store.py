"""Whole stores under faults, one plan for each seed: catalogs, feeds, front ends and caches over the ledger (store.py)."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.mischief import points_of
from tests.simulation.plan import Fault, Plan, Shape
from tests.simulation.swarm import draw
from tests.simulation.world import Failed, World

SUITES, SEEDS = 4, 24
"""Suites for each election, and seeds in each: 96 and 96 in every run of the tests."""
FIRSTS = range(1, SUITES * SEEDS, SEEDS)

MUST_HAPPEN = (
    "hits", "misses", "lookups", "marked", "lists", "not found", "lookups that failed", "pushes", "resets", "feeds",
    "unread", "front ends lost", "snapshots", "elections", "crashes", "orders", "reads", "refused", "unknown", "turned away",
)  # fmt: skip
"""A suite in which one of these is zero has shown nothing about it."""


def play(plan: Plan) -> World:
    """Fails as a test does, with the command that repeats it."""
    world = World(plan)
    try:
        world.play()
    except Failed as failed:
        pytest.fail(
            f"{failed}\nTo repeat it: python -m tests.simulation {plan.seed} --lane whole --election {plan.election} --trace"
        )
    return world


class Season:
    """All suites of one election; each is played once."""

    def __init__(self, election: str) -> None:
        self.election = election
        self.points: Counter[str] = Counter()
        self._tallies: dict[int, Counter[str]] = {}

    def play(self, first: int) -> Counter[str]:
        if first not in self._tallies:
            tally = self._tallies[first] = Counter()
            for seed in range(first, first + SEEDS):
                world = play(draw(seed, self.election, whole=True))
                tally += world.tally
                self.points += world.mischief.points
        return self._tallies[first]


@pytest.fixture(scope="module", params=["raft", "appointed"])
def season(request: pytest.FixtureRequest) -> Season:
    return Season(request.param)


@pytest.mark.fault(7)
@pytest.mark.parametrize("first", FIRSTS)
def test_nothing_that_was_promised_is_broken(first: int, season: Season) -> None:
    tally = season.play(first)
    report = ", ".join(f"{count} {what}" for what, count in sorted(tally.items()))
    print(f"seeds {first} to {first + SEEDS - 1}: {report}")
    missing = [what for what in MUST_HAPPEN if not tally[what]]
    assert not missing, f"no {' and no '.join(missing)} in {SEEDS} seeds: {report}"


def test_every_fault_point_of_the_store_is_hit(season: Season) -> None:
    """Those of the ledger alone are counted in test_simulation.py."""
    for first in FIRSTS:
        season.play(first)
    own = set(points_of(season.election, whole=True)) - set(points_of(season.election))
    never = sorted(point for point in own if not season.points[point])
    assert not never, f"never in {SUITES * SEEDS} runs: {', '.join(never)}"


@pytest.mark.long
@pytest.mark.parametrize("first", range(10_000, 10_200, 100))
@pytest.mark.parametrize("election", ["raft", "appointed"])
def test_many_more(first: int, election: str) -> None:
    for seed in range(first, first + 100):
        play(draw(seed, election, whole=True))


@pytest.mark.parametrize("election", ["raft", "appointed"])
def test_a_store_in_which_nothing_goes_wrong(election: str) -> None:
    world = play(Plan(1, election, True, 8.0))
    assert world.tally["hits"] > 0
    assert world.tally["marked"] == world.tally["unknown"] == world.tally["faults"] == 0


@pytest.mark.parametrize("kind", ["stall", "full disk"])
def test_what_a_catalog_shows_is_marked_where_its_disk_is_stuck(kind: str) -> None:
    """It hears the leader all the time, and carries out nothing."""
    faults = tuple(Fault(kind, at=4.0, who=f"catalog-{n}", seconds=9.0) for n in (1, 2))
    world = play(Plan(2, "raft", True, 15.0, Shape(learners=2, rate=3.0, cache_size=5), faults))
    assert world.tally["marked"] > 0


def test_a_seed_gives_one_trace() -> None:
    one, again = World(draw(7, whole=True)), World(draw(7, whole=True))
    one.play()
    again.play()
    assert one.trace_hash == again.trace_hash
