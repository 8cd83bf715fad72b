"""The ledger of a replica in SQLite, with what has been applied and not yet written laid over it.

It lives on the storage thread. In memory are the products, the head and the request ids that are remembered (some
200 bytes each, at most REMEMBERED); orders, outcomes and history are in the database, so that nothing here grows with
the number of orders.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Sequence

from toystore.consensus.messages import Entry, HardState
from toystore.encoding import EncodingError, decode_outcome, from_json, to_json
from toystore.model import CancelOrder, CatalogChange, Order, Outcome, PlaceOrder, Product, Request
from toystore.storage.batch import Batch
from toystore.storage.database import translated
from toystore.storage.interface import LogRow, Rotten, StorageError
from toystore.storage.rows import CHANGE, DIGEST, LOG, META, ORDERS, OUTCOME, PRODUCT, check_rises, check_there, log_rows
from toystore.storage.shelf import Shelf
from toystore.storage.snapshot import RememberedOutcome, head_from_json
from toystore.storage.state import Head, LedgerState

READ_ROWS = 1000
"""So many rows at a time where a whole table is read."""

ASKED_AT_ONCE = 64
"""So many keys or numbers in one SELECT; what is missing to this is filled up, so that one statement serves all."""


META_NAMES = ["base", "counts", "hard_state", "head", "uuid"]


class SqliteState(LedgerState):
    """Also the `Reader` of the SQLite storage. Raises Rotten where a row is broken, or one that must be there is not."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.waiting = Batch()
        self.uuid = ""
        self.hard_state = HardState()
        self.base_index = self.base_term = 0
        self._last_index = 0
        self.head = Head()
        self.shelf = Shelf()
        self.written = 0
        """The applied index that the database itself stands at."""
        self.changes = 0
        """Rows of the history, those that wait included."""
        self._requests: dict[str, int] = {}
        self._requests_by_index: dict[int, str] = {}
        self._found: dict[int | str, Order] = {}
        self._asked: set[int | str] = set()

    # From and to the database

    def load(self) -> tuple[Entry, ...]:
        """Read what is kept in memory, and check it. The kept log entries."""
        rows = META.fetch(self.connection, "LIMIT ?", (100,))
        if sorted(name for name, _ in rows) != META_NAMES:
            raise Rotten(f"rows of meta are missing: there are {[name for name, _ in rows]}")
        counts = self._load_meta(dict(rows))
        entries = self._load_tables()
        self.changes = counts["change"]
        if (len(self.shelf), len(self._requests_by_index)) != (counts["product"], counts["outcome"]):
            found = f"{len(self.shelf)} products and {len(self._requests_by_index)} outcomes"
            raise Rotten(f"rows are missing: there are {found}, there should be {counts}")
        return entries

    def complete(self) -> None:
        """Bring the database of an earlier version, or a new one, to where `load` takes it."""
        with translated("completing"):
            self._load_meta(dict(META.fetch(self.connection, "LIMIT ?", (100,))))
            self._load_tables()
            ((self.changes,),) = self.connection.execute("SELECT count(*) FROM change")
            self.uuid = self.uuid or uuid.uuid4().hex
            self.waiting.meta = self.meta()
            self.waiting.write(self.connection)
        self.waiting = Batch()

    def _load_meta(self, meta: dict[str, str]) -> dict[str, int]:
        """How many rows there are in some tables."""
        self.uuid = meta.get("uuid", "")
        try:
            if "hard_state" in meta:
                self.hard_state = from_json(meta["hard_state"], HardState)
            if "base" in meta:
                self.base_index, self.base_term = from_json(meta["base"], tuple[int, int])
            self.head = head_from_json(meta["head"].encode()) if "head" in meta else Head()
            counts = from_json(meta["counts"], dict[str, int]) if "counts" in meta else {}
        except ValueError as error:
            raise Rotten(f"a row of meta can not be read: {error}") from error
        self.written = self.head.applied
        return counts

    def _load_tables(self) -> tuple[Entry, ...]:
        self.shelf = Shelf(PRODUCT.fetch(self.connection, "ORDER BY number LIMIT ?", (-1,)))
        self._load_requests()
        entries = self._load_log()
        newest = ORDERS.fetch(self.connection, "ORDER BY number DESC LIMIT ?", (1,))
        if self.head.next_order != (newest[0].number + 1 if newest else 0):
            raise Rotten(f"the next order should be {self.head.next_order}; the last kept one is {newest}")
        return entries

    def _load_requests(self) -> None:
        self._requests, self._requests_by_index, reached = {}, {}, 0
        where = "WHERE idx > ? ORDER BY idx LIMIT ?"
        while rows := OUTCOME.fetch(self.connection, where, (reached, READ_ROWS)):
            for row in rows:
                self._requests[row.request_id] = row.index
                self._requests_by_index[row.index] = row.request_id
            check_rises(OUTCOME.name, reached, rows[-1].index)
            reached = rows[-1].index

    def _load_log(self) -> tuple[Entry, ...]:
        entries: list[Entry] = []
        where = "WHERE idx > ? ORDER BY idx LIMIT ?"
        self._last_index = self.base_index
        while rows := LOG.fetch(self.connection, where, (self._last_index, READ_ROWS)):
            entries += rows
            if entries[-1].index != self.base_index + len(entries):
                raise Rotten(f"the log after {self._last_index} has gaps")
            self._last_index = entries[-1].index
        if not self.base_index <= self.head.applied <= self._last_index:
            raise Rotten(f"applied is {self.head.applied}, the log goes from {self.base_index} to {self._last_index}")
        return tuple(entries)

    def meta(self) -> dict[str, str]:
        """The rows of meta as they are in the database where nothing waits."""
        rows = Batch()
        rows.set_base(self.base_index, self.base_term)
        rows.set_head(self.head)
        rows.set_counts(len(self.shelf), len(self._requests_by_index), self.changes)
        return rows.meta | {"uuid": self.uuid, "hard_state": to_json(self.hard_state).decode()}

    def last_index(self) -> int:
        return self._last_index

    def set_uuid(self, uuid: str) -> None:
        self.uuid = uuid
        self.waiting.meta["uuid"] = uuid

    def set_hard_state(self, hard_state: HardState) -> None:
        self.waiting.meta["hard_state"] = to_json(hard_state).decode()
        self.hard_state = hard_state

    def put_log(self, entries: Sequence[Entry]) -> None:
        """They replace everything from the index of the first on."""
        first = entries[0].index
        if not self.head.applied < first <= self._last_index + 1:
            raise StorageError(f"entry {first} does not fit a log to {self._last_index}, applied {self.head.applied}")
        if entries[-1].index != first + len(entries) - 1:
            raise StorageError(f"the entries from {first} to {entries[-1].index} have gaps")
        self.waiting.log = entries
        self.waiting.log_from = first if first <= self._last_index else None

    def write(self) -> None:
        """Everything that waits, durably. DiskFull: nothing happened; all but the log entries goes on waiting."""
        waiting = self.waiting
        if self.head.applied != self.written:
            waiting.set_head(self.head)
            waiting.set_counts(len(self.shelf), len(self._requests_by_index), self.changes)
        if waiting.empty():
            return
        try:
            with translated("writing"):
                waiting.write(self.connection)
        finally:
            log, waiting.log, waiting.log_from = waiting.log, (), None
        if log:
            self._last_index = log[-1].index
        self.written = self.head.applied
        self.waiting = Batch()

    def compact(self, index: int) -> None:
        if index > self.head.applied:
            raise StorageError(f"the log can not be dropped up to {index}: applied is {self.head.applied}")
        if index <= self.base_index:
            return
        entry = LOG.fetch_one(self.connection, index)
        self.base_index, self.base_term = index, entry.term
        self.waiting.set_base(index, entry.term)
        self.waiting.log_up_to = index

    # Applying

    def _look_ahead(self, requests: Sequence[Request]) -> None:
        """Find the orders that these requests will ask for, with one SELECT for many."""
        commands = [request.command for request in requests]
        keys = [command.key for command in commands if isinstance(command, PlaceOrder)]
        numbers = [command.number for command in commands if isinstance(command, CancelOrder)]
        self._asked = {*keys, *numbers}
        self._found.clear()
        existing = [number for number in numbers if 0 <= number < self.head.next_order]
        for column, values in (("key", keys), ("number", existing)):
            for start in range(0, len(values), ASKED_AT_ONCE):
                for order in self._select_orders(column, values[start : start + ASKED_AT_ONCE]):
                    self._found[order.key] = self._found[order.number] = order

    def _select_orders(self, column: str, values: Sequence[int | str]) -> list[Order]:
        size = 1 if len(values) == 1 else ASKED_AT_ONCE
        where = f"WHERE {column} IN ({', '.join('?' * size)}) LIMIT ?"
        found = ORDERS.fetch(self.connection, where, (*values, *[None] * (size - len(values)), size))
        for order in found:
            if (order.key if column == "key" else order.number) not in values:
                raise Rotten(f"the index of orders by {column} leads to order {order.number}, which was not asked for")
        if column == "number":
            written = {number for number in values if isinstance(number, int) and number not in self.waiting.orders}
            check_there(sorted(order.number for order in found if order.number in written), sorted(written), "orders")
        return found

    def _keep_digest(self, index: int, digest: bytes) -> None:
        self.waiting.digests[index] = digest

    def _save_product(self, product: Product) -> None:
        self.shelf.put(product)
        self.waiting.put(product)

    def _save_order(self, order: Order) -> None:
        self.waiting.put(order)

    def _save_change(self, change: CatalogChange) -> None:
        self.changes += 1
        self.waiting.put(change)

    def _remember(self, request_id: str, index: int, outcome: Outcome, encoded: bytes) -> None:
        self._requests[request_id] = index
        self._requests_by_index[index] = request_id
        self.waiting.put(RememberedOutcome(request_id, index, encoded))

    def _forget(self, above: int, up_to: int) -> None:
        for index in range(above + 1, up_to + 1):
            request_id = self._requests_by_index.pop(index, None)
            if request_id is not None:
                del self._requests[request_id]
        self.waiting.forgotten = up_to

    # Reading

    def order(self, number: int) -> Order | None:
        return self.waiting.orders.get(number) or self._written_order("number", number)

    def order_with_key(self, key: str) -> Order | None:
        number = self.waiting.keys.get(key)
        return self._written_order("key", key) if number is None else self.waiting.orders[number]

    def _written_order(self, column: str, value: int | str) -> Order | None:
        if value in self._asked:
            return self._found.get(value)
        if isinstance(value, int) and not 0 <= value < self.head.next_order:
            return None
        return next(iter(self._select_orders(column, (value,))), None)

    def remembered(self, request_id: str) -> Outcome | None:
        row = self.remembered_row(request_id)
        try:
            return None if row is None else decode_outcome(row.outcome)
        except EncodingError as error:
            raise StorageError(f"the outcome of {request_id}: {error}") from error

    def remembered_row(self, request_id: str) -> RememberedOutcome | None:
        index = self._requests.get(request_id)
        if index is None:
            return None
        return self.waiting.outcomes.get(index) or OUTCOME.fetch_one(self.connection, index)

    def requests_between(self, after: int, up_to: int) -> dict[int, str]:
        """The requests that are remembered, by log index."""
        known = self._requests_by_index
        return {index: known[index] for index in range(after + 1, up_to + 1) if index in known}

    def digest_at(self, index: int) -> bytes | None:
        if index == self.head.applied:
            return self.head.digest
        if index <= self.base_index:
            return None
        if index > self.head.applied:
            return None
        return self.waiting.digests.get(index) or DIGEST.fetch_one(self.connection, index)[1]

    def orders(self, before: int | None, limit: int) -> list[Order]:
        end = self.head.next_order if before is None else max(0, min(before, self.head.next_order))
        found = ORDERS.fetch(self.connection, "WHERE number < ? ORDER BY number DESC LIMIT ?", (end, limit))
        rows = {order.number: order for order in found} | self.waiting.orders
        newest = [rows[number] for number in sorted(rows, reverse=True) if number < end][:limit]
        check_there((order.number for order in newest), range(end - 1, max(end - 1 - limit, -1), -1), "orders")
        return newest

    def orders_from(self, number: int, limit: int) -> list[Order]:
        number = max(0, min(number, self.head.next_order))
        found = ORDERS.fetch(self.connection, "WHERE number >= ? ORDER BY number LIMIT ?", (number, limit))
        rows = {order.number: order for order in found} | self.waiting.orders
        wanted = [rows[n] for n in sorted(rows) if n >= number][:limit]
        check_there((o.number for o in wanted), range(number, min(number + limit, self.head.next_order)), "orders")
        return wanted

    def changes_from(self, index: int, sequence: int, limit: int) -> list[CatalogChange]:
        if index > self.head.applied:
            return []
        where = "WHERE (idx, seq) >= (?, ?) ORDER BY idx, seq LIMIT ?"
        found = CHANGE.fetch(self.connection, where, (index, sequence, limit))
        return [*found, *(c for c in self.waiting.changes if (c.index, c.sequence) >= (index, sequence))][:limit]

    def log_from(self, index: int, limit: int) -> list[LogRow]:
        start = min(max(index, self.base_index + 1), self._last_index + 1)
        rows = log_rows(self.connection, start, limit, self.waiting.digests)
        check_there((row.entry.index for row in rows), range(start, min(start + limit, self._last_index + 1)), "log")
        return rows
