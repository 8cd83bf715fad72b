"""Plays one plan against a mutant, in a child of this process: what Python has loaded stays, but for the program itself.

A new process for each mutant would spend most of its time on importing what no mutant changes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

OURS = ("toystore", "tests")
TIME = 60
"""Seconds of computing after which a run is given up: far more than one needs."""


class Broke(Exception):
    """The child ended without a word on the plan."""


def replay(tree: Path, plan: str) -> dict[str, Any] | None:
    """What `play.play` gives for this plan (JSON) with the `toystore` of this tree. Raises Broke."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _play(tree, plan, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        said = answer.read()
    _, status = os.waitpid(child, 0)
    if status or not said:
        raise Broke(f"it ended with status {status}: {said.decode()}")
    found: dict[str, Any] | None = json.loads(said)
    return found


def _play(tree: Path, plan: str, writing: int) -> None:
    """In the child; never returns."""
    status = 1
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, TIME)
        sys.dont_write_bytecode = True
        for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
            del sys.modules[name]
        sys.path.insert(0, str(tree))
        import toystore
        from tests.mutants import play
        from tests.simulation.plan import Plan

        assert Path(toystore.__file__).is_relative_to(tree), toystore.__file__
        os.write(writing, json.dumps(play.play(Plan.from_json(plan))).encode())
        status = 0
    except BaseException:
        os.write(writing, traceback.format_exc().encode())
    finally:
        os._exit(status)
