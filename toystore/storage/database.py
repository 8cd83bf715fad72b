"""The one SQLite file of a replica: opened so that a commit is on disk, by one process, with the schema it should have.

SQLite 3.40 can corrupt a WAL that two connections write to; there is exactly one connection a file, and the lock that
comes with `locking_mode=EXCLUSIVE` keeps other processes out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toystore.storage.files import write_again
from toystore.storage.interface import DiskFull, StorageError

APPLICATION_ID = 0x746F7973
"""`toys`: says whose file this is."""

SCHEMA = Path(__file__).with_name("schema")

# In the order in which they must be given. A WAL of 4000 pages is 16 MB; the page cache (in KiB) holds the upper levels
# of all indexes. mmap is off: an I/O error in a mapped page is a signal, not an error that can be reported.
PRAGMAS: dict[str, int | str] = {
    "locking_mode": "exclusive",
    "journal_mode": "wal",
    "synchronous": 2,
    "mmap_size": 0,
    "busy_timeout": 0,
    "wal_autocheckpoint": 4000,
    "cache_size": -32_768,
}


class DataDirInUse(StorageError):
    """Another process has this data directory open."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open or create; what is read from it then is durable. StorageError where it is not ours, too new, or does not take the
    settings; DataDirInUse. OSError."""
    with translated(path.name):
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, cached_statements=64)
        try:
            _set_pragmas(connection)  # from here on no other process has the file
            _settle_log(path)
            _upgrade(connection)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """SQLite's errors as those of the storage interface."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise DiskFull(f"{doing}: {error}") from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise DataDirInUse(f"{doing}: another process has this data directory open") from error
        raise StorageError(f"{doing}: {error}") from error


def _set_pragmas(connection: sqlite3.Connection) -> None:
    for name, value in PRAGMAS.items():
        connection.execute(f"PRAGMA {name} = {value}").fetchall()
        row = connection.execute(f"PRAGMA {name}").fetchone()
        # mmap_size answers nothing where it was compiled out.
        if row is not None and row[0] != value:
            raise StorageError(f"SQLite does not honour {name} = {value}: it is {row[0]}")


def _settle_log(path: Path) -> None:
    """SQLite reads what a killed process has written to the write-ahead log, and does not ask whether it was synced. But a
    replica tells others of what it finds, and stands by the vote that it finds. After a clean end there is no log.

    The connection is ours alone by now, and writes nothing meanwhile; closing this other descriptor of the log takes no lock
    away, because SQLite's are on the database.
    """
    log = path.with_name(f"{path.name}-wal")
    if log.exists():
        write_again(log)


def _upgrade(connection: sqlite3.Connection) -> None:
    scripts = sorted(SCHEMA.glob("*.sql"))
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if owner != APPLICATION_ID and (owner or version or tables):
        raise StorageError(f"the database belongs to another program (application id {owner:#x})")
    if version > len(scripts):
        raise StorageError(f"the database has schema {version}; this program knows up to {len(scripts)}")
    for number, script in enumerate(scripts, start=1):
        if number > version:
            stamp = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
            connection.executescript(f"BEGIN; {script.read_text()} {stamp} COMMIT;")
