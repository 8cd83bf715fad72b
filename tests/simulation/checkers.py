"""What must never happen, one small class for each promise.

A checker is told what is seen, in the order in which it happens, and raises `Violation` at the first thing that can not
be. It knows nothing of the cluster: test_checkers.py feeds each one histories made by hand, good and bad. Those of the
views, where leaders are appointed, are in view_checkers.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve

from tests.simulation.view_checkers import Views as Views
from tests.simulation.view_checkers import Violation as Violation
from toystore.consensus.messages import Entry
from toystore.model import CatalogChange, Order, OrderStatus, PlaceOrder, Product


class OneLeaderATerm:
    """Election safety (Raft 5.2)."""

    def __init__(self) -> None:
        self._leaders: dict[int, str] = {}

    def leads(self, term: int, node: str) -> None:
        leader = self._leaders.setdefault(term, node)
        if leader != node:
            raise Violation(f"term {term} has two leaders, {leader} and {node}")


class LogMatching:
    """Two logs that have an entry of the same index and term have the same entries up to it (Raft 5.3).

    By induction it is enough that index and term always stand for the same data after the same term.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[int, int], tuple[bytes, int]] = {}

    def has(self, node: str, entry: Entry, previous_term: int) -> None:
        """`node` has the entry in its log, after one of `previous_term`."""
        here = (bytes([entry.kind]) + entry.data, previous_term)
        known = self._entries.setdefault((entry.index, entry.term), here)
        if known != here:
            raise Violation(f"entry {entry.index} of term {entry.term} at {node} is not what others have there")


class CommittedForEver:
    """What is committed at an index stays so (state machine safety, Raft 5.4.3), and the leaders of all later terms
    have it (leader completeness). A leader of an *earlier* term, whose votes were long under way, need not."""

    def __init__(self) -> None:
        self._committed: dict[int, tuple[int, int]] = {}
        self.last = 0

    def committed(self, node: str, index: int, term: int, during: int) -> bool:
        """`node`, in the term `during`, holds the entry of `term` to be committed; is it the first to know?"""
        known, _ = self._committed.setdefault(index, (term, during))
        if known != term:
            raise Violation(f"{node} commits entry {index} of term {term}; that of term {known} was committed there")
        news = index > self.last
        self.last = max(self.last, index)
        return news

    def term_of(self, index: int) -> int | None:
        """Of the entry that is committed there."""
        return self._committed.get(index, (None, 0))[0]

    def dropped(self, node: str, index: int, term: int, during: int) -> None:
        """`node`, whose disk is in the term `during`, drops its entry of `term` for another: one that was committed by then
        no leader contradicts (truncation never below commit). What a later term commits it may not know of yet."""
        known, committed_during = self._committed.get(index, (0, 0))
        if known == term and committed_during <= during:
            raise Violation(f"{node} drops entry {index} of term {term}, which was committed in term {committed_during}")

    def leads(self, node: str, term: int, first: int, terms: Sequence[int]) -> None:
        """`node` leads in `term` with a log whose entries from `first` on have these `terms`."""
        for index in range(self.last, first - 1, -1):
            known, during = self._committed.get(index, (0, term))
            if during >= term:
                continue
            here = terms[index - first] if index - first < len(terms) else None
            if here != known:
                raise Violation(
                    f"{node} leads in term {term} and has at index {index} an entry of term {here};"
                    f" that of term {known} was committed there in term {during}"
                )


class Durable:
    """Whatever is committed is on the disks of a majority of the voters at that moment (Raft 5.3)."""

    def __init__(self, voters: int) -> None:
        self._majority = voters // 2 + 1

    def committed(self, index: int, holders: Sequence[str]) -> None:
        if len(holders) < self._majority:
            raise Violation(f"entry {index} is committed and is only on the disks of {', '.join(holders) or 'nobody'}")


class OwnTermCounts:
    """A leader commits by counting only what it has appended itself, and by that what stands before it (Raft 5.4.2; of the
    views rule 4): where its commit index moves to stands an entry of its own term."""

    def leader_commits(self, node: str, term: int, last: int, entry_term: int) -> None:
        """`node`, which leads in `term`, has moved its commit index to `last`, where an entry of `entry_term` stands."""
        if entry_term != term:
            raise Violation(f"{node} leads in term {term} and commits up to {last}, an entry of term {entry_term}")


class CommitRises:
    """Within one life of a process the commit index never goes back, nor does what is applied, which follows it without a
    gap and never overtakes it; of one disk, what is applied and synced is never less than it was."""

    def __init__(self) -> None:
        self._commit: dict[str, int] = {}
        self._applied: dict[str, int] = {}
        self._durable: dict[tuple[str, str], int] = {}

    def started(self, node: str, uuid: str, applied: int) -> None:
        """A process begins, on the disk `uuid`, which has applied up to `applied`."""
        durable = self._durable.get((node, uuid), 0)
        if applied < durable:
            raise Violation(f"{node} begins at {applied}, and had {durable} applied and synced on this disk")
        self._commit[node] = self._applied[node] = applied

    def synced(self, node: str, uuid: str, applied: int) -> None:
        """What is on its disk for good has been applied up to here."""
        self._durable[node, uuid] = max(applied, self._durable.get((node, uuid), 0))

    def committed(self, node: str, index: int) -> None:
        if index < self._commit[node]:
            raise Violation(f"{node} goes back from commit index {self._commit[node]} to {index}")
        self._commit[node] = index

    def applied(self, node: str, first: int, last: int) -> None:
        """It has applied the entries from `first` to `last`."""
        if first != self._applied[node] + 1 or last < first:
            raise Violation(f"{node} applies {first}..{last} after {self._applied[node]}")
        if last > self._commit[node]:
            raise Violation(f"{node} applies up to {last} and knows of commits up to {self._commit[node]}")
        self._applied[node] = last

    def installed(self, node: str, index: int) -> None:
        """It has taken a snapshot, which is of what is committed."""
        if index <= self._applied[node]:
            raise Violation(f"{node} has applied {self._applied[node]} and installs a snapshot as of {index}")
        self._applied[node] = index
        self._commit[node] = max(index, self._commit[node])


