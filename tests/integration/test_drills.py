"""The drills on clusters of real processes, healthy ones and some that are broken on purpose."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.integration.clusters import run_toystore
from toystore.drills.scripts import DRILLS

BROKEN = Path(__file__).with_name("broken")


def summary(out: str, drills: int) -> list[str]:
    """The last lines, one for each drill, without their figures."""
    return [re.sub(r"\d+ steps in .*", "", line) for line in out.rstrip().splitlines()[-drills:]]


@pytest.mark.row("X4", "G5")
def test_a_drill_holds(tmp_path: Path) -> None:
    """The one that is likeliest to fail; the others have their turn in the long runs, and on a pretended cluster."""
    done = run_toystore("drill", "X4", "--data-dir", str(tmp_path), seconds=90)
    assert done.code == 0, done.out + done.err
    assert summary(done.out, 1) == ["X4 holds: "]


@pytest.mark.long
@pytest.mark.row("X1", "X2", "X3", "X4", "X5", "X6", "X7", "X8", "X9", "G5", "P7", "H3")
def test_all_drills_hold(tmp_path: Path) -> None:
    done = run_toystore("drill", "all", "--data-dir", str(tmp_path), seconds=300)
    assert done.code == 0, done.out + done.err
    assert summary(done.out, len(DRILLS)) == [f"{name} holds: " for name in DRILLS]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "broken", "step", "seen"),
    [
        ("X2", "loses_an_order", "three files equal", "file 2: order 1 is buy 10 apple; in the file 2 is sell 10 tesla"),
        pytest.param(
            *(
                "X4",
                "gives_up",
                "order-3, which leads, is killed while a POST is in flight",
                "buy 7 ford: the store answers 504",
            ),
            marks=pytest.mark.long,
        ),
        pytest.param("X9", "takes_over_again", "3 returns as follower", "order-3 leads", marks=pytest.mark.long),
    ],
)
def test_a_drill_differs_on_a_cluster_that_is_broken(
    name: str, broken: str, step: str, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = [str(BROKEN), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    monkeypatch.setenv("TOYSTORE_BROKEN", broken)
    done = run_toystore("drill", name, "--data-dir", str(tmp_path), "--patience", "3", seconds=90)
    assert done.code == 1, done.out + done.err
    assert re.search(rf"{name} DIFFERS at step \d+, {step};", done.out), done.out
    assert seen in done.out
