"""Calls into the simulator with a mutant's `toystore`, in a child of this process: what Python has loaded stays, but for the
program itself.

A new process for each mutant would spend most of its time on importing what no mutant changes.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

OURS = ("toystore", "tests")
TIME = 120
"""Seconds of computing after which a call is given up: far more than one needs."""


class Broke(Exception):
    """The child ended without an answer."""


def replay(tree: Path, lane: str, plan: str) -> dict[str, Any] | None:
    """What `play.replay` says of this plan with the `toystore` of this tree. Raises Broke."""
    found: dict[str, Any] | None = in_tree(tree, "tests.mutants.play", "replay", lane, plan)
    return found


def made_small(tree: Path, lane: str, plan: str) -> str:
    """A plan with few faults under which the mutant in this tree still breaks a promise. Raises Broke."""
    return str(in_tree(tree, "tests.mutants.play", "made_small", lane, plan))


def in_tree(tree: Path, module: str, function: str, *arguments: Any) -> Any:
    """What it gives; arguments and result are JSON. Raises Broke."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _call(tree, module, function, arguments, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        said = answer.read()
    _, status = os.waitpid(child, 0)
    if status or not said:
        raise Broke(f"it ended with status {status}: {said.decode()}")
    return json.loads(said)


def _call(tree: Path, module: str, function: str, arguments: tuple[Any, ...], writing: int) -> None:
    """In the child; never returns."""
    status = 1
    with os.fdopen(writing, "wb") as answer:
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, TIME)
            sys.dont_write_bytecode = True
            for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
                del sys.modules[name]
            sys.path.insert(0, str(tree))
            import toystore

            assert Path(toystore.__file__).is_relative_to(tree), toystore.__file__
            result = getattr(importlib.import_module(module), function)(*arguments)
            answer.write(json.dumps(result).encode())
            status = 0
        except BaseException:
            answer.write(traceback.format_exc().encode())
        finally:
            answer.flush()
            os._exit(status)
