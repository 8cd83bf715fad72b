"""`toystore drill`: what it prints, its exit codes, and the cluster that it makes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from click.testing import CliRunner
from rich.console import Console

from tests.support.drill_ground import Ground, run
from toystore.cli import main
from toystore.commands import drill as command
from toystore.commands.loop import NO, UNSURE, YES, CommandFailed
from toystore.drills.play import Played
from toystore.drills.scene import CouldNotTell, Drill, Seen
from toystore.drills.scripts import DRILLS

X2 = DRILLS["X2"]


class WritesNothing(Ground):
    """Its replicas have empty files."""

    def _written(self, node: str, whole: bytes) -> bytes:
        return b"{}"


class Unplayable(Ground):
    """A port is taken."""

    async def start(self, without: Sequence[str]) -> Seen:
        raise CouldNotTell("order-1 could not start: Couldn't listen on 127.0.0.1:9721")


@frozen
class Theatre:
    """Where drills are played on pretended clusters."""

    home: Path
    directory: Path
    screen: io.StringIO
    monkeypatch: pytest.MonkeyPatch

    def play(self, kind: type[Ground] = Ground, *drills: Drill) -> int:
        """The exit code of drill X2, or of these, on such a cluster."""
        ground = kind(X2, self.home)
        self.monkeypatch.setattr(command, "Cluster", lambda *_: ground)
        return int(run(ground.clock, command.play_all(ground.clock, drills or [X2], self.directory, 5.0)))

    @property
    def lines(self) -> list[str]:
        return self.screen.getvalue().splitlines()


@pytest.fixture
def theatre(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Theatre:
    screen = io.StringIO()
    monkeypatch.setattr(command, "console", lambda: Console(file=screen, width=200, highlight=False))
    for name in ("home", "data"):
        (tmp_path / name).mkdir()
    return Theatre(tmp_path / "home", tmp_path / "data", screen, monkeypatch)


def test_every_step_tells_what_is_expected_and_what_is_seen(theatre: Theatre) -> None:
    assert theatre.play() == YES
    lines = theatre.lines
    assert lines[0] == "X2  propagation: three files equal"
    at = lines.index("  3 three files equal")
    assert lines[at + 1] == "      expected  files 1, 2 and 3: up to order 3, the same bytes"
    assert lines[at + 2].startswith("      seen      files 1, 2 and 3: up to order 3, the same bytes, sha256 ")
    assert lines[at + 3].startswith("      same      ")
    assert lines[-2].startswith("X2 holds: 8 steps in ")


def test_the_data_is_removed_where_a_drill_holds(theatre: Theatre) -> None:
    theatre.play()
    assert list(theatre.directory.iterdir()) == []


def test_a_difference_is_named_and_its_data_stays(theatre: Theatre, capsys: pytest.CaptureFixture[str]) -> None:
    assert theatre.play(WritesNothing) == NO
    assert (
        "      seen      file 1: order 0 is missing; file 2: order 0 is missing; file 3: order 0 is missing" in theatre.lines
    )
    assert "X2 DIFFERS at step 3, three files equal; 5 steps are left out" in theatre.lines
    (kept,) = theatre.directory.iterdir()
    assert (kept / "cluster.toml").exists()
    assert str(kept) in capsys.readouterr().out


def test_what_can_not_be_played_says_why(theatre: Theatre) -> None:
    with pytest.raises(CommandFailed, match="X2 could not be played: order-1 could not start") as failed:
        theatre.play(Unplayable)
    assert failed.value.exit_code == UNSURE


def test_after_all_of_them_there_is_a_line_for_each(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(drill: Drill, *_: Any) -> Played:
        return Played(drill, 5, 1.5, 5 if drill.name == "X3" else None)

    monkeypatch.setattr(command, "play", play)
    assert theatre.play(Ground, *DRILLS.values()) == NO
    assert [line.split()[:2] for line in theatre.lines] == [
        [name, "DIFFERS" if name == "X3" else "holds:"] for name in DRILLS
    ]


@pytest.mark.parametrize("name", DRILLS)
def test_the_cluster_is_appointed_and_keeps_the_file_of_the_row(name: str, tmp_path: Path) -> None:
    drill = DRILLS[name]
    config = command.drill_place(drill, tmp_path).config
    assert config.cluster.election == "appointed"
    assert config.cluster.leader_preference == ("highest" if name == "X7" else "sticky")
    assert config.timing.hand_over_after == 0
    assert [(one.format, one.path) for one in config.projections] == [(drill.shop.format, drill.shop.path)]
    assert [order.id for order in config.orders] == [1, 2, 3]
    assert drill.shop.dialect in [public.dialect for public in config.fronts[0].publics]


def test_no_free_ports_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rehearsal(*_: Any) -> None:
        raise command.NoFreePorts("no 9 free ports from 10000 on")

    monkeypatch.setattr(command, "rehearsal", rehearsal)
    with pytest.raises(CommandFailed, match="no 9 free ports") as failed:
        command.drill_place(X2, tmp_path)
    assert failed.value.exit_code == UNSURE


def test_a_drill_that_is_none_is_wrong_usage() -> None:
    done = CliRunner().invoke(main, ["drill", "X10"])
    assert done.exit_code == 2
    assert "'X10' is not one of" in done.output
