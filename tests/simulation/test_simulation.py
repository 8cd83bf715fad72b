"""Whole clusters under faults, one plan for each seed. See world.py for a run, swarm.py for how a plan is drawn."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from attrs import evolve

from tests.simulation.mischief import fault_points, points_of
from tests.simulation.plan import Fault, Plan
from tests.simulation.swarm import draw
from tests.simulation.world import Failed, World

ROOT = Path(__file__).parents[2]
SUITES, SEEDS = 5, 16
"""Suites for each election, and seeds in each: 80 and 80 in every run of the tests."""

ALWAYS = (
    "commits", "elections", "truncations", "snapshots", "crashes", "wipes", "stops", "reads", "lost reads", "refused",
    "turned away", "unknown", "orders",
)  # fmt: skip
MUST_HAPPEN = {
    "raft": (*ALWAYS, "renames"),
    "appointed": (*ALWAYS, "views", "drops", "joins", "registers lost"),
}
"""A suite in which one of these is zero has shown nothing about it."""


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
                play(draw(seed, self.election), tally, self.points)
        return self._tallies[first]


def play(plan: Plan, tally: Counter[str], points: Counter[str]) -> None:
    """Fails as a test does, with the command that repeats it."""
    world = World(plan)
    try:
        world.play()
    except Failed as failed:
        option = f" --election {plan.election}" if plan.election != "raft" else ""
        pytest.fail(f"{failed}\nTo repeat it: python -m tests.simulation {plan.seed}{option} --trace")
    tally += world.tally
    points += world.mischief.points


FIRSTS = range(1, SUITES * SEEDS, SEEDS)


class Suites:
    """What must hold, however the leader is chosen."""

    election = ""

    @pytest.fixture(scope="class")
    @classmethod
    def season(cls) -> Season:
        return Season(cls.election)

    @pytest.mark.parametrize("first", FIRSTS)
    @pytest.mark.fault(1, 2, 6)
    def test_nothing_that_was_promised_is_broken(self, first: int, season: Season) -> None:
        tally = season.play(first)
        report = ", ".join(f"{count} {what}" for what, count in sorted(tally.items()))
        print(f"seeds {first} to {first + SEEDS - 1}: {report}")
        missing = [what for what in MUST_HAPPEN[self.election] if not tally[what]]
        assert not missing, f"no {' and no '.join(missing)} in {SEEDS} seeds: {report}"

    def test_every_fault_point_is_hit(self, season: Season) -> None:
        for first in FIRSTS:
            season.play(first)
        never = [point for point in points_of(self.election) if not season.points[point]]
        assert not never, f"never in {SUITES * SEEDS} runs: {', '.join(never)}"


class TestElected(Suites):
    election = "raft"


class TestAppointed(Suites):
    election = "appointed"


class TestASeed:
    SOME = 7

    def hashes(self, hash_seed: str) -> str:
        command = [sys.executable, "-m", "tests.simulation", str(self.SOME), "--count", "2", "--hash"]
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        run = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
        return "\n".join(run.stdout.splitlines()[:2])

    def test_gives_one_trace_in_any_process(self) -> None:
        world = World(draw(self.SOME))
        world.play()
        once, again = self.hashes("1"), self.hashes("4711")
        assert once == again
        assert world.trace_hash in once

    def test_another_gives_another(self) -> None:
        assert draw(1) != draw(2)

    def test_to_take_a_fault_away_changes_no_other(self) -> None:
        plan = draw(self.SOME)
        kinds = {fault.kind for fault in plan.faults}
        kind = min(kinds)
        assert plan.without(kind).faults == tuple(fault for fault in plan.faults if fault.kind != kind)

    def test_that_fails_says_what_and_when(self) -> None:
        world = World(draw(self.SOME))
        world.clock.callLater(1.0, world.violate, "the sky is falling")
        with pytest.raises(Failed, match=r"seed 7, raft, at 1\.0\d+ s: the sky is falling"):
            world.play()


class TestAPlan:
    def test_is_written_and_read(self) -> None:
        for seed in range(1, 20):
            plan = draw(seed, "appointed")
            assert Plan.from_json(plan.to_json()) == plan

    def test_of_nothing_wrong_comes_to_rest(self) -> None:
        world = World(Plan(1, seconds=5.0))
        world.play()
        assert world.tally["orders"] > 0
        assert world.tally["crashes"] == 0

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            (Fault("earthquake"), "there is no fault called 'earthquake'; known are drop,"),
            (Fault("crash", "loses", moment="the sky falls"), "there is no moment called 'the sky falls'"),
        ],
    )
    def test_knows_what_can_go_wrong(self, wrong: Fault, says: str) -> None:
        with pytest.raises(ValueError, match=says):
            World(evolve(Plan(1), faults=(wrong,)))

    def test_names_what_is_wrong_with_it(self) -> None:
        with pytest.raises(ValueError, match="election"):
            Plan.from_json(b'{"seed": 1, "election": 3}')

    def test_counts_no_point_twice(self) -> None:
        assert len(set(fault_points())) == len(fault_points()) >= 45
