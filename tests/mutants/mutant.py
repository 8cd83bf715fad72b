"""A mutant: the program with one fault in it, made by a patch; and the search for a schedule in which that breaks a promise.

A patch is `patches/NAME.patch`: lines of `field: value` (see `Mutant`), a blank line, a unified diff against `toystore/`.
It is applied to a copy of the package in a temporary directory; the program itself knows nothing of mutants. The simulator
then runs there as it does on the program, in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from tests.simulation.lanes import ELECTIONS, LANES

ROOT = Path(__file__).parents[2]
PATCHES, PLANS = Path(__file__).parent / "patches", Path(__file__).parent / "plans"
PATIENCE = 180.0
"""Seconds that a schedule may take, on a machine that has much else to do: far more than one does."""


class Unfit(Exception):
    """A patch that can not be read, or does not fit the program any more."""


@frozen
class Mutant:
    """`wrong` is its fault in a line, `breaks` the rule that it breaks: a section of the design, of a paper.

    `elections` are the ways to elect under which it must be found, in this `lane` (tests/simulation/lanes.py) and within
    `schedules` from any seed on; 0 where no number is stated. Where it has a `theme`, the pattern of faults that such a
    mistake needs, only schedules with this theme are searched.
    """

    name: str
    wrong: str
    breaks: str
    elections: tuple[str, ...]
    lane: str
    theme: str
    schedules: int
    diff: str

    @classmethod
    def read(cls, path: Path) -> Mutant:
        """Raises Unfit."""
        head, blank, diff = path.read_text().partition("\n\n")
        fields = dict(line.partition(": ")[::2] for line in head.splitlines())
        try:
            elections = tuple(fields.pop("election").split(", "))
            mutant = cls(
                path.stem, fields.pop("wrong"), fields.pop("breaks"), elections, fields.pop("lane"),
                fields.pop("theme", ""), int(fields.pop("schedules", "0")), diff,
            )  # fmt: skip
        except KeyError as error:
            raise Unfit(f"{path}: the head lacks {error}") from error
        if fields or not blank or not set(elections) <= set(ELECTIONS) or mutant.lane not in LANES:
            raise Unfit(f"{path}: the head is not as it should be: {head!r}")
        return mutant

    @property
    def recorded(self) -> Path:
        """A plan under which it breaks a promise, kept small; there may be none."""
        return PLANS / f"{self.name}.json"

    @property
    def files(self) -> list[str]:
        """Those that it changes."""
        return [line.removeprefix("+++ b/").strip() for line in self.diff.splitlines() if line.startswith("+++ ")]

    @contextmanager
    def tree(self) -> Iterator[Path]:
        """A directory with the package, the fault in it, and the tests; as long as the context lasts. Raises Unfit."""
        with tempfile.TemporaryDirectory(prefix=f"mutant-{self.name}-") as directory:
            tree = Path(directory)
            shutil.copytree(ROOT / "toystore", tree / "toystore")
            (tree / "tests").symlink_to(ROOT / "tests")
            (tree / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
            command = ["git", "apply", "--whitespace=nowarn", "--unsafe-paths", "-"]
            patched = subprocess.run(
                command, cwd=tree, env=_outside(tree), input=self.diff, text=True, capture_output=True, check=False
            )
            if patched.returncode:
                raise Unfit(f"{self.name}.patch does not apply to the present toystore/:\n{patched.stderr}")
            yield tree


def _outside(tree: Path) -> dict[str, str]:
    """An environment in which git finds no repository: within one it would leave out what is not in it, and say nothing."""
    return os.environ | {"GIT_CEILING_DIRECTORIES": str(tree.parent)}


def mutants(names: tuple[str, ...] = ()) -> list[Mutant]:
    """All, or those of these names. Raises Unfit."""
    paths = {path.stem: path for path in sorted(PATCHES.glob("*.patch"))}
    unknown = [name for name in names if name not in paths]
    if unknown:
        raise Unfit(f"there is no mutant {', '.join(unknown)}; there are {', '.join(paths)}")
    return [Mutant.read(paths[name]) for name in names or paths]


@frozen
class Found:
    """What came of a search: in which schedule, counted from 1, a promise was broken (0: in none), and what was said.
    `seconds` is how long the search took; `at` is when in the run it was, `plan` the plan (JSON)."""

    schedule: int
    what: str
    seconds: float
    at: float = 0.0
    plan: str = ""


def hunt(mutant: Mutant, tree: Path, election: str, first: int, schedules: int) -> Found:
    """Play schedules from the seed `first` on until one breaks a promise. Raises Unfit where the simulator can not run."""
    command = [sys.executable, "-m", "tests.mutants.play", mutant.lane, election, str(first), str(schedules), mutant.theme]
    began = time.monotonic()
    try:
        run = subprocess.run(
            command, cwd=tree, env=_first(tree), text=True, capture_output=True, timeout=PATIENCE * schedules, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unfit(f"{mutant.name}: {schedules} schedules take more than {PATIENCE:.0f} s each") from None
    if run.returncode:
        raise Unfit(f"{mutant.name}: the simulator does not run:\n{run.stdout}{run.stderr}")
    result, seconds = json.loads(run.stdout), time.monotonic() - began
    if "what" not in result:
        return Found(0, "", seconds)
    return Found(result["played"], gist(result["what"]), seconds, result["at"], result["plan"])


def _first(tree: Path) -> dict[str, str]:
    """An environment in which the packages of this tree are those that Python finds."""
    return os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}


def gist(what: str) -> str:
    """What was violated, in a line: of a traceback, the last one."""
    lines = [line for line in what.splitlines() if line.strip()]
    return f"{lines[0].partition('Traceback')[0]}{lines[-1].strip()}" if "Traceback" in lines[0] else lines[0]
