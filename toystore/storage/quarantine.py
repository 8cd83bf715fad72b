"""Where a database goes that can not be trusted: beside the next one, never over it, and not for ever.

It is condemned at the moment when something in it is found to be broken (a file says so, synced), and moved by the next
process that opens the directory, or by the same one where it has not begun yet. Until `refilled` the file stays: it says
that the empty database which follows is not a new one.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from attrs import evolve, frozen

from toystore.encoding import EncodingError, from_json, to_json
from toystore.storage.database import translated
from toystore.storage.files import sync_directory
from toystore.storage.interface import StorageError

KEPT = 2
"""So many databases that were whole once are kept, and so many that had not been filled again."""

FILES = ("ledger.db-wal", "ledger.db-shm", "ledger.db-journal", "ledger.db", "broken")
"""What is moved. The log goes first: SQLite must never find one beside a database that it does not belong to."""


@frozen
class Sentence:
    """Why a database is put aside, and where it goes: below the directory of the node. `moving`: not all of it is there
    yet."""

    place: str
    reason: str
    moving: bool

    def __str__(self) -> str:
        return f"its database was put aside in {self.place}: {self.reason}"


class Quarantine:
    def __init__(self, directory: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._directory, self._now = directory, now

    @property
    def _file(self) -> Path:
        return self._directory / "put_aside.json"

    def sentence(self) -> Sentence | None:
        """The one that is not over. StorageError where it can not be read."""
        try:
            return from_json(self._file.read_bytes(), Sentence)
        except FileNotFoundError:
            return None
        except (OSError, EncodingError) as error:
            raise StorageError(f"{self._file} can not be read: {error}") from error

    def condemn(self, uuid: str, reason: str) -> None:
        """What is in the directory is not to be opened again. Raises OSError."""
        try:
            part = "-part" if self.sentence() else ""
        except StorageError:
            part = "-part"
        self._say(Sentence(self._new_place(uuid or "unknown") + part, reason, moving=True))

    def move(self) -> Sentence | None:
        """Move what is condemned, and forget the oldest there; what a process before this one began is ended. The
        sentence that is not over, if any. StorageError where that can not be done."""
        sentence = self.sentence()
        if sentence is None or not sentence.moving:
            return sentence
        place = self._directory / sentence.place
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in FILES:
                with suppress(FileNotFoundError):
                    (self._directory / name).rename(place / name)
            for changed in (place, place.parent, self._directory):
                sync_directory(changed)
            self._forget_oldest(place)
            moved = evolve(sentence, moving=False)
            self._say(moved)
        except OSError as error:
            raise StorageError(f"{self._directory}: what is broken can not be put aside: {error}") from error
        return moved

    def _forget_oldest(self, latest: Path) -> None:
        """Among those of its kind: one that had not been filled again never takes the place of one that was whole, which
        may be the only copy."""
        part = latest.name.endswith("-part")
        alike = sorted(path for path in latest.parent.iterdir() if path.name.endswith("-part") == part)
        for old in alike[:-KEPT]:
            shutil.rmtree(old)

    def refilled(self) -> None:
        """Raises OSError."""
        self._file.unlink(missing_ok=True)
        sync_directory(self._directory)

    # What an operator may do, while no process has the directory

    def kept(self) -> list[Path]:
        """The databases that were put aside, the oldest first."""
        place = self._directory / "quarantine"
        return sorted(place.iterdir()) if place.is_dir() else []

    def put_back(self) -> Path:
        """Use again the database that was put aside last, broken as it is, under its old uuid; gives where it was, and
        still is. StorageError where none is waited for, and DataDirInUse."""
        sentence = self._unused()
        whole = [path for path in self.kept() if not path.name.endswith("-part") and (path / "ledger.db").is_file()]
        if not whole:
            raise StorageError(f"there is no database in {self._directory / 'quarantine'}")
        place = whole[-1]
        try:
            self._say(evolve(sentence, place=f"{self._new_place('filling')}-part", moving=True))
            self.move()
            self._say(sentence)
            for name in FILES:
                if (place / name).exists():
                    shutil.copy2(place / name, self._directory / name)
                    with (self._directory / name).open("rb") as copied:
                        os.fsync(copied.fileno())
            sync_directory(self._directory)
            self.refilled()
        except OSError as error:
            raise StorageError(f"{self._directory}: {error}") from error
        return place

    def accept_loss(self) -> Path:
        """Take the empty database for a new one; gives where the one before it is. StorageError, DataDirInUse."""
        sentence = self._unused()
        try:
            self.refilled()
        except OSError as error:
            raise StorageError(f"{self._directory}: {error}") from error
        return self._directory / sentence.place

    def _unused(self) -> Sentence:
        sentence = self.sentence()
        if sentence is None:
            raise StorageError(f"nothing in {self._directory} waits to be filled again")
        database = self._directory / "ledger.db"
        if database.exists():
            with (
                closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection,
                translated(str(database)),
            ):
                connection.execute("PRAGMA locking_mode = exclusive").fetchall()
                connection.execute("BEGIN IMMEDIATE")
        return self.move() or sentence

    def _new_place(self, uuid: str) -> str:
        return f"quarantine/{self._now():%Y%m%dT%H%M%S.%fZ}-{uuid}"

    def _say(self, sentence: Sentence) -> None:
        new = self._file.with_suffix(".new")
        with new.open("wb") as file:
            file.write(to_json(sentence) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._file)
        sync_directory(self._directory)
