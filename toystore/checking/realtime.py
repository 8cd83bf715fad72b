"""Linearizability of orders, cancellations and linearizable reads, with the index in the log as the witness. Pure.

To say whether a history is linearizable one has to find an order of its operations; that is hard in general (Gibbons and
Korach, "Testing shared memories", 1997), but here the ledger has told the order. An order stands at its index, a read at the
index of its answer; the index grows with the order number. What is left to check:

- what each operation answered is right for its place in that order (`orders`, `stock`, `timeline`);
- the order respects time: if a was answered before b was sent, a stands before b.

If both hold, the order told *is* a linearization (soundness). If the second does not, no other order can help: numbers and
indices are part of the answers, so that another order would contradict these (completeness). A refusal for lack of stock
has no index; it may stand at any at which there was too little. It gets the first such place that time allows: a later one
would only rule out more for those who come after. So one sweep over the operations by time is exact, in O(n log n). Of whom
nobody heard again, the ledger says whether it was carried out and where; it can not have been before it was sent.

A cached read need not be fresh; but what it shows was committed when it was answered, so that it is a bound for others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter

from attrs import define, field

from toystore.checking.events import FAIL, INFO, OK
from toystore.checking.findings import Check
from toystore.checking.operations import NEVER, Cancelling, Operation, OrderRead, Placing, ProductRead, Recording
from toystore.checking.timeline import Shelf
from toystore.model import Order, OrderStatus

NO_STOCK, UNKNOWN_ORDER = "insufficient_stock", "unknown_order"


def check_real_time(
    recording: Recording, orders: Sequence[Order], shelves: Mapping[str, Shelf] | None, *, cached: bool = True
) -> list[Check]:
    """`cached`: whether cached reads bound the operations after them too."""
    by_key = {order.key: order for order in orders}
    firsts = first_attempts(recording, orders, by_key)
    sweep = _Sweep(orders, by_key, shelves, firsts[1])
    operations = _of_interest(recording, firsts, cached)
    by_end = sorted(range(len(operations)), key=[operation.ended for operation in operations].__getitem__)
    places = [0] * len(operations)
    ended = 0
    for at, operation in enumerate(operations):
        while operations[by_end[ended]].ended < operation.invoked:  # ends, at the latest, with the operation itself
            done = by_end[ended]
            if places[done] > sweep.floor:
                sweep.floor, sweep.who = places[done], operations[done]
            ended += 1
        places[at] = sweep.place(operation)
    return [sweep.writes, sweep.reads, sweep.refusals]


Firsts = tuple[dict[str, Placing], dict[int, Cancelling]]


def first_attempts(recording: Recording, orders: Sequence[Order], by_key: Mapping[str, Order]) -> Firsts:
    """Of each order, the first attempt that may have placed it (none but the one that was answered as new, if there is one),
    by its key; of each that is cancelled, the first that may have cancelled it, by its number."""
    placed: dict[str, Placing] = {}
    for placing in recording.placings:
        if placing.key in by_key and not placing.replayed and placing.outcome != FAIL:
            known = placed.get(placing.key)
            if known is None or (known.outcome == INFO and placing.outcome == OK):
                placed[placing.key] = placing
    cancelled: dict[int, Cancelling] = {}
    for cancelling in recording.cancellings:
        number = cancelling.number
        if cancelling.outcome != FAIL and number < len(orders) and orders[number].status is OrderStatus.CANCELLED:
            first = cancelled.setdefault(number, cancelling)
            if cancelling.index == orders[number].changed != first.index:
                cancelled[number] = cancelling  # answered by the very entry that did it
    return placed, cancelled


def _of_interest(recording: Recording, firsts: Firsts, cached: bool) -> list[Operation]:
    """All that say something about the order of things, by the time at which they began. Of most of those whose end nobody
    knows, nothing is known."""
    operations: list[Operation] = [
        operation
        for operation in (*recording.placings, *recording.cancellings)
        if operation.outcome == OK or (operation.outcome == FAIL and operation.error in (NO_STOCK, UNKNOWN_ORDER))
    ]
    operations += [first for first in (*firsts[0].values(), *firsts[1].values()) if first.outcome == INFO]
    operations += recording.order_reads
    operations += recording.stock_reads
    if cached:
        operations += recording.product_reads
    operations.sort(key=attrgetter("invoked"))
    return operations


@define
class _Sweep:
    """`floor` is the highest place of all operations that have ended, `who` had it. Who first tried to cancel an order that
    is cancelled did so, as far as anyone can tell."""

    orders: Sequence[Order]
    by_key: Mapping[str, Order]
    shelves: Mapping[str, Shelf] | None
    first_to_cancel: Mapping[int, Cancelling]
    floor: int = -1
    who: Operation | None = None
    writes: Check = field(factory=lambda: Check("an order comes after all that was answered before it was sent"))
    reads: Check = field(factory=lambda: Check("a linearizable read sees all that was answered before it was sent"))
    refusals: Check = field(factory=lambda: Check("an order is refused for lack of stock only while stock is lacking"))

    def place(self, operation: Operation) -> int:
        """Where it stands, at the earliest; for one that was out of place, where it said to be."""
        match operation:
            case ProductRead(linearizable=False):
                return operation.index
            case Placing(outcome="ok" | "info"):
                return self._written(operation, self._index_of(operation))
            case Cancelling(outcome="ok" | "info", number=number):
                first = self.first_to_cancel.get(number) is operation
                return self._written(operation, self.orders[number].changed if first else operation.index)
            case OrderRead(status="unknown"):
                return self._not_there(operation, operation.number)
            case OrderRead() | ProductRead():
                return self._read(operation)
            case Placing(error="insufficient_stock"):
                return self._refused_order(operation)
            case Cancelling(error="unknown_order"):
                return self._not_there(operation, operation.number)
            case Cancelling(error="insufficient_stock"):
                return self._refused_cancelling(operation)
        return self.floor

    def _index_of(self, placing: Placing) -> int:
        """Of the entry that placed it; a replay was answered by an entry of its own."""
        order = None if placing.replayed else self.by_key.get(placing.key)
        return placing.index if order is None else order.index

    def _written(self, operation: Operation, index: int) -> int:
        self.writes.checked += 1
        if index <= self.floor:
            self.writes.wrong(f"{operation} stands at index {index}, and {self._before()}")
        return operation.index

    def _read(self, read: Operation) -> int:
        self.reads.checked += 1
        if read.index < self.floor:
            self.reads.wrong(f"{read} is as of index {read.index}, and {self._before()}")
        return read.index

    def _not_there(self, operation: Operation, number: int) -> int:
        """It was told that there is no such order: so it stands before that order."""
        self.reads.checked += 1
        if number < len(self.orders) and self.orders[number].index <= self.floor:
            index = self.orders[number].index
            self.reads.wrong(f"{operation} found none; the order was placed at {index}, and {self._before()}")
        return self.floor

    def _refused_order(self, placing: Placing) -> int:
        """At the first place where one of its products was lacking, and before there was an order of its key."""
        order = self.by_key.get(placing.key)
        return self._lacking(placing, placing.lines, self.floor, NEVER if order is None else order.index)

    def _refused_cancelling(self, cancelling: Cancelling) -> int:
        """What was sold to us was not there any more to be given back."""
        if cancelling.number >= len(self.orders):
            return self.floor
        order = self.orders[cancelling.number]
        until = order.changed if order.status is OrderStatus.CANCELLED else NEVER
        lines = [(line.name, line.quantity) for line in order.lines]
        return self._lacking(cancelling, lines, max(self.floor, order.index), until)

    def _lacking(self, operation: Operation, lines: Sequence[tuple[str, int]], start: int, until: int) -> int:
        if self.shelves is None:
            return self.floor
        self.refusals.checked += 1
        found = [
            place
            for name, quantity in lines
            if (shelf := self.shelves.get(name)) is not None and (place := shelf.first_below(quantity, start)) is not None
        ]
        place = min(found, default=NEVER)
        if place >= until:
            then = "" if until == NEVER else f" before it was carried out at {until}"
            self.refusals.wrong(
                f"{operation} was refused, and from index {start} on there was enough{then}; {self._before()}"
            )
            return self.floor
        return place

    def _before(self) -> str:
        return f"index {self.floor} had been reached by then: {self.who}"
