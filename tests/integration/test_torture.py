"""`toystore torture`: real processes in network namespaces, under faults; the history of what customers were told is judged.

Short runs here; the long tests have all kinds of faults.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.integration.clusters import TOYSTORE, surroundings
from toystore.torture.ground import NAMESPACES, NoGround, check_possible
from toystore.torture.kinds import BY_NAME

PATIENCE = "4"
"""The machine has other tests to run."""
START_SECONDS = 120.0


@pytest.fixture(autouse=True)
def _possible() -> None:
    try:
        check_possible()
    except NoGround as reason:
        pytest.skip(str(reason))


class Ran:
    """A run that has ended, and what it left behind."""

    def __init__(self, process: subprocess.Popen[str], out: Path, seconds: float) -> None:
        self.out = out
        try:
            self.text, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.terminate()
            self.text, _ = process.communicate(timeout=60)
            pytest.fail(f"not over after {seconds} s\n{self.story()}")
        self.code = process.returncode
        self.pid = process.pid

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "report.json").read_text())
        return found

    def story(self) -> str:
        """What to know when something went wrong."""
        logs = [f"{log.parent.name}:\n{log.read_text(errors='replace')[-1500:]}" for log in self.out.glob("logs/*/log")]
        return "\n".join([self.text[-6000:], *logs])


def launch(out: Path, *options: str) -> subprocess.Popen[str]:
    env = surroundings()
    return subprocess.Popen(
        [*TOYSTORE, "torture", "--out", str(out), "--patience", PATIENCE, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=env,
    )


def torture(out: Path, *options: str, seconds: float = 240.0) -> Ran:
    return Ran(launch(out, *options), out, seconds)


def only(*kinds: str) -> list[str]:
    return [word for kind in kinds for word in ("--only", kind)]


def assert_survived(ran: Ran, faults: int) -> None:
    assert ran.code == 0, ran.story()
    report = ran.report
    assert report["anomalies"] == [], ran.story()
    assert sum(report["faults"].values()) >= faults, ran.text
    assert report["operations"]["buy"]["ok"] > 50, ran.text


def assert_nothing_is_left(pid: int) -> None:
    """The kernel takes loop devices away a little after the last process that had a file there."""
    assert [path.name for path in NAMESPACES.glob(f"toystore-{pid}-*")] == []
    deadline = time.monotonic() + 20
    while left := [text for text in backing_files() if f"toystore-{pid}-" in text]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def backing_files() -> list[str]:
    """Of the loop devices."""
    found = []
    for file in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):  # it went meanwhile
            found.append(file.read_text())
    return found


def test_a_short_run_survives_and_leaves_nothing_behind(tmp_path: Path) -> None:
    kinds = only("kill-leader", "split", "one-way", "bad-link", "full-disk", "clock")
    ran = torture(tmp_path / "out", "--minutes", "0.2", "--seed", "7", "--rate", "60", "--clients", "8", *kinds)
    assert_survived(ran, faults=2)
    assert_nothing_is_left(ran.pid)
    again = subprocess.run(
        [*TOYSTORE, "torture", "--check", str(ran.out)], capture_output=True, text=True, env=surroundings(), check=False
    )
    assert again.returncode == 0, again.stdout + again.stderr


@pytest.mark.long
@pytest.mark.parametrize("election", ["raft", "appointed"])
def test_all_kinds_of_faults(election: str, tmp_path: Path) -> None:
    ran = torture(tmp_path / "out", "--minutes", "3", "--election", election, "--seed", "11", "--rate", "80", seconds=900)
    assert_survived(ran, faults=25)
    assert ran.report["missing"] == [], "all kinds are possible here"
    assert len(ran.report["faults"]) >= len(BY_NAME) - 4, ran.text


@pytest.mark.long
def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path) -> None:
    process = launch(tmp_path / "out", "--minutes", "5", "--seed", "1")
    deadline = time.monotonic() + START_SECONDS
    assert process.stdout is not None
    seen = []
    while "ready" not in "".join(seen[-1:]):
        assert time.monotonic() < deadline, seen
        assert process.poll() is None, seen
        seen.append(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 3, out
    assert_nothing_is_left(process.pid)


@pytest.mark.long
def test_what_a_killed_run_has_left_is_removed_by_the_next(tmp_path: Path) -> None:
    process = launch(tmp_path / "first", "--minutes", "5", "--seed", "1")
    deadline = time.monotonic() + START_SECONDS
    assert process.stdout is not None
    while "ready" not in (line := process.stdout.readline()):
        assert time.monotonic() < deadline, line
    process.kill()
    process.communicate(timeout=60)
    ran = torture(tmp_path / "second", "--minutes", "0.1", "--seed", "1", *only("pause"))
    assert ran.code == 0, ran.story()
    assert_nothing_is_left(process.pid)
    assert_nothing_is_left(ran.pid)


def test_what_can_not_be_done_is_said(tmp_path: Path) -> None:
    ran = torture(tmp_path / "out", "--only", "earthquake")
    assert ran.code == 2, ran.text
    assert "earthquake" in ran.text
    assert "kill-leader" in ran.text, "it names those there are"
