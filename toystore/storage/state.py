"""The state that applying the log leads to, as far as it is the same in every storage.

A storage brings the places where orders, outcomes and changes are kept; the walk from a committed entry to its outcome,
its effects and the digest is here, once, so that no two storages can disagree about it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from attrs import define, field

from toystore import ledger
from toystore.consensus.membership import decode_generation, decode_members
from toystore.consensus.messages import Entry, Kind, Member, Members
from toystore.encoding import EncodingError, decode_entry, encode_outcome
from toystore.ledger import Effect, Remember, SaveChange, SaveOrder, SaveProduct, SetClock, SetLastRestock
from toystore.model import CatalogChange, Order, Outcome, Product, Request
from toystore.storage.interface import Applied, StorageError
from toystore.storage.shelf import Shelf


@define
class Head:
    """Where the state stands: everything about it that is not a row.

    `applied`, `term` and `digest` are those of the last entry applied. `clock` is in milliseconds. Outcomes of entries
    up to `forgotten` are no longer remembered. `election` is the recorded mode, "" before there is one.
    """

    applied: int = 0
    term: int = 0
    digest: bytes = ledger.EMPTY_DIGEST
    clock: int = 0
    last_restock: int = 0
    next_order: int = 0
    forgotten: int = 0
    generation: int = 0
    election: str = ""
    members: Members = field(factory=dict)


class LedgerState(ABC):
    """The ledger's view, and the way from a log entry to the next state."""

    head: Head
    shelf: Shelf

    @abstractmethod
    def last_index(self) -> int:
        """Of the log; the base index where it is empty."""

    def apply(self, entries: Sequence[Entry], after_each: Callable[[], None]) -> list[Applied]:
        """Carry out the logged entries that follow the applied index. StorageError where they are others, or
        unreadable; the state is not to be used after that."""
        commands = [_command(entry) for entry in entries]
        self._look_ahead([command[1] for command in commands if command is not None])
        results = []
        for entry, command in zip(entries, commands, strict=True):
            results.append(self._apply_entry(entry, command))
            self._keep_digest(entry.index, self.head.digest)
            after_each()
        self._look_ahead(())
        return results

    def _apply_entry(self, entry: Entry, command: tuple[int, Request] | None) -> Applied:
        head = self.head
        if entry.index != head.applied + 1 or entry.index > self.last_index():
            place = f"after {head.applied} in a log to {self.last_index()}"
            raise StorageError(f"entry {entry.index} can not be applied {place}")
        request_id, outcome, outcome_bytes = None, None, b""
        if command is not None:
            at, request = command
            try:
                outcome, effects = ledger.apply(self, entry.index, entry.term, at, request)
            except StorageError:
                raise
            except Exception as error:
                raise StorageError(f"the ledger broke at log entry {entry.index}: {error!r}") from error
            request_id, outcome_bytes = request.request_id, encode_outcome(outcome)
            for effect in effects:
                self._carry_out(effect, outcome_bytes)
        elif entry.kind is Kind.MEMBERS:
            self._rename_members(entry)
        head.digest = ledger.chain(head.digest, entry.index, entry.kind, entry.data, outcome_bytes)
        head.applied, head.term = entry.index, entry.term
        return Applied(entry.index, entry.term, request_id, outcome)

    def _rename_members(self, entry: Entry) -> None:
        """Only a node whose storage changed is named by this entry; the others stay named by theirs."""
        head = self.head
        head.election, uuids = decode_members(entry.data)
        head.generation = max(head.generation, decode_generation(entry.data))
        members = {}
        for node, uuid in uuids.items():
            known = head.members.get(node)
            members[node] = known if known is not None and known.uuid == uuid else Member(uuid, entry.index)
        head.members = members

    def _carry_out(self, effect: Effect, outcome: bytes) -> None:
        head = self.head
        match effect:
            case SaveProduct(product):
                self._save_product(product)
            case SaveOrder(order):
                if order.number == head.next_order:
                    head.next_order += 1
                self._save_order(order)
            case Remember(request_id, index, value, forget):
                self._remember(request_id, index, value, outcome)
                if forget > head.forgotten:
                    self._forget(head.forgotten, forget)
                    head.forgotten = forget
            case SetClock(at):
                head.clock = at
            case SaveChange(change):
                self._save_change(change)
            case SetLastRestock(index):
                head.last_restock = index

    @abstractmethod
    def _look_ahead(self, requests: Sequence[Request]) -> None:
        """These will be applied next (none: they have been)."""

    @abstractmethod
    def _keep_digest(self, index: int, digest: bytes) -> None: ...

    @abstractmethod
    def _save_product(self, product: Product) -> None: ...

    @abstractmethod
    def _save_order(self, order: Order) -> None: ...

    @abstractmethod
    def _save_change(self, change: CatalogChange) -> None: ...

    @abstractmethod
    def _remember(self, request_id: str, index: int, outcome: Outcome, encoded: bytes) -> None: ...

    @abstractmethod
    def _forget(self, above: int, up_to: int) -> None:
        """Drop the outcomes of the entries above `above`, up to and with `up_to`."""

    # The view, as far as it does not need rows that a storage keeps its own way

    def applied(self) -> int:
        return self.head.applied

    def digest(self) -> bytes:
        """The chain up to and with the applied index."""
        return self.head.digest

    def clock(self) -> int:
        return self.head.clock

    def last_restock(self) -> int:
        return self.head.last_restock

    def next_order_number(self) -> int:
        return self.head.next_order

    def product(self, name: str) -> Product | None:
        return self.shelf.named(name)

    def product_with_number(self, number: int) -> Product | None:
        return self.shelf.numbered(number)

    def highest_product_number(self) -> int:
        return self.shelf.highest_number()

    def products_at_zero(self) -> Sequence[Product]:
        return self.shelf.at_zero()

    def products(self, after: int, limit: int, text: str = "", topic: str | None = None) -> list[Product]:
        return self.shelf.find(after, limit, text, topic)

    @abstractmethod
    def order(self, number: int) -> Order | None: ...

    @abstractmethod
    def order_with_key(self, key: str) -> Order | None: ...

    @abstractmethod
    def remembered(self, request_id: str) -> Outcome | None: ...


def _command(entry: Entry) -> tuple[int, Request] | None:
    """The leader's time and the request, where the entry holds a command."""
    if entry.kind is not Kind.COMMAND:
        return None
    try:
        return decode_entry(entry.data)
    except EncodingError as error:
        raise StorageError(f"log entry {entry.index}: {error}") from error
