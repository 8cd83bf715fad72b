"""The front end's own log of leaders (row F2): `leader_id,term`, a row for each leader of each term that it has heard of.

Rows end with CRLF, as Python's csv module writes them, and there is no header. A row is on disk (synced) soon after the
leader has first acted as one; a restart does not repeat the last row, and takes off what a crash has torn.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from twisted.logger import Logger

from toystore.storage.files import sync_directory
from toystore.storage.thread import Jobs

LONGEST_ROW = 64
"""Bytes: more than two numbers need."""


class LeaderLog:
    """`ids` are those of the order replicas by name; the file is written by `jobs`, away from the reactor's thread."""

    _log = Logger()

    def __init__(self, path: Path, ids: Mapping[str, int], jobs: Jobs) -> None:
        self._path = path
        self._ids = ids
        self._jobs = jobs

    def note(self, node: str, term: int) -> None:
        """This replica acts as the leader in this term. What can not be written is told in the log of the process."""
        row = b"%d,%d\r\n" % (self._ids[node], term)
        self._jobs.run(lambda: append_row(self._path, row)).addErrback(
            lambda failure: self._log.failure("the leader could not be noted in {path}", failure, path=self._path)
        )

    def stop(self) -> None:
        self._jobs.stop()


def append_row(path: Path, row: bytes) -> None:
    """Add a row that is not the last one already, and sync it. Raises OSError."""
    new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LONGEST_ROW))
        end = file.read()
        torn = len(end) - (end.rfind(b"\n") + 1)
        if end[: len(end) - torn].splitlines(keepends=True)[-1:] == [row]:
            return
        file.truncate(size - torn)
        file.write(row)
        file.flush()
        os.fsync(file.fileno())
    if new:
        sync_directory(path.parent)
