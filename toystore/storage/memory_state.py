"""The log and the ledger of a replica in plain dictionaries, with a list of how to undo what is not synced."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from attrs import evolve

from toystore.consensus.messages import Entry
from toystore.encoding import encode_outcome
from toystore.model import CatalogChange, Order, Outcome, Product, Request
from toystore.storage.interface import LogRow, Rotten, StorageError
from toystore.storage.shelf import Shelf
from toystore.storage.snapshot import RememberedOutcome, Row, StateHash, as_of, hashed_outcomes_above
from toystore.storage.state import Head, LedgerState

Undo = tuple[Callable[..., Any], *tuple[Any, ...]]

Place = tuple[str, int | str]
"""A row: its table, and its number, log index or name."""

META = ("base", "counts", "hard_state", "head", "uuid")


class MemoryState(LedgerState):
    """Also the `Reader` of the memory storage."""

    def __init__(self) -> None:
        self.head = Head()
        self.shelf = Shelf()
        self.base_index = 0
        self.base_term = 0
        self.entries: list[Entry] = []
        self._digests: dict[int, bytes] = {}
        self._orders: dict[int, Order] = {}
        self._keys: dict[str, int] = {}
        self._changes: list[CatalogChange] = []
        self._outcomes: dict[str, tuple[int, Outcome]] = {}
        self._requests: dict[int, str] = {}
        self._undo: list[Undo] = []
        self.rotten: set[Place] = set()
        """Rows that are not what was written. Whoever comes upon one says so; nothing but a new state makes it whole."""
        self.synced_head = Head()
        """The head as of the last `sync`."""

    # What survives

    def sync(self) -> None:
        """What has been done so far stays."""
        if self._undo or self.synced_head.applied != self.head.applied:
            self._undo.clear()
            self.synced_head = evolve(self.head)

    def synced(self) -> bool:
        return not self._undo and self.synced_head.applied == self.head.applied

    def undo_unsynced(self) -> None:
        """Back to the last `sync`."""
        for undo, *arguments in reversed(self._undo):
            undo(*arguments)
        self._undo.clear()
        for index in range(self.synced_head.applied + 1, self.head.applied + 1):
            del self._digests[index]
        self.head = evolve(self.synced_head)

    # Rows that are broken

    def places(self) -> Iterator[Place]:
        """All rows that are kept; the same tables as those of the SQLite storage."""
        yield from (("meta", name) for name in META)
        yield from (("log", entry.index) for entry in self.entries)
        yield from (("digest", index) for index in self._digests if index > self.base_index)
        yield from (("product", product.number) for product in self.shelf)
        yield from (("orders", number) for number in self._orders)
        yield from (("outcome", index) for index in self._requests)
        yield from (("change", index) for index in sorted({change.index for change in self._changes}))

    def check(self, *places: Place) -> None:
        """Rotten where one of them is broken."""
        for table, key in self.rotten.intersection(places):
            raise Rotten(f"row {key} of {table} does not agree with its checksum")

    def check_all(self, *tables: str) -> None:
        """The same for all rows of these tables; of all where none is named."""
        if self.rotten:
            self.check(*(place for place in self.places() if not tables or place[0] in tables))

    def check_opening(self) -> None:
        """What is read when a process begins."""
        self.check_all("meta", "log", "product", "outcome")
        self.check(("orders", self.head.next_order - 1))

    # The log

    def last_index(self) -> int:
        return self.base_index + len(self.entries)

    def replace_log(self, entries: Sequence[Entry]) -> None:
        """Put these in the place of everything from the index of the first on; durable at once."""
        first = entries[0].index
        if not self.head.applied < first <= self.last_index() + 1:
            raise StorageError(f"entry {first} does not fit a log to {self.last_index()}, applied {self.head.applied}")
        if entries[-1].index != first + len(entries) - 1:
            raise StorageError(f"the entries from {first} to {entries[-1].index} have gaps")
        self.entries[first - self.base_index - 1 :] = entries
        self.rotten = {place for place in self.rotten if place[0] != "log" or int(place[1]) < first}

    def compact(self, index: int) -> None:
        if index > self.head.applied:
            raise StorageError(f"the log can not be dropped up to {index}: applied is {self.head.applied}")
        if index <= self.base_index:
            return
        dropped = self.entries[: index - self.base_index]
        self._undo.append((self._restore_log, dropped, self.base_index, self.base_term))
        del self.entries[: len(dropped)]
        self.base_index, self.base_term = index, dropped[-1].term

    def _restore_log(self, dropped: list[Entry], base_index: int, base_term: int) -> None:
        self.entries[:0] = dropped
        self.base_index, self.base_term = base_index, base_term

    def _look_ahead(self, requests: Sequence[Request]) -> None:
        """Everything is at hand."""

    def _keep_digest(self, index: int, digest: bytes) -> None:
        self._digests[index] = digest

    # Effects

    def _save_product(self, product: Product) -> None:
        old = self.shelf.put(product)
        self._undo.append((self.shelf.take_off, product) if old is None else (self.shelf.put, old))

    def _save_order(self, order: Order) -> None:
        old = self._orders.get(order.number)
        self._orders[order.number] = order
        if old is None:
            self._keys[order.key] = order.number
            self._undo.append((self._remove_order, order))
        else:
            self._undo.append((self._orders.__setitem__, order.number, old))

    def _remove_order(self, order: Order) -> None:
        del self._orders[order.number], self._keys[order.key]

    def _save_change(self, change: CatalogChange) -> None:
        self._changes.append(change)
        self._undo.append((self._drop_change,))

    def _drop_change(self) -> None:
        del self._changes[-1]

    def _remember(self, request_id: str, index: int, outcome: Outcome, encoded: bytes) -> None:
        self._keep_outcome(request_id, index, outcome)
        self._undo.append((self._drop_outcome, index))

    def _keep_outcome(self, request_id: str, index: int, outcome: Outcome) -> None:
        self._outcomes[request_id] = (index, outcome)
        self._requests[index] = request_id

    def _drop_outcome(self, index: int) -> tuple[str, Outcome] | None:
        request_id = self._requests.pop(index, None)
        return None if request_id is None else (request_id, self._outcomes.pop(request_id)[1])

    def _forget(self, above: int, up_to: int) -> None:
        for index in range(above + 1, up_to + 1):
            dropped = self._drop_outcome(index)
            if dropped is not None:
                self._undo.append((self._keep_outcome, dropped[0], index, dropped[1]))

    def put(self, row: Row) -> None:
        """Lay a row of a snapshot over what is there; it can not be undone."""
        match row:
            case Product():
                self.shelf.put(row)
            case Order():
                self._orders[row.number] = row
                self._keys[row.key] = row.number
            case CatalogChange():
                at = bisect_left(self._changes, (row.index, row.sequence), key=_place)
                if self._changes[at : at + 1] != [row]:
                    self._changes.insert(at, row)
            case _:
                raise TypeError(f"{type(row)} is not put this way")

    def put_outcome(self, request_id: str, index: int, outcome: Outcome) -> None:
        self._keep_outcome(request_id, index, outcome)

    def finish_snapshot(self, head: Head) -> None:
        """The rows are in; the log is empty from here on."""
        for index in [index for index in self._requests if index <= head.forgotten]:
            self._drop_outcome(index)
        self.entries.clear()
        self._digests.clear()
        self.head = head
        self.base_index, self.base_term = head.applied, head.term
        self.sync()

    # Reading

    def order(self, number: int) -> Order | None:
        self.check(("orders", number))
        return self._orders.get(number)

    def order_with_key(self, key: str) -> Order | None:
        number = self._keys.get(key)
        return None if number is None else self.order(number)

    def remembered(self, request_id: str) -> Outcome | None:
        found = self._outcomes.get(request_id)
        if found is None:
            return None
        self.check(("outcome", found[0]))
        return found[1]

    def digest_at(self, index: int) -> bytes | None:
        if index == self.head.applied:
            return self.head.digest
        self.check(("digest", index))
        return self._digests.get(index) if index > self.base_index else None

    def orders(self, before: int | None, limit: int) -> list[Order]:
        end = self.head.next_order if before is None else max(0, min(before, self.head.next_order))
        return self._orders_at(range(end - 1, max(-1, end - 1 - limit), -1))

    def orders_from(self, number: int, limit: int) -> list[Order]:
        start = max(number, 0)
        return self._orders_at(range(start, min(self.head.next_order, start + limit)))

    def _orders_at(self, numbers: range) -> list[Order]:
        if self.rotten:
            self.check(*(("orders", number) for number in numbers))
        return [self._orders[number] for number in numbers]

    def changes_from(self, index: int, sequence: int, limit: int) -> list[CatalogChange]:
        start = bisect_left(self._changes, (index, sequence), key=_place)
        changes = self._changes[start : start + limit]
        if self.rotten:
            self.check(*(("change", change.index) for change in changes))
        return changes

    def log_from(self, index: int, limit: int) -> list[LogRow]:
        start = max(0, index - self.base_index - 1)
        entries = self.entries[start : start + limit]
        if self.rotten:
            self.check(*((table, entry.index) for entry in entries for table in ("log", "digest")))
        return [LogRow(entry, self._digests.get(entry.index)) for entry in entries]

    # Whole states

    def rows_since(self, since: int) -> Iterator[Row]:
        """What a replica that has applied `since` lacks."""
        self._check_read(since, since)
        yield from (product for product in self.shelf if product.version > since)
        yield from (order for order in self._orders.values() if order.changed > since)
        yield from (change for change in self._changes if change.index > since)
        yield from self._outcomes_above(since)

    def state_hash(self) -> str:
        """Over the state as it is now."""
        self._check_read(-1, hashed_outcomes_above(self.head.applied))
        result = StateHash(self.head)
        result.add(self.shelf)
        result.add(self._changes)
        result.add(self._outcomes_above(hashed_outcomes_above(self.head.applied)))
        result.add(as_of(self._orders[number], self.head.applied) for number in range(self.head.next_order))
        return result.hexdigest()

    def _check_read(self, since: int, outcomes_above: int) -> None:
        """Products are at hand in any storage; the rest is read anew."""
        if self.rotten:
            orders = (("orders", order.number) for order in self._orders.values() if order.changed > since)
            changes = (("change", change.index) for change in self._changes if change.index > since)
            outcomes = (("outcome", index) for index in self._requests if index > outcomes_above)
            self.check(*orders, *changes, *outcomes)

    def _outcomes_above(self, index: int) -> Iterator[RememberedOutcome]:
        for at in sorted(at for at in self._requests if at > index):
            request_id = self._requests[at]
            yield RememberedOutcome(request_id, at, encode_outcome(self._outcomes[request_id][1]))


def _place(change: CatalogChange) -> tuple[int, int]:
    return change.index, change.sequence
