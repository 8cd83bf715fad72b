"""Runs a workload with the recorder, and checks that the trace tells all that has happened to the directory."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random

from attrs import field, frozen

from tests.disks.crash import KEPT, FileSystem, State, points, tree_of
from tests.disks.trace import BadTrace, Event, Sync, SyncDirectory, Write, joined, read_trace_file
from tests.disks.workload import BROKEN_EXIT

SOURCE = Path(__file__).with_name("recorder.c")
ROOT = Path(__file__).parents[2]
COMPILERS = ("gcc", "cc")
LATER_LIVES = 10
"""The number of the first process after a power failure, so that its requests are not those of one before it."""
NONCES = 1 << 16
"""Bytes that stand for /dev/urandom; SQLite reads 256 of them, once a process."""


def fast_directory() -> str | None:
    """Where to lay thousands of states: in memory, where the machine has it."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@cache
def recorder() -> Path:
    """The compiled recorder. Raises CalledProcessError, and OSError without a compiler."""
    library = Path(tempfile.mkdtemp(prefix="toystore-recorder-")) / "recorder.so"
    compiler = next(filter(shutil.which, COMPILERS), COMPILERS[0])
    command = [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*command, "-o", str(library), str(SOURCE), "-lpthread"], check=True)
    return library


@frozen
class Recording:
    """`start` is what the directory held before, all of it durable."""

    trace: tuple[Event, ...] = field(repr=False)
    start: Mapping[str, bytes | None] = field(factory=dict, repr=False)

    @property
    def writes(self) -> int:
        return sum(isinstance(event, Write) for event in self.trace)

    @property
    def syncs(self) -> int:
        return sum(isinstance(event, Sync | SyncDirectory) for event in self.trace)

    @property
    def bytes_written(self) -> int:
        return sum(len(event.data) for event in self.trace if isinstance(event, Write))


def environment(directory: Path, trace: Path) -> dict[str, str]:
    """The variables under which a program is recorded."""
    return {"LD_PRELOAD": str(recorder()), "RECORDER_DIR": str(directory), "RECORDER_TRACE": str(trace)}


@frozen
class End:
    """How a process ends: killed in the place of its n-th write or sync (`kill`), or as it does when its n-th sync fails
    (`fail`); or when it is through, where it makes fewer."""

    how: str
    number: int

    def __str__(self) -> str:
        return f"{self.how}:{self.number}"

    @classmethod
    def read(cls, text: str) -> End:
        """Raises ValueError."""
        how, number = text.split(":")
        if how not in ("kill", "fail"):
            raise ValueError(f"{text!r} is neither kill:NUMBER nor fail:NUMBER")
        return cls(how, int(number))


class Nursery:
    """A process with the recorder, which has imported what a workload needs. Those that are recorded are forks of it: a
    short one would otherwise spend most of its time on imports."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.disks.workload", "--serve"],
            cwd=ROOT,
            env=os.environ | {"LD_PRELOAD": str(recorder())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def live(self, arguments: Sequence[str], variables: Mapping[str, str], text: Path) -> int:
        """The exit code of one process. What it says is in that file."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([arguments, variables, str(text)]), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """It ends with its input."""
        self._process.communicate()


@cache
def nursery() -> Nursery:
    """That of this process."""
    opened = Nursery()
    atexit.register(opened.close)
    return opened


def record(
    workload: str, seed: int, steps: int, mutant: str | None = None, ends: Sequence[End] = (), start: State | None = None
) -> Recording:
    """One process for each of the `ends`, each with the directory of the one before; then one that goes on to its own end.
    `start` is what the first finds. Raises BadTrace where the trace is not what happened."""
    with tempfile.TemporaryDirectory(prefix="toystore-disks-", dir=fast_directory()) as room:
        directory, nonces = (Path(room).resolve() / name for name in ("disk", "nonces"))
        directory.mkdir()
        if start is not None:
            start.lay(directory)
        nonces.write_bytes(Random(seed).randbytes(NONCES))
        arguments = [workload, f"--directory={directory}", f"--seed={seed}", f"--steps={steps}"]
        arguments += [f"--mutant={mutant}"] if mutant else []
        lives = []
        for life, end in enumerate((*ends, None), start=0 if start is None else LATER_LIVES):
            trace, text = (directory.with_name(f"{name}-{life}") for name in ("trace", "text"))
            variables = environment(directory, trace) | {"RECORDER_RANDOM": str(nonces)}
            if end is not None:
                variables[f"RECORDER_{end.how.upper()}"] = str(end.number)
            code = nursery().live([*arguments, f"--life={life}"], variables, text)
            if code not in (0, *([] if end is None else [BROKEN_EXIT, -signal.SIGKILL])):
                print(text.read_text(), file=sys.stderr)
                raise subprocess.CalledProcessError(code, arguments)
            lives.append(read_trace_file(trace))
        return checked(Recording(joined(lives), start.tree if start else {}), directory)


def checked(recording: Recording, directory: Path, is_meant: Callable[[str], bool] = lambda _: True) -> Recording:
    """Everything that the trace says, done to the start, makes the directory as it is now, as far as its paths are meant;
    else BadTrace."""
    *_, last = points(recording.trace, FileSystem.POSIX, recording.start)
    told = last.state(tuple(KEPT for _ in last.pending)).tree
    there = tree_of(directory)
    wrong = sorted(path for path in told.keys() | there.keys() if told.get(path) != there.get(path) and is_meant(path))
    if wrong:
        raise BadTrace(f"the recorder has missed something: {', '.join(wrong)} are not as the trace has them")
    return recording
