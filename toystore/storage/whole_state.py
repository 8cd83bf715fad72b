"""What reads or replaces the whole of a SQLite state: its hash, a snapshot of it, a snapshot laid over it.

Reading goes in slices of a few milliseconds between other jobs, while applying goes on. No transaction stays open: each
row says when it changed last, so that what changes meanwhile is found, and read again or rebuilt as it was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from itertools import count, islice
from typing import Protocol, TypeVar

from attrs import evolve, frozen
from twisted.internet.defer import Deferred

from toystore.model import Order, Product
from toystore.storage.batch import Batch
from toystore.storage.database import translated
from toystore.storage.interface import IndexPassed, Spool, SpoolInfo
from toystore.storage.rows import CHANGE, ORDERS, OUTCOME, Table, check_rises, check_there
from toystore.storage.snapshot import (
    BadSnapshot,
    Row,
    SnapshotWriter,
    StateHash,
    as_of,
    check_fits,
    hashed_outcomes_above,
    read_snapshot,
)
from toystore.storage.sqlite_state import SqliteState
from toystore.storage.state import Head

T = TypeVar("T")
R = TypeVar("R", bound=Row)

SLICE_ROWS = 200
"""Rows of one slice: some three milliseconds."""

LAST_PASS_ENTRIES = 256
"""A snapshot is finished in one job once no more entries than this have been applied since its last pass."""

MOST_PASSES = 8

INSTALL_ROWS = 500


class Run(Protocol):
    def __call__(self, job: Callable[[SqliteState], T]) -> Deferred[T]:
        """Do this job after those before it, on the storage's thread."""


@frozen
class Capture:
    """What can not be rebuilt later of the state as of `head.applied`."""

    state: SqliteState
    head: Head
    products: Sequence[Product]


def capture(state: SqliteState) -> Capture:
    return Capture(state, evolve(state.head), list(state.shelf))


async def _walk(
    run: Run, table: Table[R], where: str, after: tuple[int, ...], up_to: int, take: Callable[[list[R]], None]
) -> None:
    """Give all rows that `where` selects to `take`, slice by slice. `where` compares with the place to go on after and
    with `up_to`; its columns are the first of ORDER BY."""
    place = _PLACES[where]

    def slice_after(state: SqliteState) -> list[R]:
        rows = table.fetch(state.connection, where, (*after, up_to, SLICE_ROWS))
        take(rows)
        return rows

    while rows := await run(slice_after):
        before, after = after, place(rows[-1])
        check_rises(table.name, before, after)


BY_NUMBER = "WHERE number > ? AND idx <= ? ORDER BY number LIMIT ?"
BY_CHANGE = "WHERE changed > ? AND changed <= ? ORDER BY changed LIMIT ?"
BY_INDEX = "WHERE idx > ? AND idx <= ? ORDER BY idx LIMIT ?"
BY_INDEX_AND_SEQUENCE = "WHERE (idx, seq) > (?, ?) AND idx <= ? ORDER BY idx, seq LIMIT ?"

_PLACES: dict[str, Callable[..., tuple[int, ...]]] = {
    BY_NUMBER: lambda order: (order.number,),
    BY_CHANGE: lambda order: (order.changed,),
    BY_INDEX: lambda outcome: (outcome.index,),
    BY_INDEX_AND_SEQUENCE: lambda change: (change.index, change.sequence),
}
_AFTER_INDEX = 2**31
"""Above the sequence of any change: `(index, this)` is after all changes of that entry."""


def _each_order(take: Callable[[list[Order]], None]) -> Callable[[list[Order]], None]:
    """Takes all orders, by number; Rotten where one is missing."""
    numbers = count()

    def checked(rows: list[Order]) -> None:
        check_there((row.number for row in rows), islice(numbers, len(rows)), "orders")
        take(rows)

    return checked


# The hash -----------------------------------------------------------------------------------------------


async def hash_state(captured: Capture, run: Run, write: Callable[[SqliteState], None]) -> str:
    """The hash of the state as captured. IndexPassed where another state was installed meanwhile, or so much applied
    that the outcomes it covers are being forgotten."""
    head = captured.head
    index, young = head.applied, hashed_outcomes_above(head.applied)
    result = StateHash(head)

    def checked(state: SqliteState) -> None:
        if state is not captured.state or state.head.forgotten > max(young, 0):
            raise IndexPassed(f"the state at {index} is gone")

    def begin(state: SqliteState) -> None:
        checked(state)
        write(state)
        result.add(captured.products)

    def end(state: SqliteState) -> str:
        checked(state)
        return result.hexdigest()

    await run(begin)
    await _walk(run, CHANGE, BY_INDEX_AND_SEQUENCE, (0, 0), index, result.add)
    await _walk(run, OUTCOME, BY_INDEX, (max(young, 0),), index, result.add)
    take = _each_order(lambda rows: result.add([as_of(order, index) for order in rows]))
    await _walk(run, ORDERS, BY_NUMBER, (-1,), index, take)
    return await run(end)


