"""A library of ours that is preloaded into the nodes (`shim.c`): it slows syncs down, and moves the wall clock.

What it does stands in a small file for each node, which a running node follows. The monotonic clock stays as it is: the
wall clock is what an operator or a time server moves, the other would be a broken kernel.

This was to be libfaketime. Its release 0.9.10 makes every `time.sleep` of Python 3.11 fail (EINVAL, where the monotonic
clock is not faked), leaves two files in /dev/shm for each process that is killed, and follows its file up to a second late.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

from attrs import frozen

from toystore.torture.kinds import COMPILER

SOURCE = Path(__file__).with_name("shim.c")
COMPILERS = ("gcc", "cc")
ORDERS = struct.Struct("=qq")


@frozen
class Shims:
    """`library` is None where the machine can not compile it; `directory` has the file of each node."""

    library: Path | None
    directory: Path

    @property
    def available(self) -> set[str]:
        """What kinds of faults may need (`Kind.needs`)."""
        return set() if self.library is None else {COMPILER}

    def settings(self, node: str) -> dict[str, str]:
        """The variables under which a node runs."""
        if self.library is None:
            return {}
        return {"LD_PRELOAD": str(self.library), "TOYSTORE_SHIM": str(self._file(node))}

    def calm(self, node: str) -> None:
        """No sync is slow, and the clock is right."""
        self._file(node).write_bytes(ORDERS.pack(0, 0))

    def slow_down(self, node: str, milliseconds: int) -> None:
        self._write(node, 0, milliseconds)

    def move_clock(self, node: str, seconds: int) -> None:
        self._write(node, 1, seconds)

    def _write(self, node: str, which: int, number: int) -> None:
        """In place: the running node has the file mapped."""
        with self._file(node).open("r+b", buffering=0) as file:
            file.seek(8 * which)
            file.write(struct.pack("=q", number))

    def _file(self, node: str) -> Path:
        return self.directory / node


def find_shims(directory: Path) -> Shims:
    """Compile the library into `directory`. Raises CalledProcessError: it does not compile."""
    directory.mkdir(parents=True, exist_ok=True)
    compiler = next(filter(shutil.which, COMPILERS), None)
    if compiler is None:
        return Shims(None, directory)
    library = directory.resolve() / "shim.so"
    flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *flags, "-o", str(library), str(SOURCE), "-ldl"], check=True)
    return Shims(library, directory)
