"""What the figures depend on beside the programs: the disk, the cores, the load, the versions."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from attrs import frozen

import toystore
from benchmarks import wrk

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
COMMITS = 500
COMMIT_SECONDS = 5.0
"""A disk is tried with so many commits, or for so long."""


@frozen
class CommitTime:
    """How long a small durable write took, in milliseconds."""

    p50: float
    p99: float
    count: int


def percentile(values: Iterable[float], share: float) -> float:
    """The value that `share` (0 to 1) of them do not exceed; the nearest rank."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def _time(commit: Callable[[], None]) -> CommitTime:
    took: list[float] = []
    end = time.monotonic() + COMMIT_SECONDS
    while len(took) < COMMITS and time.monotonic() < end:
        start = time.perf_counter()
        commit()
        took.append((time.perf_counter() - start) * 1000)
    return CommitTime(percentile(took, 0.5), percentile(took, 0.99), len(took))


def commit_times(directory: str | None) -> dict[str, CommitTime]:
    """Of 4 KiB appended to a file and synced, and of one row committed by SQLite as our replicas do (WAL, FULL)."""
    with tempfile.TemporaryDirectory(dir=directory) as made:
        return {
            "fdatasync of 4 KiB appended": _time_appends(Path(made) / "appended"),
            "SQLite commit (WAL, FULL)": _time_sqlite(Path(made) / "ledger.db"),
        }


def _time_appends(path: Path) -> CommitTime:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    block = os.urandom(4096)

    def commit() -> None:
        os.write(file, block)
        os.fdatasync(file)

    try:
        return _time(commit)
    finally:
        os.close(file)


def _time_sqlite(path: Path) -> CommitTime:
    database = sqlite3.connect(path, isolation_level=None)
    try:
        for pragma in ("locking_mode = exclusive", "journal_mode = wal", "synchronous = full"):
            database.execute(f"pragma {pragma}").fetchall()
        database.execute("create table log (entry blob)")
        row = os.urandom(200)
        return _time(lambda: database.execute("insert into log values (?)", (row,)).close())
    finally:
        database.close()


def parse_stat(stat: str) -> tuple[int, int]:
    """The parent of a process and its ticks of processor time (utime + stime), from its /proc/PID/stat."""
    fields = stat.rpartition(")")[2].split()  # its name, in brackets, may hold anything
    return int(fields[1]), int(fields[11]) + int(fields[12])


def cpu_seconds(pids: Iterable[int]) -> dict[int, float]:
    """Processor time of each of these processes so far; those that have gone are left out."""
    found = {}
    for pid in pids:
        try:
            found[pid] = parse_stat(Path(f"/proc/{pid}/stat").read_text())[1] / TICKS_PER_SECOND
        except OSError:
            continue
    return found


def offspring(parent: int) -> list[int]:
    """The children of a process that are alive."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = entry.read_text()
        except OSError:  # ended since it was listed
            continue
        if parse_stat(stat)[0] == parent:
            found.append(int(entry.parent.name))
    return found


def load() -> tuple[float, float, float]:
    """Load average of the last 1, 5 and 15 minutes."""
    return os.getloadavg()


def versions() -> dict[str, str]:
    """Of what runs our side of it. Raises Unusable (wrk)."""
    system = ".".join(platform.release().split(".")[:2])
    libraries = {name: importlib.metadata.version(name) for name in ("Twisted", "klein")}
    return {
        "toystore": toystore.__version__,
        "Python": platform.python_version(),
        **libraries,
        "SQLite": sqlite3.sqlite_version,
        "wrk": wrk.version(),
        platform.system(): system,
    }
