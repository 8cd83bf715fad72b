"""The one SQLite file of a replica: opened so that a commit is on disk, by one process, with the schema it should have.

SQLite 3.40 can corrupt a WAL that two connections write to; there is exactly one connection a file, and the lock that
comes with `locking_mode=EXCLUSIVE` keeps other processes out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from toystore.storage.files import write_again
from toystore.storage.interface import DiskFull, Rotten, StorageError
from toystore.storage.wal import WalBefore

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


_ROTTEN = {
    sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ,
    sqlite3.SQLITE_IOERR_CORRUPTFS, sqlite3.SQLITE_TOOBIG,
}  # fmt: skip
"""What SQLite says where bytes are not as they should be, or can not be read."""


_UNREADABLE = ("decode to UTF-8", "JSON cannot hold BLOB")
"""The same, where a value is of another type than the one that was written."""


class DataDirInUse(StorageError):
    """Another process has this data directory open."""


def open_database(path: Path, complete: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
    """Open or create; what is read from it then is durable. `complete` writes, in the transaction that upgrades the schema,
    the rows that no database is without. StorageError where it is not ours, too new, or does not take the
    settings; DataDirInUse; Rotten; OSError."""
    log = path.with_name(f"{path.name}-wal")
    with translated(path.name):
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, cached_statements=64)
        try:
            _set_pragmas(connection)  # from here on no other process has the file
            _settle(log)
            _take_log(connection, log)
            _upgrade(connection, complete)
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
        extended = getattr(error, "sqlite_errorcode", 0)
        code = extended & 0xFF
        if {code, extended} & _ROTTEN or any(sign in str(error) for sign in _UNREADABLE):
            raise Rotten(f"{doing}: {error}") from error
        if code == sqlite3.SQLITE_FULL:
            raise DiskFull(f"{doing}: {error}") from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise DataDirInUse(f"{doing}: another process has this data directory open") from error
        raise StorageError(f"{doing}: {error}") from error
    except UnicodeDecodeError as error:
        raise Rotten(f"{doing}: SQLite complains of something that is no text") from error


def _set_pragmas(connection: sqlite3.Connection) -> None:
    for name, value in PRAGMAS.items():
        connection.execute(f"PRAGMA {name} = {value}").fetchall()
        row = connection.execute(f"PRAGMA {name}").fetchone()
        # mmap_size answers nothing where it was compiled out.
        if row is not None and row[0] != value:
            raise StorageError(f"SQLite does not honour {name} = {value}: it is {row[0]}")


def _take_log(connection: sqlite3.Connection, log: Path) -> None:
    """Copy what is in the write-ahead log to the database. Rotten where SQLite does not take all that had been synced."""
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    before = WalBefore.look(log, page_size)
    _, taken, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    before.check(taken)


def _settle(log: Path) -> None:
    """SQLite reads what a killed process has written to the write-ahead log, and does not ask whether it was synced. But a
    replica tells others of what it finds, and stands by the vote that it finds. After a clean end there is no log.

    The connection is ours alone by now, and writes nothing meanwhile; closing this other descriptor of the log takes no lock
    away, because SQLite's are on the database.
    """
    if log.exists():
        write_again(log)


def _scripts() -> list[str]:
    return [path.read_text() for path in sorted(SCHEMA.glob("*.sql"))]


Tables = list[tuple[str, str, str, str | None]]
_TABLES = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"


@cache
def _tables_of(version: int) -> Tables:
    """What the schema table of this version says."""
    with closing(sqlite3.connect(":memory:")) as empty:
        for script in _scripts()[:version]:
            empty.executescript(script)
        return empty.execute(_TABLES).fetchall()


def check_tables(connection: sqlite3.Connection, version: int | None = None) -> None:
    """Rotten where the schema table is not that of `version` (None: of the latest): it has no checksum, and a flipped bit
    in it would have SQLite do something else than what was meant."""
    with translated("reading the schema"):
        found: Tables = connection.execute(_TABLES).fetchall()
    if found != _tables_of(len(_scripts()) if version is None else version):
        raise Rotten("the schema in the database is not the one that was written there")


def check_foreign(connection: sqlite3.Connection) -> None:
    """Rotten where a database that says it is another program's has our tables."""
    if connection.execute(_TABLES).fetchall() == _tables_of(len(_scripts())):
        raise Rotten("the application id in the database is not the one that was written there")


def _upgrade(connection: sqlite3.Connection, complete: Callable[[sqlite3.Connection], None]) -> None:
    scripts = _scripts()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if owner != APPLICATION_ID and (owner or version or tables):
        check_foreign(connection)
        raise StorageError(f"the database belongs to another program (application id {owner:#x})")
    if version > len(scripts):
        raise StorageError(f"the database has schema {version}; this program knows up to {len(scripts)}")
    check_tables(connection, version)
    if version < len(scripts):
        stamp = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {len(scripts)};"
        connection.executescript(f"BEGIN; {' '.join(scripts[version:])} {stamp}")
        complete(connection)
        connection.execute("COMMIT")
