"""What a run tells of itself, and how it is asked for again."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from attrs import evolve
from click.testing import CliRunner

from toystore.cli import main
from toystore.torture import ground
from toystore.torture.ground import NoGround, check_possible
from toystore.torture.kinds import KINDS
from toystore.torture.report import Report, Wishes

REPORT = Report(
    wishes=Wishes(minutes=20, seed=7),
    seconds=1300.0,
    faults={"kill": 20, "split": 9},
    skipped={"wipe": 1},
    operations={"buy": {"ok": 100, "fail": 7, "info": 3}, "stock": {"ok": 40}},
    errors={"buy: insufficient_stock": 7, "buy: outcome_unknown": 3},
    longest_gap=3.25,
    recoveries=[1.0, 2.0, 9.0],
    reigns=12,
    starts=60,
    packets={"forwarded": 1000, "lost": 5, "delayed": 4, "duplicated": 3},
    findings=["orders are numbered one by one (100 checked)"],
)


def test_a_good_run_says_so() -> None:
    text = REPORT.text()
    assert text.endswith("no anomaly")
    for told in ("29 faults", "kill 20, split 9", "wipe 1", "3.2 s", "2.0 s median, 9.0 s longest", "150 operations"):
        assert told in text, told


def test_a_bad_run_says_what_was_wrong() -> None:
    report = evolve(REPORT, anomalies=["lost: order 7"], missing=["clock: this machine has no compiler"])
    assert not report.good
    assert "ANOMALY   lost: order 7" in report.text()
    assert "NOT TRIED     clock" in report.text()
    assert json.loads(report.json())["anomalies"] == ["lost: order 7"]


@pytest.mark.parametrize(
    "wishes",
    [
        Wishes(),
        Wishes(minutes=0.5, election="appointed", seed=3, orders=5, only=("kill", "split"), patience=2),
        Wishes(without=("clock",), clients=8, rate=60),
    ],
)
def test_the_command_that_repeats_it_is_one(wishes: Wishes, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Wishes] = []
    monkeypatch.setattr("toystore.commands.torture.list_kinds", asked.append)
    program, *arguments = shlex.split(wishes.command())
    assert program == "toystore"
    result = CliRunner().invoke(main, [*arguments, "--list"])
    assert result.exit_code == 0, result.output
    assert asked == [wishes]


def test_the_list_names_every_kind_and_shows_the_schedule() -> None:
    result = CliRunner().invoke(main, ["torture", "--list", "--seed", "3"])
    assert result.exit_code == 0
    assert all(kind.what in result.output for kind in KINDS)
    assert "the first bursts with seed 3" in result.output


def test_a_run_has_a_directory_of_its_own(tmp_path: Any) -> None:
    (tmp_path / "something").touch()
    result = CliRunner().invoke(main, ["torture", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "not empty" in result.output


def test_who_is_not_root_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground.os, "geteuid", lambda: 1000)
    with pytest.raises(NoGround, match="root"):
        check_possible()


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground.os, "geteuid", lambda: 0)
    monkeypatch.setattr(ground.shutil, "which", lambda program: None if program == "ip" else program)
    with pytest.raises(NoGround, match="programs ip "):
        check_possible()