# A snapshot out -----------------------------------------------------------------------------------------


async def write_snapshot(
    since: int, new_spool: Callable[[], Spool], run: Run, write: Callable[[SqliteState], None]
) -> tuple[SpoolInfo, Spool]:
    """All that changed after `since`. Passes read what changed during the pass before, until little is left; that is
    read in one job together with the head, so that the whole is as of one index."""
    spool = new_spool()
    try:
        writer = SnapshotWriter(spool, since)
        state, reached = await run(lambda state: (state, since))
        for _ in range(MOST_PASSES):
            upto = await run(_written_to(state, write))
            if upto - reached <= LAST_PASS_ENTRIES:
                break
            await _pass(run, writer, reached, upto)
            reached = upto
        return await run(lambda now: _last_pass(_same(now, state), writer, reached, write)), spool
    except BaseException:
        spool.close()
        raise


def _same(now: SqliteState, before: SqliteState) -> SqliteState:
    if now is not before:
        raise IndexPassed("another state was installed while this one was being read")
    return now


def _written_to(before: SqliteState, write: Callable[[SqliteState], None]) -> Callable[[SqliteState], int]:
    def job(now: SqliteState) -> int:
        write(_same(now, before))
        return now.head.applied

    return job


async def _pass(run: Run, writer: SnapshotWriter, reached: int, upto: int) -> None:
    products = await run(lambda state: [p for p in state.shelf if p.version > reached])
    for start in range(0, len(products), SLICE_ROWS):
        part = products[start : start + SLICE_ROWS]
        await run(lambda _, part=part: writer.write(part))  # type: ignore[misc]
    if reached == 0:  # all of them, whatever the index says; what changes meanwhile is read again
        await _walk(run, ORDERS, BY_NUMBER, (-1,), upto, _each_order(writer.write))
    else:
        await _walk(run, ORDERS, BY_CHANGE, (reached,), upto, writer.write)
    await _walk(run, CHANGE, BY_INDEX_AND_SEQUENCE, (reached, _AFTER_INDEX), upto, writer.write)
    await _walk(run, OUTCOME, BY_INDEX, (reached,), upto, writer.write)


def _last_pass(state: SqliteState, writer: SnapshotWriter, reached: int, write: Callable[[SqliteState], None]) -> SpoolInfo:
    write(state)
    index, connection = state.head.applied, state.connection
    writer.write(product for product in state.shelf if product.version > reached)
    if reached == 0:
        _each_order(writer.write)(ORDERS.fetch(connection, BY_NUMBER, (-1, index, -1)))
    else:
        writer.write(ORDERS.fetch(connection, BY_CHANGE, (reached, index, -1)))
    writer.write(CHANGE.fetch(connection, BY_INDEX_AND_SEQUENCE, (reached, _AFTER_INDEX, index, -1)))
    writer.write(OUTCOME.fetch(connection, BY_INDEX, (reached, index, -1)))
    return writer.finish(state.head)


# A snapshot in ------------------------------------------------------------------------------------------


def lay_snapshot(state: SqliteState, info: SpoolInfo, spool: Spool) -> None:
    """Lay it over the state, in one transaction; the log is empty after it. The state is to be loaded again then.

    BadSnapshot: nothing has changed.
    """
    check_fits(info, spool, state.head)
    connection = state.connection
    with translated("installing a snapshot"):
        connection.execute("BEGIN IMMEDIATE")
        try:
            _replace_rows(connection, info, spool)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _replace_rows(connection: sqlite3.Connection, info: SpoolInfo, spool: Spool) -> None:
    for table in ("log", "digest") + (("product", "orders", "outcome", "change") if info.since == 0 else ()):
        connection.execute(f"DELETE FROM {table}")
    batch, rows = Batch(), 0
    for row in read_snapshot(info, spool):
        if isinstance(row, Head):
            batch.set_head(row)
            batch.set_base(row.applied, row.term)
            batch.forgotten = row.forgotten
        else:
            batch.put(row)
            rows += 1
        if rows % INSTALL_ROWS == 0 or isinstance(row, Head):
            try:
                batch.write(connection)
            except sqlite3.IntegrityError as error:
                raise BadSnapshot(f"rows of the snapshot contradict one another or the state: {error}") from error
            batch = Batch()
        if isinstance(row, Head):
            _count(connection, row)


def _count(connection: sqlite3.Connection, head: Head) -> None:
    """Note how many rows there are. BadSnapshot where orders are missing: an index of the sender that has rotted would
    leave some out."""
    ((orders,),) = connection.execute("SELECT count(*) FROM orders NOT INDEXED").fetchall()
    if orders != head.next_order:
        raise BadSnapshot(f"with the snapshot there would be {orders} orders; it says that there are {head.next_order}")
    (counts,) = connection.execute(
        "SELECT (SELECT count(*) FROM product), (SELECT count(*) FROM outcome), (SELECT count(*) FROM change)"
    )
    batch = Batch()
    batch.set_counts(*counts)
    batch.write(connection)
