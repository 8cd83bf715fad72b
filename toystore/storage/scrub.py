"""Reading all that a replica keeps anew from its disk, slowly, to find what has rotted there since it was written.

In slices of a few milliseconds between other work, like whole_state.py. SQLite's cache, and as far as the kernel listens its
cache too, are emptied first, so that it is the disk that is read. Three things are asked of each table:

- *Is every row what was written?* Its checksum says so; and what is also in memory (meta, products, request ids) must be the
  same there.
- *Are all rows there?* A page that is no longer reachable leaves no bad checksum behind. Numbers of orders and log indexes
  are consecutive; products, outcomes and changes are counted. Digests follow from one another and from the log.
- *Does every index lead to every row?* A key that its index does not find is an order carried out twice, an order that
  `orders_changed` does not find is missing in a snapshot. (One that leads to a wrong row is noticed when it is used.)

What is not looked at can not change an answer: free pages, free bytes in pages, and rows that are superseded in the
write-ahead log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from attrs import frozen
from twisted.internet.defer import Deferred

from toystore.consensus.messages import Entry, Kind
from toystore.ledger import EMPTY_DIGEST, chain
from toystore.storage.database import check_tables, translated
from toystore.storage.interface import IndexPassed, Rotten
from toystore.storage.rows import CHANGE, DIGEST, LOG, META, ORDERS, OUTCOME, PRODUCT, check_rises, check_there
from toystore.storage.sqlite_state import SqliteState
from toystore.storage.whole_state import Run

T = TypeVar("T")

SLICE_ROWS = 100
"""Rows of one slice: some two milliseconds."""

_entry_start = msgspec.json.Decoder(tuple[int, str, str, msgspec.Raw])

_FOUND_BY_NUMBER = """SELECT count(*) FROM (SELECT number, name FROM product WHERE number BETWEEN ? AND ? LIMIT -1) AS p
    WHERE EXISTS (SELECT 1 FROM product AS n INDEXED BY sqlite_autoindex_product_1
        WHERE n.name = p.name AND n.number = p.number)"""

_FOUND_BY_BOTH = """SELECT count(*) FROM (SELECT number, key, changed FROM orders WHERE number BETWEEN ? AND ? LIMIT -1) AS o
    WHERE EXISTS (SELECT 1 FROM orders AS k INDEXED BY sqlite_autoindex_orders_1 WHERE k.key = o.key AND k.number = o.number)
    AND EXISTS (SELECT 1 FROM orders AS c INDEXED BY orders_changed WHERE c.changed = o.changed AND c.number = o.number)"""


@frozen
class _End:
    """Where everything ended when the pass began; what has come since is left to the next one."""

    log: int
    applied: int
    orders: int
    changes: int


class Scrub:
    """One pass. `write` makes durable what waits, `forget_cached` has the kernel read the file anew, `pause` says when the
    next slice may be read."""

    def __init__(
        self,
        run: Run,
        write: Callable[[SqliteState], None],
        forget_cached: Callable[[], None],
        pause: Callable[[], Deferred[None]],
    ) -> None:
        self._run, self._write, self._forget_cached, self._pause = run, write, forget_cached, pause
        self._state: SqliteState | None = None
        self._rows = 0
        self._reached: tuple[int, ...] = ()
        self._digest: bytes | None = None
        """The chain up to the log row last read."""

    async def all(self) -> int:
        """How many rows it was. Rotten; IndexPassed where a snapshot was installed meanwhile; DiskFull."""
        end = await self._slice(self._begin)
        await self._walk("product", (0,), self._products)
        await self._walk("log", (0,), lambda state: self._log(state, end.log))
        await self._walk("outcome", (0,), lambda state: self._outcomes(state, end.applied))
        await self._walk("orders", (-1,), lambda state: self._orders(state, end.orders))
        before = self._rows
        await self._walk("change", (0, 0), lambda state: self._changes(state, end.applied))
        if self._rows - before != end.changes:
            raise Rotten(f"there are {self._rows - before} rows of change, there should be {end.changes}")
        return self._rows

    async def _slice(self, job: Callable[[SqliteState], T]) -> T:
        def same(state: SqliteState) -> T:
            if self._state not in (None, state):
                raise IndexPassed("a snapshot was installed while the state before it was being read")
            self._state = state
            return job(state)

        result = await self._run(same)
        await self._pause()
        return result

    async def _walk(self, table: str, start: tuple[int, ...], read: Callable[[SqliteState], int]) -> None:
        """Call `read` until it has found nothing more; it moves `_reached` along."""
        before = self._reached = start
        while found := await self._slice(read):
            check_rises(table, before, self._reached)
            before = self._reached
            self._rows += found

    # The slices

    def _begin(self, state: SqliteState) -> _End:
        self._write(state)
        with translated("scrubbing"):
            state.connection.execute("PRAGMA shrink_memory").fetchall()
        self._forget_cached()
        check_tables(state.connection)
        rows = META.fetch(state.connection, "LIMIT ?", (100,))
        if sorted(rows) != sorted(state.meta().items()):
            raise Rotten(f"the rows of meta are not those that were written: {rows}")
        self._rows += len(rows)
        return _End(state.last_index(), state.head.applied, state.head.next_order, state.changes)

    def _products(self, state: SqliteState) -> int:
        (after,) = self._reached
        self._write(state)
        rows = PRODUCT.fetch(state.connection, "WHERE number > ? ORDER BY number LIMIT ?", (after, SLICE_ROWS))
        kept = state.shelf.find(after, SLICE_ROWS)
        if rows != kept:
            check_there((row.number for row in rows), (row.number for row in kept), "product")
            raise Rotten(f"some rows of product after {after} are not those that were written")
        if rows:
            self._check_indexes(state, _FOUND_BY_NUMBER, rows[0].number, rows[-1].number, len(rows), "product")
            self._reached = (rows[-1].number,)
        return len(rows)

    def _log(self, state: SqliteState, end: int) -> int:
        reached, last = max(self._reached[0], state.base_index), min(state.last_index(), end)
        if reached != self._reached[0] or reached == 0:  # the log was dropped up to there, or begins
            self._digest = EMPTY_DIGEST if reached == 0 else None
        up_to = min(reached + SLICE_ROWS, last)
        bounds = (reached, up_to, -1)
        entries = LOG.fetch(state.connection, _BETWEEN, bounds)
        check_there((entry.index for entry in entries), range(reached + 1, up_to + 1), "log")
        kept = dict(DIGEST.fetch(state.connection, _BETWEEN, bounds))
        digests = kept | {index: digest for index, digest in state.waiting.digests.items() if reached < index <= up_to}
        check_there(sorted(digests), range(reached + 1, min(up_to, state.head.applied) + 1), "digest")
        self._follow(state, [entry for entry in entries if entry.index in digests], digests)
        if up_to > state.head.applied:
            self._digest = None
        self._reached = (up_to,)
        return len(entries) + len(kept)

    def _follow(self, state: SqliteState, entries: list[Entry], digests: dict[int, bytes]) -> None:
        """Each digest follows from the one before, the entry and its outcome (where that is still remembered)."""
        for entry in entries:
            outcome = self._outcome_of(state, entry)
            before, self._digest = self._digest, digests[entry.index]
            if before is None or outcome is None:
                continue
            if chain(before, entry.index, entry.kind, entry.data, outcome) != self._digest:
                raise Rotten(f"the digest of entry {entry.index} does not follow from the one before and the log")

    @staticmethod
    def _outcome_of(state: SqliteState, entry: Entry) -> bytes | None:
        if entry.kind is not Kind.COMMAND:
            return b""
        request_id = _entry_start.decode(entry.data)[1]
        row = state.remembered_row(request_id)
        return None if row is None else row.outcome

    def _outcomes(self, state: SqliteState, applied: int) -> int:
        (after,) = self._reached
        rows = OUTCOME.fetch(state.connection, _BETWEEN, (after, applied, SLICE_ROWS))
        up_to = rows[-1].index if rows else applied
        forgotten = state.waiting.forgotten or 0  # these rows are about to be removed
        kept = {row.index: row.request_id for row in rows if row.index > forgotten}
        remembered = state.requests_between(after, up_to)
        if kept != remembered:
            check_there(kept, remembered, "outcome")
            raise Rotten(f"some rows of outcome after {after} are not those that were written")
        self._reached = (up_to,)
        return len(rows)

    def _orders(self, state: SqliteState, next_order: int) -> int:
        first = self._reached[0] + 1
        end = min(first + SLICE_ROWS, next_order)
        where = "WHERE number BETWEEN ? AND ? ORDER BY number LIMIT ?"
        rows = ORDERS.fetch(state.connection, where, (first, end - 1, -1))
        check_there((row.number for row in rows), range(first, end), "orders")
        if rows:
            self._check_indexes(state, _FOUND_BY_BOTH, first, end - 1, len(rows), "orders")
            self._reached = (end - 1,)
        return len(rows)

    @staticmethod
    def _check_indexes(state: SqliteState, query: str, first: int, last: int, rows: int, table: str) -> None:
        with translated(f"reading the indexes of {table}"):
            ((found,),) = state.connection.execute(query, (first, last))
        if found != rows:
            raise Rotten(f"an index of {table} does not lead to all rows from {first} to {last}")

    def _changes(self, state: SqliteState, applied: int) -> int:
        where = "WHERE (idx, seq) > (?, ?) AND idx <= ? ORDER BY idx, seq LIMIT ?"
        rows = CHANGE.fetch(state.connection, where, (*self._reached, applied, SLICE_ROWS))
        if rows:
            self._reached = (rows[-1].index, rows[-1].sequence)
        return len(rows)


_BETWEEN = "WHERE idx > ? AND idx <= ? ORDER BY idx LIMIT ?"
