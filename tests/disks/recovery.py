"""The production recovery of what is in a directory: what it finds, and whether it can go on from there."""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, frozen
from twisted.internet.task import Clock

from tests.contracts.storage_worlds import result_of
from tests.disks.workload import REGISTER, REPLICA
from toystore.consensus.messages import Entry, HardState, Kind, Members
from toystore.consensus.views import View
from toystore.model import CatalogChange, Order, Product
from toystore.storage.interface import Recovered, Storage, StorageError
from toystore.storage.sqlite import SqliteStorage
from toystore.storage.thread import Inline
from toystore.storage.views import FileViewStore

ALL = 1_000_000
"""More rows than there are."""


class Broken(Exception):
    """The storage has opened, and then something was wrong with it."""


@frozen
class Ledger:
    """All that a storage shows. `uuid` None: any (of a storage that is expected to be new)."""

    uuid: str | None
    hard_state: HardState
    base: tuple[int, int]
    entries: tuple[Entry, ...]
    applied: int
    members: Members
    generation: int
    election: str
    head: tuple[Any, ...]
    products: tuple[Product, ...]
    orders: tuple[Order, ...]
    changes: tuple[CatalogChange, ...]
    digests: tuple[bytes | None, ...]
    state_hash: str

    @property
    def mark(self) -> Hashable:
        """The same for what is the same, whatever the uuid; seldom for anything else."""
        return self.applied, len(self.entries), self.state_hash

    def is_same_as(self, expected: Ledger) -> bool:
        return self == (evolve(expected, uuid=self.uuid) if expected.uuid is None else expected)

    def differences(self, expected: Ledger) -> list[str]:
        """The fields that are not the same."""
        mine, others = asdict(self, recurse=False), asdict(expected, recurse=False)
        return [name for name in mine if mine[name] != others[name] and (name, others[name]) != ("uuid", None)]

    def short(self) -> str:
        last = self.entries[-1] if self.entries else None
        log = f"log {self.base[0] + 1}..{last.index} (term {last.term})" if last else f"no log after {self.base[0]}"
        hard_state = f"term {self.hard_state.term}, vote {self.hard_state.vote}"
        return f"found uuid {self.uuid}, {hard_state}, {log}, applied {self.applied}, {len(self.orders)} orders"


def show(storage: Storage, recovered: Recovered) -> Ledger:
    """What an open storage shows."""

    def query(reader: Any) -> dict[str, Any]:
        base = recovered.base_index
        return {
            "head": (reader.applied(), reader.digest(), reader.clock(), reader.last_restock(), reader.next_order_number()),
            "products": tuple(reader.products(0, ALL)),
            "orders": tuple(reader.orders_from(0, ALL)),
            "changes": tuple(reader.changes_from(0, 0, ALL)),
            "digests": tuple(row.digest for row in reader.log_from(base + 1, ALL)),
        }

    return Ledger(
        uuid=recovered.uuid,
        hard_state=recovered.hard_state,
        base=(recovered.base_index, recovered.base_term),
        entries=recovered.entries,
        applied=recovered.applied,
        members=recovered.members,
        generation=recovered.generation,
        election=recovered.election,
        state_hash=result_of(storage.state_hash(recovered.applied)),
        **result_of(storage.read(query)),
    )


@frozen
class Refused:
    """The storage did not open."""

    why: str

    def short(self) -> str:
        return f"refused: {self.why}"


def recover_ledger(directory: Path) -> Ledger | Refused:
    """Open what is there; save and apply one more entry, open again. Raises Broken."""
    storage = _storage(directory)
    try:
        recovered = result_of(storage.open())
    except StorageError as error:
        return Refused(str(error))
    try:
        found = show(storage, recovered)
        _check_pages(storage)
        _go_on(directory, storage, found)
    except Broken:
        raise
    except Exception as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    return found


def _storage(directory: Path) -> SqliteStorage:
    return SqliteStorage(directory / REPLICA, Clock(), Inline())


def _check_pages(storage: SqliteStorage) -> None:
    """What nobody has read yet may be torn, too: the pages of the indexes."""

    def query(state: Any) -> list[tuple[str]]:
        connection: sqlite3.Connection = state.connection
        return connection.execute("PRAGMA integrity_check").fetchall()

    answer = result_of(storage.read(query))
    if answer != [("ok",)]:
        raise Broken(f"integrity_check: {answer}")


def _go_on(directory: Path, storage: SqliteStorage, found: Ledger) -> None:
    last = found.entries[-1].index if found.entries else found.base[0]
    more = Entry(last + 1, found.hard_state.term + 1, Kind.NOOP, b"")
    hard_state = HardState(more.term, "order-3")
    result_of(storage.save(hard_state, [more]))
    result_of(storage.apply([*(entry for entry in found.entries if entry.index > found.applied), more]))
    shown = result_of(storage.read(lambda reader: (reader.applied(), reader.digest())))
    result_of(storage.close())
    again = _storage(directory)
    recovered = result_of(again.open())
    reread = result_of(again.read(lambda reader: (reader.applied(), reader.digest())))
    result_of(again.close())
    kept = (recovered.uuid, recovered.hard_state, recovered.entries, reread)
    if kept != (found.uuid, hard_state, (*found.entries, more), shown) or shown[0] != more.index:
        raise Broken(f"after one more entry it has {recovered}, applied {reread[0]} (it was {shown[0]})")


@frozen
class Views:
    """What a store of views shows."""

    view: View | None

    @property
    def mark(self) -> Hashable:
        return self.view.version if self.view else None

    def is_same_as(self, expected: Views) -> bool:
        return self == expected

    def differences(self, expected: Views) -> list[str]:
        return [] if self == expected else ["view"]

    def short(self) -> str:
        return f"found view {self.view.version}" if self.view else "found no view"


def recover_views(directory: Path) -> Views | Refused:
    """Open what is there; save one more view, open again. Raises Broken."""
    store = FileViewStore(directory / REGISTER, Clock(), Inline())
    try:
        view = result_of(store.open())
    except StorageError as error:
        return Refused(str(error))
    more = evolve(view, version=view.version + 1) if view else View("r", 1, 1, 1, "order-1", {})
    result_of(store.save(more))
    result_of(store.close())
    again = FileViewStore(directory / REGISTER, Clock(), Inline())
    reread = result_of(again.open())
    result_of(again.close())
    if reread != more:
        raise Broken(f"after one more view it has {reread}")
    return Views(view)
