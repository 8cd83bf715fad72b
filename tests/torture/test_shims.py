"""The library that slows syncs and moves the clock, in a real process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from toystore.torture.shims import COMPILERS, Shims, find_shims

ASKED = """
import os, sys, time
before = time.monotonic()
with open(sys.argv[1], "w") as file:
    os.fsync(file.fileno())
print(time.time(), time.monotonic() - before)
"""


@pytest.fixture
def shims(tmp_path: Path) -> Shims:
    if not any(map(shutil.which, COMPILERS)):
        pytest.skip(f"needs {' or '.join(COMPILERS)}")
    found = find_shims(tmp_path / "shims")
    found.calm("order-1")
    return found


def ask(shims: Shims, directory: Path) -> tuple[float, float]:
    """The wall clock as a process under the shim sees it, and how long a sync took it."""
    env = os.environ | shims.settings("order-1")
    command = [sys.executable, "-c", ASKED, str(directory / "synced")]
    out = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split()
    return float(out[0]), float(out[1])


@pytest.mark.parametrize("offset", [3600, -3600, 0])
def test_the_wall_clock_is_moved_and_the_other_is_not(offset: int, shims: Shims, tmp_path: Path) -> None:
    right, _ = ask(shims, tmp_path)
    shims.move_clock("order-1", offset)
    moved, seconds = ask(shims, tmp_path)
    assert abs(moved - right - offset) < 600
    assert 0 <= seconds < 600


def test_a_sync_is_slowed_down(shims: Shims, tmp_path: Path) -> None:
    shims.slow_down("order-1", 300)
    shims.move_clock("order-1", 3600)
    _, seconds = ask(shims, tmp_path)
    assert seconds >= 0.3


def test_without_a_compiler_nothing_is_preloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None)
    shims = find_shims(tmp_path)
    assert shims.available == set()
    assert shims.settings("order-1") == {}
