"""Whole clusters under faults, one plan for each seed. See world.py for a run, swarm.py for how a plan is drawn."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from attrs import evolve

from tests.simulation.mischief import fault_points
from tests.simulation.plan import Fault, Plan
from tests.simulation.season import Season, assert_not_idle
from tests.simulation.swarm import draw
from tests.simulation.witness import Failed
from tests.simulation.world import World

ROOT = Path(__file__).parents[2]
SUITES = [range(first, first + 16) for first in range(1, 81, 16)]
"""The seeds of every run of the tests, for each election."""

ALWAYS = (
    "commits", "elections", "truncations", "snapshots", "crashes", "wipes", "stops", "reads", "lost reads", "refused",
    "turned away", "unknown", "orders",
)  # fmt: skip
MUST_HAPPEN = {
    "raft": (*ALWAYS, "renames"),
    "appointed": (*ALWAYS, "views", "drops", "joins", "registers lost"),
}


class Suites:
    """What must hold, however the leader is chosen."""

    election = ""

    @pytest.fixture(scope="class")
    @classmethod
    def season(cls) -> Season:
        return Season("orders", cls.election)

    @pytest.mark.parametrize("seeds", SUITES, ids=str)
    @pytest.mark.fault(1, 2, 6)
    def test_nothing_that_was_promised_is_broken(self, seeds: range, season: Season) -> None:
        season.play(seeds)

    def test_all_that_must_happen_happens(self, season: Season) -> None:
        assert_not_idle(sum(map(season.play, SUITES), Counter[str]()), MUST_HAPPEN[self.election])

    def test_every_fault_point_is_hit(self, season: Season) -> None:
        for seeds in SUITES:
            season.play(seeds)
        assert not season.never()


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
        assert world.fingerprint in once

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
            (Fault("earthquake"), "there is no fault called 'earthquake'; known are drop:"),
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
