"""What a file system needs beside the sync of a file."""

from __future__ import annotations

import os
from pathlib import Path

AT_ONCE = 1 << 20
"""Bytes that are read and written in one go."""


def sync_directory(path: Path) -> None:
    """Make the names in it durable: those of files that are new, or took the place of others. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_again(path: Path) -> None:
    """Put what is in a file, and its name, on the disk, where a process that is gone may have left it in memory only. Nobody
    else may use the file meanwhile. Raises OSError.

    A sync would do, had none failed: Linux drops from its list of what is to be written what it could not write, and goes
    on showing it; later syncs succeed without it (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX
    ATC 2020). So the same bytes are written once more. Wherever that is cut off, it has changed nothing.
    """
    with path.open("r+b", buffering=0) as file:
        at = 0
        while data := os.pread(file.fileno(), AT_ONCE, at):
            at += os.pwrite(file.fileno(), data, at)
        os.fsync(file.fileno())
    sync_directory(path.parent)


def make_directory(path: Path) -> None:
    """Make it, private, where it is not there, and those above it; and make their names durable. Raises OSError.

    Its name is synced also where it was there: who made it may have been killed before that. A directory above that may
    not be read is not ours, and who made a directory there for us had to see to it.
    """
    path = path.absolute()
    there = path.exists()
    new = [path, *(above for above in path.parents if not above.exists())]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for directory in new:
        try:
            sync_directory(directory.parent)
        except PermissionError:
            if not there:
                raise
