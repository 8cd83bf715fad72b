"""Storages that keep less than they promise: each is one step of the production storage left out or moved.

`python -m tests.disks --mutant NAME` shows how it is found out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred

from toystore.encoding import to_json
from toystore.storage import database, sqlite, views
from toystore.storage.batch import Batch
from toystore.storage.sqlite_state import SqliteState
from toystore.storage.whole_state import _replace_rows


@frozen
class Mutant:
    """`weaken` changes the storage in this process. `states` are enough to find it out, in a trace of `workload`."""

    name: str
    workload: str
    weaken: Callable[[], None]
    states: int = 200
    steps: int = 30
    how: str | None = None
    """The process before it is to end so (`recording.End`), right before a call is done."""


def _pragma(name: str, value: int | str) -> Callable[[], None]:
    return lambda: database.PRAGMAS.update({name: value})


def _votes_wait() -> None:
    """A hard state alone leaves with the next entries."""
    write = SqliteState.write

    def lazy(self: SqliteState) -> None:
        waiting = self.waiting
        if set(waiting.meta) == {"hard_state"} and not waiting.log and self.head.applied == self.written:
            return
        write(self)

    SqliteState.write = lazy  # type: ignore[method-assign]


def _two_transactions() -> None:
    """First where the state stands, then the rows."""
    write = Batch.write

    def halves(self: Batch, connection: sqlite3.Connection) -> None:
        first, rest = Batch(), dict(self.meta)
        first.meta = {name: rest.pop(name) for name in ("head",) if name in rest}
        if first.meta and not connection.in_transaction:
            write(first, connection)
            self.meta = rest
        write(self, connection)

    Batch.write = halves  # type: ignore[method-assign]


def _log_apart() -> None:
    """First the entries, then the term and vote that they come with."""
    write = Batch.write

    def halves(self: Batch, connection: sqlite3.Connection) -> None:
        meta = {name: self.meta.pop(name) for name in ("hard_state",) if name in self.meta and self.log}
        write(self, connection)
        if meta:
            last = Batch()
            last.meta = meta
            write(last, connection)

    Batch.write = halves  # type: ignore[method-assign]


def _snapshot_in_parts() -> None:
    """A snapshot is laid without a transaction around it."""

    def lay(state: Any, info: Any, spool: Any) -> None:
        _replace_rows(state.connection, info, spool)

    sqlite.lay_snapshot = lay


def _uuid_later() -> None:
    """A new uuid leaves with the next entries."""

    def renew(self: sqlite.SqliteStorage) -> Deferred[str]:
        def job(state: SqliteState) -> str:
            state.set_uuid(sqlite.uuid.uuid4().hex)
            return state.uuid

        return self._run(job)

    sqlite.SqliteStorage.renew_uuid = renew  # type: ignore[method-assign]


def _made(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _nameless() -> None:
    sqlite.make_directory = views.make_directory = _made


def _no_directory_sync() -> None:
    views.sync_directory = lambda path: None


def _saved_by(save: Callable[[Path, bytes], None]) -> Callable[[], None]:
    def weaken() -> None:
        def _save(self: views.FileViewStore, view: views.View) -> None:
            save(self._path, to_json((view, views.crc32(to_json(view)))) + b"\n")

        views.FileViewStore._save = _save  # type: ignore[method-assign]

    return weaken


def _in_place(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        views.os.fsync(file.fileno())
    views.sync_directory(path.parent)


def _renamed_unsynced(path: Path, data: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(data)
    new.replace(path)
    views.sync_directory(path.parent)


def _only_synced(path: Path) -> None:
    """What a failed sync has left in memory stays there."""
    with path.open("r+b") as file:
        views.os.fsync(file.fileno())
    views.sync_directory(path.parent)


def _log_as_found() -> None:
    database._take_log = lambda connection, log: None  # which syncs it, too
    database.write_again = lambda path: None


def _log_only_synced() -> None:
    database._take_log = lambda connection, log: None
    database.write_again = _only_synced


def _views_as_found() -> None:
    """The names that are found are not synced, only those that are made."""
    sync, save = views.sync_directory, views.FileViewStore._save

    def _save(self: views.FileViewStore, view: views.View) -> None:
        views.sync_directory = sync
        try:
            save(self, view)
        finally:
            views.sync_directory = lambda path: None

    views.sync_directory = lambda path: None
    views.FileViewStore._save = _save  # type: ignore[method-assign]


def _all(*mutants: Mutant) -> dict[str, Mutant]:
    return {mutant.name: mutant for mutant in mutants}


MUTANTS = _all(
    Mutant("no-sync", "ledger", _pragma("synchronous", 0)),
    Mutant("sync-at-checkpoints", "ledger", _pragma("synchronous", 1)),
    Mutant("no-journal", "ledger", _pragma("journal_mode", "off")),
    Mutant("journal-in-memory", "ledger", _pragma("journal_mode", "memory")),
    Mutant("votes-wait", "ledger", _votes_wait),
    Mutant("two-transactions", "ledger", _two_transactions),
    Mutant("term-after-entries", "ledger", _log_apart),
    Mutant("snapshot-in-parts", "ledger", _snapshot_in_parts),
    Mutant("uuid-later", "ledger", _uuid_later),
    Mutant("ledger-without-a-name", "ledger", _nameless),
    Mutant("views-without-a-name", "views", _nameless),
    Mutant("views-in-place", "views", _saved_by(_in_place)),
    Mutant("views-renamed-unsynced", "views", _saved_by(_renamed_unsynced)),
    Mutant("log-as-found", "ledger", _log_as_found, steps=2, how="kill"),
    Mutant("log-only-synced", "ledger", _log_only_synced, steps=2, how="fail"),
    Mutant("views-as-found", "views", _views_as_found, steps=2, how="kill"),
    Mutant("views-without-directory-sync", "views", _no_directory_sync),
)