class EqualDigests:
    """All replicas have the same state at the same index."""

    def __init__(self) -> None:
        self._digests: dict[int, tuple[bytes, str]] = {}

    def applied(self, node: str, index: int, digest: bytes) -> None:
        known, other = self._digests.setdefault(index, (digest, node))
        if known != digest:
            raise Violation(f"{node} and {other} differ at index {index}")


class FreshReads:
    """A linearizable read sees everything that was acknowledged before it began (Raft 8)."""

    def __init__(self) -> None:
        self.acknowledged = 0
        """The highest index that was acknowledged to anyone."""

    def acknowledge(self, index: int) -> None:
        self.acknowledged = max(self.acknowledged, index)

    def answered(self, node: str, asof: int, floor: int) -> None:
        """`floor` is what was `acknowledged` when the read began."""
        if asof < floor:
            raise Violation(f"a read at {node} sees index {asof}, and {floor} was acknowledged before it")


class Orders:
    """What clients were told, held against the ledger: acknowledged orders are there once and as they were told, with
    consecutive numbers; refused and turned away ones are not; nothing else was sold."""

    def __init__(self) -> None:
        self._sent: dict[str, PlaceOrder] = {}
        self._acknowledged: dict[str, Order] = {}
        self._keys: dict[int, str] = {}
        self._cancelled: set[int] = set()
        self._never: dict[str, str] = {}

    def sent(self, order: PlaceOrder) -> None:
        self._sent[order.key] = order

    def acknowledged(self, order: Order) -> None:
        """A client was told that this is its order, for the first time or as a replay."""
        placed = evolve(order, status=OrderStatus.PLACED, changed=order.index)
        known = self._acknowledged.setdefault(order.key, placed)
        if known != placed:
            raise Violation(f"key {order.key!r} was answered with {known}, and later with {placed}")
        key = self._keys.setdefault(order.number, order.key)
        if key != order.key:
            raise Violation(f"order {order.number} was given to {key!r} and to {order.key!r}")
        if order.key in self._never:
            raise Violation(f"order {order.number} was acknowledged, and its key {order.key!r} {self._never.get(order.key)}")

    def cancelled(self, number: int) -> None:
        self._cancelled.add(number)

    def never(self, key: str, why: str) -> None:
        """The client was told that this was not carried out and will not be (`why`: "was refused: ...")."""
        if key in self._acknowledged:
            raise Violation(f"key {key!r} {why}, and had been acknowledged")
        self._never[key] = why

    def ledger(self, orders: Sequence[Order]) -> None:
        """All orders of a ledger in which everything has come to rest."""
        if [order.number for order in orders] != list(range(len(orders))):
            raise Violation(f"the numbers have gaps: {[order.number for order in orders]}")
        held: dict[str, Order] = {}
        for order in orders:
            if order.key in held:
                raise Violation(f"key {order.key!r} has two orders")
            held[order.key] = order
            self._is_what_was_sent(order)
        for key, told in self._acknowledged.items():
            found = held.get(key)
            if found is None:
                raise Violation(f"order {told.number}, key {key!r}, was acknowledged and is lost")
            if found is not None:
                same = evolve(found, status=OrderStatus.PLACED, changed=found.index) == told
                if not same:
                    raise Violation(f"order {told.number} was acknowledged as {told}, and is {found}")
        for number in sorted(self._cancelled):
            if orders[number].status is not OrderStatus.CANCELLED:
                raise Violation(f"order {number} is not cancelled any more")

    def _is_what_was_sent(self, order: Order) -> None:
        sent = self._sent.get(order.key)
        if sent is None:
            raise Violation(f"order {order.number}, key {order.key!r}, was never sent")
        if order.key in self._never:
            raise Violation(f"key {order.key!r} {self._never.get(order.key)}, and has order {order.number}")
        if sent is not None:
            lines: dict[str, int] = {}
            for line in sent.lines:
                lines[line.name] = lines.get(line.name, 0) + line.quantity
            same = sent.side == order.side.value and [(line.name, line.quantity) for line in order.lines] == [*lines.items()]
            if not same:
                raise Violation(f"order {order.number} is {order}, and what was sent is {sent}")


def check_stock(
    initial: Mapping[str, int],
    orders: Sequence[Order],
    products: Sequence[Product],
    changes: Sequence[CatalogChange] = (),
) -> None:
    """What is left is what there was, less what was bought, plus what was sold (cancelled orders: neither), and moved by
    the changes of the catalog; and the products of `initial` are all there."""
    left = dict(initial)
    for change in changes:
        if change.field == "quantity" and change.command == "put_product":
            left[change.name] = int(change.value)  # a new one: nobody sets the stock of another
        elif change.delta is not None and change.name in left:
            left[change.name] += change.delta
    for order in orders:
        if order.status is OrderStatus.PLACED:
            for line in order.lines:
                left[line.name] += line.quantity if order.side.value == "sell" else -line.quantity
    stock = {product.name: product.quantity for product in products}
    if stock != left:
        raise Violation(f"the stock is {stock}, and the orders leave {left}")
    if not all(quantity >= 0 for quantity in stock.values()):
        raise Violation(f"a stock is below zero: {stock}")
