"""Libraries that are preloaded into the nodes: one of ours that slows syncs down, and libfaketime, which moves the clock.

Both read what to do from a file, so that a running node can be changed: `slow_sync.c` milliseconds, libfaketime an offset
in seconds. The monotonic clock stays as it is: the one is what an operator or a time server does to a machine, the other
would be a broken kernel.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from attrs import frozen

SOURCE = Path(__file__).with_name("slow_sync.c")
COMPILERS = ("gcc", "cc")
FAKETIME = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib*/faketime/libfaketimeMT.so.1")
"""Where distributions keep it, the build for programs with threads."""


@frozen
class Shims:
    """The libraries of a run; None where the machine has not what it takes."""

    slow_sync: Path | None
    faketime: Path | None
    directory: Path
    """Where the files are that say what to do."""

    @property
    def available(self) -> set[str]:
        """What kinds of faults may need (`Kind.needs`)."""
        return {name for name, shim in (("gcc", self.slow_sync), ("libfaketime", self.faketime)) if shim is not None}

    def settings(self, node: str) -> dict[str, str]:
        """The variables under which a node runs. The clock is looked up at most once a second."""
        shims = [str(shim) for shim in (self.slow_sync, self.faketime) if shim is not None]
        if not shims:
            return {}
        found = {"LD_PRELOAD": ":".join(shims), "SLOW_SYNC_FILE": str(self._sync_file(node))}
        if self.faketime is not None:
            found |= {
                "FAKETIME_TIMESTAMP_FILE": str(self._clock_file(node)),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "DONT_FAKE_MONOTONIC": "1",
                "FAKETIME_DONT_RESET": "1",
                "NO_FAKE_STAT": "1",
            }
        return found

    def calm(self, node: str) -> None:
        """Nothing is slow, and the clock is right."""
        self.slow_down(node, 0)
        self.move_clock(node, 0)

    def slow_down(self, node: str, milliseconds: int) -> None:
        _write(self._sync_file(node), f"{milliseconds}\n")

    def move_clock(self, node: str, seconds: int) -> None:
        _write(self._clock_file(node), f"{seconds:+d}\n")

    def _sync_file(self, node: str) -> Path:
        return self.directory / f"{node}.sync"

    def _clock_file(self, node: str) -> Path:
        return self.directory / f"{node}.clock"


def _write(file: Path, text: str) -> None:
    """In one step: nobody reads half of it."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def find_shims(directory: Path) -> Shims:
    """Compile what is ours into `directory`, and look for libfaketime. Raises CalledProcessError: it does not compile."""
    directory.mkdir(parents=True, exist_ok=True)
    return Shims(_build(directory), _find_faketime(), directory)


def _build(directory: Path) -> Path | None:
    compiler = next(filter(shutil.which, COMPILERS), None)
    if compiler is None:
        return None
    shim = directory.resolve() / "slow_sync.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(shim), str(SOURCE)], check=True
    )
    return shim


def _find_faketime() -> Path | None:
    root = Path("/")
    return next((path for pattern in FAKETIME for path in sorted(root.glob(pattern.lstrip("/")))), None)
