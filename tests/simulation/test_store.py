"""Whole stores under faults, one plan for each seed: catalogs, feeds, front ends and caches over the ledger (store.py)."""

from __future__ import annotations

import pytest

from tests.simulation.lanes import ELECTIONS, LANES, Outcome
from tests.simulation.plan import Fault, Plan, Shape
from tests.simulation.season import Season, assert_not_idle, play
from tests.simulation.swarm import draw
from tests.simulation.world import World

SUITES = [range(first, first + 24) for first in range(1, 97, 24)]
"""The seeds of every run of the tests, for each election."""
LONG = range(10_000, 10_200)
"""In `tox -e long`."""

MUST_HAPPEN = (
    "hits", "misses", "lookups", "marked", "lists", "not found", "lookups that failed", "pushes", "resets", "feeds",
    "unread", "front ends lost", "snapshots", "elections", "crashes", "orders", "reads", "refused", "unknown", "turned away",
)  # fmt: skip


def played(plan: Plan) -> Outcome:
    return play(LANES["whole"], plan)


@pytest.fixture(scope="module", params=ELECTIONS)
def season(request: pytest.FixtureRequest) -> Season:
    return Season("whole", request.param)


@pytest.mark.fault(7)
@pytest.mark.parametrize("seeds", SUITES, ids=str)
def test_nothing_that_was_promised_is_broken(seeds: range, season: Season) -> None:
    assert_not_idle(season.play(seeds), MUST_HAPPEN)


def test_every_fault_point_of_the_store_is_hit(season: Season) -> None:
    """Those of the ledger alone are counted in test_simulation.py."""
    for seeds in SUITES:
        season.play(seeds)
    assert not season.never("orders")


@pytest.mark.long
@pytest.mark.parametrize("election", ELECTIONS)
def test_many_more(election: str) -> None:
    season = Season("whole", election)
    season.play(LONG)
    assert not season.never("orders")


@pytest.mark.parametrize("election", ELECTIONS)
def test_a_store_in_which_nothing_goes_wrong(election: str) -> None:
    outcome = played(Plan(1, election, True, 8.0))
    assert outcome.tally["hits"] > 0
    assert outcome.tally["marked"] == outcome.tally["unknown"] == outcome.tally["faults"] == 0


@pytest.mark.parametrize("kind", ["stall", "full disk"])
def test_what_a_catalog_shows_is_marked_where_its_disk_is_stuck(kind: str) -> None:
    """It hears the leader all the time, and carries out nothing."""
    faults = tuple(Fault(kind, at=4.0, who=f"catalog-{n}", seconds=9.0) for n in (1, 2))
    outcome = played(Plan(2, "raft", True, 15.0, Shape(learners=2, rate=3.0, cache_size=5), faults))
    assert outcome.tally["marked"] > 0


def test_a_seed_gives_one_trace() -> None:
    one, again = World(draw(7, whole=True)), World(draw(7, whole=True))
    one.play()
    again.play()
    assert one.fingerprint == again.fingerprint
