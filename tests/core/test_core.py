"""Many schedules of the core alone. See world.py for a run, swarm.py for how a plan is drawn."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.swarm import draw
from tests.core.themes import THEMES
from tests.core.world import CoreWorld
from tests.simulation import themes
from tests.simulation.lanes import ELECTIONS, LANES
from tests.simulation.plan import Fault, Plan
from tests.simulation.season import Season, assert_not_idle, play
from tests.simulation.swarm import SECONDS
from tests.simulation.witness import Failed

ROOT = Path(__file__).parents[2]
SEEDS = {"raft": range(1, 71), "appointed": range(1, 46)}
"""In every run of the tests."""
EACH = range(1, 7)
"""More of them, with a theme in which everything comes."""
LONG = range(1_001, 1_501)
"""In `tox -e long`."""

ALWAYS = ("commits", "elections", "truncations", "snapshots", "crashes", "wipes", "stops", "reads", "lost reads")
MUST_HAPPEN = {
    "raft": (*ALWAYS, "renames", "failed syncs"),
    "appointed": (*ALWAYS, "views", "drops", "joins", "registers lost"),
}


@pytest.fixture(scope="module", params=ELECTIONS)
def season(request: pytest.FixtureRequest) -> Season:
    return Season("core", request.param)


def test_nothing_that_was_promised_is_broken(season: Season) -> None:
    assert_not_idle(season.play(SEEDS[season.election]), MUST_HAPPEN[season.election])


def test_every_fault_point_is_hit(season: Season) -> None:
    season.play(SEEDS[season.election])
    season.play(EACH, "one of each")
    assert not season.never()


@pytest.mark.long
@pytest.mark.parametrize("election", ELECTIONS)
def test_nothing_is_broken_in_many_more(election: str) -> None:
    season = Season("core", election)
    season.play(LONG)
    assert not season.never()


class TestASeed:
    def fingerprints(self, hash_seed: str) -> str:
        command = [
            sys.executable,
            "-m",
            "tests.simulation",
            "3",
            "--count",
            "2",
            "--lane",
            "core",
            "--election",
            "appointed",
            "--hash",
        ]
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        run = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
        return run.stdout

    def test_gives_one_run_in_any_process(self) -> None:
        told = play(LANES["core"], draw(3, "appointed")).fingerprint
        outputs = [self.fingerprints(hash_seed).splitlines()[:2] for hash_seed in ("1", "4711")]
        assert outputs[0] == outputs[1]
        assert outputs[0][0] == f"3 {told}"

    def test_another_gives_another(self) -> None:
        assert draw(1) != draw(2)

    def test_that_fails_says_what_and_when(self) -> None:
        world = CoreWorld(draw(7))
        world.timeline.callLater(1.015, world.violate, "the sky is falling")
        with pytest.raises(Failed, match=r"seed 7, raft, at 1\.015000 s: the sky is falling"):
            world.play()

    def test_may_have_any_theme(self) -> None:
        for theme in (*themes.THEMES, *THEMES):
            plan = draw(1, theme.election or "raft", theme.name)
            assert plan.shape.election_ticks == theme.shape.get("election_ticks", plan.shape.election_ticks)
            assert plan.faults
        with pytest.raises(ValueError, match="there is no theme 'tea' where leaders are elected; there are one of each"):
            draw(1, "raft", "tea")

    def test_has_a_theme_of_the_core_now_and_then(self) -> None:
        told = {_one("late answers", seed) for seed in range(1, 4)}
        assert len(told) == 3
        themed = [seed for seed in range(200) if draw(seed).faults in {_one(theme.name, seed) for theme in _elected()}]
        assert 20 < len(themed) < 80


def _elected() -> list[themes.Theme]:
    return [theme for theme in THEMES if theme.election in ("", "raft")]


def _one(theme: str, seed: int) -> tuple[Fault, ...]:
    return draw(seed, "raft", theme).faults


class TestARun:
    def test_without_faults_comes_to_rest_with_everything_acknowledged(self) -> None:
        for election in ELECTIONS:
            world = CoreWorld(Plan(1, election, seconds=5.0))
            world.play()
            assert world.tally["acknowledged"] > 20
            assert world.tally["elections"] == 1
            assert not world.mischief.points

    def test_that_can_not_come_to_rest_fails(self) -> None:
        world = CoreWorld(Plan(1, seconds=2.0))
        world.timeline.callLater(2.0001, lambda: [process.disk.stall() for process in world.voters[:2]])
        with pytest.raises(Failed, match=r"not at rest 15\.0 s after everything was healed"):
            world.play()

    def test_ends_when_the_core_gives_up(self) -> None:
        world = CoreWorld(Plan(1, seconds=5.0))

        def break_it() -> None:
            leader = world.leader()
            assert leader is not None
            leader.node.log.commit = leader.node.log.last_index + 9

        world.timeline.callLater(3.0, break_it)
        with pytest.raises(Failed):
            world.play()

    def test_of_a_plan_is_as_in_the_whole_simulator_in_what_goes_wrong(self) -> None:
        faults = (Fault("crash", "loses", 2.0, "leader", seconds=1.0), Fault("wipe", "", 5.0, "order-1", seconds=0.2))
        world = CoreWorld(Plan(4, faults=faults, seconds=SECONDS))
        world.play()
        assert dict(world.mischief.points) == {"crash: loses": 1, "wipe": 1}
        assert world.tally["renames"] >= 1
