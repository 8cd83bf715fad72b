"""Whole clusters under faults, one schedule for each seed. See world.py for a run, faults.py for what goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulation.world import Failed, World

ROOT = Path(__file__).parents[2]
SUITES, SEEDS = 12, 26
"""Suites for each election, and seeds in each: 312 and 312 in every run of the tests."""

ALWAYS = (
    "commits", "elections", "truncations", "snapshots", "crashes", "wipes", "stops", "reads", "lost reads", "refused",
    "turned away", "unknown", "orders",
)  # fmt: skip
MUST_HAPPEN = {
    "raft": (*ALWAYS, "renames"),
    "appointed": (*ALWAYS, "views", "drops", "joins", "register crashes", "registers lost"),
}
"""A suite in which one of these is zero has shown nothing about it."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "first" in metafunc.fixturenames:
        seed = metafunc.config.getoption("--seed", None)
        starts = range(1, SUITES * SEEDS, SEEDS) if seed is None else [seed]
        metafunc.parametrize("first", starts)


def play(election: str, first: int, config: pytest.Config, record_property: Callable[[str, object], None]) -> None:
    if config.getoption("--seed", None) is not None:
        World(first, trace=print, election=election).play()
        return
    tally: Counter[str] = Counter()
    for seed in range(first, first + SEEDS):
        world = World(seed, election=election)
        world.play()
        tally += world.tally
    report = ", ".join(f"{count} {what}" for what, count in sorted(tally.items()))
    print(f"seeds {first} to {first + SEEDS - 1}: {report}")
    record_property("tally", report)
    missing = [what for what in MUST_HAPPEN[election] if not tally[what]]
    assert not missing, f"no {' and no '.join(missing)} in {SEEDS} seeds: {report}"


class TestElected:
    @pytest.mark.fault(1, 2, 6)
    def test_nothing_that_was_promised_is_broken(
        self, first: int, pytestconfig: pytest.Config, record_property: Callable[[str, object], None]
    ) -> None:
        play("raft", first, pytestconfig, record_property)


class TestAppointed:
    @pytest.mark.fault(1, 2, 6)
    def test_nothing_that_was_promised_is_broken(
        self, first: int, pytestconfig: pytest.Config, record_property: Callable[[str, object], None]
    ) -> None:
        play("appointed", first, pytestconfig, record_property)


class TestASeed:
    SOME = 7

    def hashes(self, hash_seed: str) -> str:
        command = [sys.executable, "-m", "tests.simulation", str(self.SOME), "--count", "3", "--hash"]
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        run = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
        return run.stdout

    def test_gives_one_trace_in_any_process(self) -> None:
        world = World(self.SOME)
        world.play()
        once, again = self.hashes("1"), self.hashes("4711")
        assert once == again
        assert world.trace_hash in once

    def test_another_gives_another(self) -> None:
        worlds = [World(seed) for seed in (1, 2)]
        for world in worlds:
            world.play()
        assert worlds[0].trace_hash != worlds[1].trace_hash

    def test_to_take_a_fault_away_changes_no_other(self) -> None:
        whole, without = World(self.SOME).faults, World(self.SOME, without=("crash",)).faults
        assert whole.crash > 0
        assert without.crash == 0
        assert str(without) == ", ".join(part for part in str(whole).split(", ") if "crash" not in part)

    def test_that_fails_says_how_to_repeat_it(self) -> None:
        world = World(self.SOME, without=("loss",))
        world.clock.callLater(1.0, world.violate, "the sky is falling")
        with pytest.raises(Failed) as failed:
            world.play()
        assert "the sky is falling" in str(failed.value)
        assert f"python -m tests.simulation {self.SOME} --trace --without loss" in str(failed.value)
