"""What a file system needs beside the sync of a file."""

from __future__ import annotations

import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Make the names in it durable: those of files that are new, or took the place of others. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
