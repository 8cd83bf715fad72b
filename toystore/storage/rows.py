"""How values lie in the tables, and the checksums that are verified whenever a row is read.

A row's `sum` is a crc32 over its canonical bytes: its line in a snapshot where it has one. Many rows are read as one
JSON text, because the sqlite3 module gives up the interpreter lock for every single row that it steps over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar
from zlib import crc32

import msgspec
from attrs import frozen

from toystore.consensus.messages import Entry, Kind
from toystore.model import CatalogChange, Order, OrderLine, OrderStatus, Product, Side
from toystore.storage.database import translated
from toystore.storage.interface import LogRow, Rotten
from toystore.storage.snapshot import RememberedOutcome, row_line

T = TypeVar("T")

_lines = msgspec.json.Decoder(tuple[OrderLine, ...])


@frozen
class Table(Generic[T]):
    """`columns` are what SQLite gives for a row, all but its sum; `value` makes the value from them; `canonical` gives
    the bytes that the sum covers."""

    name: str
    columns: str
    value: Callable[..., T]
    canonical: Callable[[T], bytes]

    def fetch(self, connection: sqlite3.Connection, rest: str, parameters: Sequence[Any]) -> list[T]:
        """The rows that `rest` (WHERE, ORDER BY, always a LIMIT) selects. Rotten names a row that is broken."""
        inner = f"SELECT * FROM {self.name} {rest}"
        sql = f"SELECT json_group_array(json_array({self.columns}, sum)) FROM ({inner})"
        with translated(f"reading {self.name}"):
            ((text,),) = connection.execute(sql, parameters)
        if text == "[]":
            return []
        try:
            rows = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise Rotten(f"rows of {self.name} are broken: {error}") from error
        return [self._checked(columns) for columns in rows]

    def fetch_one(self, connection: sqlite3.Connection, index: int) -> T:
        """The row of this log index, which must be there."""
        rows = self.fetch(connection, "WHERE idx = ? LIMIT ?", (index, 1))
        if not rows:
            raise Rotten(f"row {index} of {self.name} is missing")
        return rows[0]

    def _checked(self, columns: list[Any]) -> T:
        *fields, expected = columns
        try:
            value = self.value(*fields)
            intact = crc32(self.canonical(value)) == expected
        except Exception as error:  # there is no saying what may come of values that nobody has written
            raise Rotten(f"row {fields[0]} of {self.name} is broken: {error}") from error
        if not intact:
            raise Rotten(f"row {fields[0]} of {self.name} does not agree with its checksum")
        return value


def check_rises(table: str, before: Any, after: Any) -> None:
    """The place of the last row that was read, before and after a stretch of rows. Rotten where it does not rise: a flipped
    bit in an index leads back, and whoever goes on from there never comes to an end."""
    if not after > before:
        raise Rotten(f"an index of {table} leads back from {before} to {after}")


def meta_bytes(row: tuple[str, str]) -> bytes:
    return f"{row[0]} {row[1]}".encode()


def log_bytes(entry: Entry) -> bytes:
    return b"%d %d %d " % (entry.index, entry.term, entry.kind) + entry.data


def digest_bytes(row: tuple[int, bytes]) -> bytes:
    return b"%d " % row[0] + row[1]


def _order(number: int, side: str, status: str, at: int, idx: int, term: int, changed: int, key: str, lines: str) -> Order:
    return Order(number, Side(side), _lines.decode(lines), OrderStatus(status), at, idx, term, changed, key)


def _product(number: int, name: str, price: int, quantity: int, topic: str, version: int, volume: int) -> Product:
    return Product(name, number, price, quantity, topic, version, volume)


META: Table[tuple[str, str]] = Table("meta", "name, value", lambda name, value: (name, value), meta_bytes)
LOG: Table[Entry] = Table(
    "log",
    "idx, term, kind, hex(data)",
    lambda index, term, kind, data: Entry(index, term, Kind(kind), bytes.fromhex(data)),
    log_bytes,
)
DIGEST: Table[tuple[int, bytes]] = Table(
    "digest", "idx, hex(digest)", lambda index, digest: (index, bytes.fromhex(digest)), digest_bytes
)
PRODUCT: Table[Product] = Table("product", "number, name, price, quantity, topic, version, volume", _product, row_line)
ORDERS: Table[Order] = Table("orders", "number, side, status, at, idx, term, changed, key, lines", _order, row_line)
OUTCOME: Table[RememberedOutcome] = Table(
    "outcome",
    "idx, request_id, outcome",
    lambda index, request_id, outcome: RememberedOutcome(request_id, index, outcome.encode()),
    row_line,
)
CHANGE: Table[CatalogChange] = Table(
    "change", "idx, seq, at, command, name, number, field, value, delta", CatalogChange, row_line
)


def log_rows(connection: sqlite3.Connection, index: int, limit: int, pending: dict[int, bytes]) -> list[LogRow]:
    """The kept entries from `index` on, with the digests of those that are applied; `pending` are not written yet."""
    where, bounds = "WHERE idx >= ? ORDER BY idx LIMIT ?", (index, limit)
    digests = dict(DIGEST.fetch(connection, where, bounds)) | pending
    entries = LOG.fetch(connection, where, bounds)
    return [LogRow(entry, digests.get(entry.index)) for entry in entries]


def check_there(found: Iterable[int], expected: Iterable[int], table: str) -> None:
    """Rotten where rows that must be there are not, or the other way round."""
    found, expected = list(found), list(expected)
    if found != expected:
        odd = sorted({*found} ^ {*expected}) or found
        raise Rotten(f"rows of {table} are missing, or in the wrong place: {odd[:5]}")
