"""One supervisor for each data directory, and the socket by which it is reached.

The lock is a flock(2) on `<data_dir>/up.lock`: the kernel lets go of it however its holder ends, so a socket
that is found by the holder of the lock is a dead one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import TextIO

from toystore.storage.files import make_directory

FILE = "up.lock"
LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel takes 107."""


class AlreadyUp(Exception):
    """Another supervisor runs on this data directory."""


class UnsafeDirectory(Exception):
    """The directory for the socket is open to other users."""


def take(data_dir: Path) -> TextIO:
    """Hold the lock of `data_dir`, which is created where it is missing (0700), until the result is closed.

    Raises AlreadyUp, naming the process that holds it, and OSError where the directory can not be used.
    """
    make_directory(data_dir)
    file = (data_dir / FILE).open("a+", encoding="ascii")
    _hold(file, data_dir)
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def look(data_dir: Path) -> None:
    """Raises AlreadyUp where `take` would, and OSError, and makes nothing."""
    try:
        file = (data_dir / FILE).open("r+", encoding="ascii")
    except FileNotFoundError:
        return
    with file:
        _hold(file, data_dir)


def _hold(file: TextIO, data_dir: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "not known"
        file.close()
        raise AlreadyUp(f"another `toystore up` (process {holder}) runs on {data_dir}") from None


def socket_path(data_dir: Path) -> Path:
    """Where the supervisor of `data_dir` listens: in it, or, where that path would be too long for a socket,
    in a directory of this user's own among the temporary files. Raises UnsafeDirectory."""
    path = data_dir.resolve() / "up.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    home = Path(tempfile.gettempdir()) / f"toystore-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    found = home.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise UnsafeDirectory(f"{home} must be a directory that belongs to you alone (mode 0700)")
    return home / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.sock"
