"""What waits to be written, and how it is written: everything in one statement, which is one transaction.

Applied effects do not go to the database one by one: they gather here and leave with the next save. Reading looks here
first. The sqlite3 module gives up the interpreter lock for every statement, and beside a busy reactor each return of it
may take milliseconds; so a batch, whatever its size, is one INSERT into the view `batch` (schema/0001_first.sql).
Where that fails for lack of room, nothing has happened: what waited goes on waiting.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from zlib import crc32

from toystore.consensus.messages import Entry
from toystore.encoding import to_json
from toystore.model import CatalogChange, Order, OrderStatus, Product, Side
from toystore.storage.rows import digest_bytes, log_bytes, meta_bytes
from toystore.storage.snapshot import RememberedOutcome, Row, head_json, row_line
from toystore.storage.state import Head

_INSERT = """INSERT INTO batch
    (log_from, log_up_to, forgotten, bytes, meta, log, digest, product, orders, outcome, change)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


class Batch:
    """Rows on their way to the database; of one row only the latest form."""

    def __init__(self) -> None:
        self.meta: dict[str, str] = {}
        self.log: Sequence[Entry] = ()
        self.log_from: int | None = None
        self.log_up_to: int | None = None
        self.forgotten: int | None = None
        self.digests: dict[int, bytes] = {}
        self.products: dict[int, Product] = {}
        self.orders: dict[int, Order] = {}
        self.keys: dict[str, int] = {}
        self.outcomes: dict[int, RememberedOutcome] = {}
        self.changes: list[CatalogChange] = []

    def put(self, row: Row) -> None:
        match row:
            case Product():
                self.products[row.number] = row
            case Order():
                self.orders[row.number] = row
                self.keys[row.key] = row.number
            case RememberedOutcome():
                self.outcomes[row.index] = row
            case CatalogChange():
                self.changes.append(row)

    def set_head(self, head: Head) -> None:
        self.meta["head"] = head_json(head).decode()

    def set_base(self, index: int, term: int) -> None:
        """The entry before the kept log."""
        self.meta["base"] = to_json((index, term)).decode()

    def set_counts(self, product: int, outcome: int, change: int) -> None:
        """How many rows these tables have; of the others the head tells."""
        self.meta["counts"] = to_json({"product": product, "outcome": outcome, "change": change}).decode()

    def empty(self) -> bool:
        return not (self.meta or self.log or self.log_up_to)

    def write(self, connection: sqlite3.Connection) -> None:
        """One statement; its own transaction where none is open. Raises sqlite3.Error, and then has changed nothing."""
        place = _Bytes()
        rows = (
            [_meta(place, item) for item in self.meta.items()],
            [(e.index, e.term, e.kind, *place(e.data), crc32(log_bytes(e))) for e in self.log],
            [(item[0], *place(item[1]), crc32(digest_bytes(item))) for item in self.digests.items()],
            [_product(place, product) for product in self.products.values()],
            [_order(place, order) for order in self.orders.values()],
            [_outcome(place, outcome) for outcome in self.outcomes.values()],
            [_change(place, change) for change in self.changes],
        )
        texts = [to_json(table).decode() if table else "[]" for table in rows]
        connection.execute(_INSERT, (self.log_from, self.log_up_to, self.forgotten, place.joined(), *texts))


class _Bytes:
    """Lays texts one behind the other; calling it gives the place (from 1) and the length of the one just laid."""

    def __init__(self) -> None:
        self._parts = [b"\n"]  # a part of nothing at all would be NULL, not empty
        self._next = 2

    def __call__(self, text: bytes) -> tuple[int, int]:
        place, length = self._next, len(text)
        self._parts.append(text)
        self._next += length
        return place, length

    def joined(self) -> bytes:
        return b"".join(self._parts)


def _meta(place: _Bytes, item: tuple[str, str]) -> tuple[int, ...]:
    return *place(item[0].encode()), *place(item[1].encode()), crc32(meta_bytes(item))


def _product(place: _Bytes, p: Product) -> tuple[int, ...]:
    name, topic = place(p.name.encode()), place(p.topic.encode())
    return p.number, *name, p.price, p.quantity, *topic, p.version, p.volume, crc32(row_line(p))


def _order(place: _Bytes, o: Order) -> tuple[int, ...]:
    buys, placed = o.side is Side.BUY, o.status is OrderStatus.PLACED
    key, lines = place(o.key.encode()), place(to_json(o.lines))
    return o.number, buys, placed, o.at, o.index, o.term, o.changed, *key, *lines, crc32(row_line(o))


def _outcome(place: _Bytes, o: RememberedOutcome) -> tuple[int, ...]:
    return o.index, *place(o.request_id.encode()), *place(o.outcome), crc32(row_line(o))


def _change(place: _Bytes, c: CatalogChange) -> tuple[int | None, ...]:
    command, name = place(c.command.encode()), place(c.name.encode())
    field, value = place(c.field.encode()), place(c.value.encode())
    start = (c.index, c.sequence, c.at, *command, *name, c.number)
    return *start, *field, *value, c.delta, crc32(row_line(c))
