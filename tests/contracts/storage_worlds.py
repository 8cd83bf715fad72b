"""Both storages as a test sees them: open, crash, come back; and short ways to write a log."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from toystore.consensus.membership import encode_members
from toystore.consensus.messages import Entry, Kind
from toystore.encoding import encode_entry
from toystore.model import CatalogRow, Command, Line, LoadCatalog, PlaceOrder, Request
from toystore.storage.interface import Recovered
from toystore.storage.memory import MemoryDisk, MemoryStorage
from toystore.storage.sqlite import SqliteStorage
from toystore.storage.thread import Inline

T = TypeVar("T")

TOYS = LoadCatalog((CatalogRow("Tux", 1599, 100), CatalogRow("Fox", 1299, 100), CatalogRow("Élan", 5, 0, 7, "ski")))


def result_of(deferred: Deferred[T]) -> T:
    """What it has fired with; its exception is raised."""
    results: list[Any] = []
    deferred.addCallbacks(lambda value: results.append((value, None)), lambda f: results.append((None, f)))
    assert results, "it has not fired"
    value, failure = results[0]
    if failure is not None:
        failure.raiseException()
    return value


class MemoryWorld:
    def __init__(self, path: Path) -> None:
        self.disk = MemoryDisk()
        self.storage = MemoryStorage(self.disk)

    def open(self) -> Recovered:
        return result_of(self.storage.open())

    def crash(self) -> Recovered:
        self.disk.crash()
        self.storage = MemoryStorage(self.disk)
        return self.open()

    def fill_up(self) -> None:
        self.disk.full = True

    def make_room(self) -> None:
        self.disk.full = False

    def break_next_sync(self) -> None:
        self.disk.fail_next_save()

    def rot(self, table: str, key: int | str) -> None:
        self.disk.rot(table, key)

    def kept_aside(self) -> int:
        return len(self.disk.quarantine)


class BrokenSync:
    """A connection whose next write fails as a broken disk does."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql.startswith("INSERT INTO batch"):
            raise sqlite3.OperationalError("disk I/O error")
        return self._connection.execute(sql, *parameters)

    def close(self) -> None:
        self._connection.close()


class SqliteWorld:
    def __init__(self, path: Path) -> None:
        self._path, self._lives = path, 0
        self.clock = Clock()
        self.directory = path / "life-0"
        self.storage = SqliteStorage(self.directory, self.clock, Inline())

    def open(self) -> Recovered:
        return result_of(self.storage.open())

    def crash(self) -> Recovered:
        """The files as they are on the disk at this moment go on; the old process never gets to close."""
        self._lives += 1
        old, self.directory = self.directory, self._path / f"life-{self._lives}"
        shutil.copytree(old, self.directory)
        self.storage = SqliteStorage(self.directory, self.clock, Inline())
        return self.open()

    def close(self) -> None:
        """What went before does not matter."""
        self.storage.close().addErrback(lambda failure: None)

    @property
    def connection(self) -> Any:
        return self.storage._opened.connection

    def fill_up(self) -> None:
        self.connection.execute("PRAGMA max_page_count = 1")

    def make_room(self) -> None:
        self.connection.execute("PRAGMA max_page_count = 1000000")

    def break_next_sync(self) -> None:
        self.storage._opened.connection = BrokenSync(self.connection)

    def rot(self, table: str, key: int | str) -> None:
        place = {"meta": "name", "product": "number", "orders": "number"}.get(table, "idx")
        rows = self.connection.execute(f"UPDATE {table} SET sum = sum + 1 WHERE {place} = ?", (key,)).rowcount
        assert rows, f"there is no row {key} of {table}"

    def kept_aside(self) -> int:
        place = self.directory / "quarantine"
        return len(list(place.iterdir())) if place.exists() else 0


World = MemoryWorld | SqliteWorld


class Log:
    """Writes entries one behind the other."""

    def __init__(self, term: int = 1) -> None:
        self.term, self.last, self.at = term, 0, 1000

    def entry(self, kind: Kind, data: bytes) -> Entry:
        self.last += 1
        return Entry(self.last, self.term, kind, data)

    def noop(self) -> Entry:
        return self.entry(Kind.NOOP, b"")

    def members(self, election: str, generation: int = 0, **uuids: str) -> Entry:
        return self.entry(Kind.MEMBERS, encode_members(election, uuids, generation))

    def command(self, command: Command, request_id: str | None = None) -> Entry:
        self.at += 10
        request = Request(request_id or f"request-{self.last + 1}", command)
        return self.entry(Kind.COMMAND, encode_entry(self.at, request))

    def buy(self, name: str, quantity: int, key: str | None = None) -> Entry:
        return self.command(PlaceOrder("buy", (Line(name, quantity),), key or f"key-{self.last + 1}"))


def save_and_apply(world: World, entries: Iterable[Entry]) -> list[Any]:
    """The outcomes."""
    entries = list(entries)
    result_of(world.storage.save(None, entries))
    return [applied.outcome for applied in result_of(world.storage.apply(entries))]


def state_hash(world: World) -> str:
    applied = result_of(world.storage.read(lambda reader: reader.applied()))
    return result_of(world.storage.state_hash(applied))


def everything(world: World) -> dict[str, Any]:
    """All that a reader shows."""

    def query(reader: Any) -> dict[str, Any]:
        orders = reader.orders_from(0, 1000)
        return {
            "head": (
                reader.applied(),
                reader.digest(),
                reader.clock(),
                reader.last_restock(),
                reader.next_order_number(),
            ),
            "products": reader.products(0, 1000),
            "found": reader.products(0, 2, text="X"),
            "zero": list(reader.products_at_zero()),
            "orders": orders,
            "newest": reader.orders(None, 1000),
            "page": reader.orders(3, 2),
            "by_key": [reader.order_with_key(order.key) for order in orders],
            "by_number": [reader.order(number) for number in range(-1, len(orders) + 1)],
            "changes": reader.changes_from(0, 0, 1000),
            "late_changes": reader.changes_from(2, 1, 3),
            "log": reader.log_from(0, 1000),
            "digests": [reader.digest_at(index) for index in range(reader.applied() + 2)],
        }

    return result_of(world.storage.read(query))


def stocked(world: World, log: Log) -> None:
    """A catalog, three orders and one refusal are applied."""
    entries = [
        log.noop(),
        log.command(TOYS),
        log.buy("Fox", 3),
        log.buy("Tux", 5),
        log.buy("Fox", 1000),
        log.buy("Fox", 1),
    ]
    save_and_apply(world, entries)
