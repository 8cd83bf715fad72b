"""Disks that forget what was not synced, for every process of a cluster."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "forgetful.c"


COMPILERS = ("gcc", "cc")


def build(directory: Path) -> Path:
    """Compile the shim (see forgetful.c) into `directory`. Raises CalledProcessError, and OSError without a compiler."""
    shim = directory.resolve() / "forgetful.so"
    compiler = next(filter(shutil.which, COMPILERS), COMPILERS[0])
    command = [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*command, "-o", str(shim), str(SOURCE), "-lpthread"], check=True)
    return shim


def environment(shim: Path, directory: Path, lie: bool = False) -> dict[str, str]:
    """The variables under which a program forgets what it writes below `directory` and does not sync."""
    directory.mkdir(parents=True, exist_ok=True)
    variables = {"LD_PRELOAD": str(shim), "FORGETFUL_DIR": str(directory.resolve())}
    return variables | ({"FORGETFUL_LIE": "1"} if lie else {})


def prefix(shim: Path, directory: Path, lie: bool = False) -> str:
    """What to give to `toystore up --prefix`."""
    return shlex.join(["env", *(f"{name}={text}" for name, text in environment(shim, directory, lie).items())])
