"""Stretches of a history, as the search of `linearizability` takes them: a second opinion on what `realtime` says. Pure.

If a whole history is linearizable in the order of the log, then so is each stretch of the log with the operations that
stand in it, from the state before it. So a long history is judged in some stretches, a short one whole.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import define, field

from toystore.checking.events import FAIL, OK
from toystore.checking.final import Final
from toystore.checking.findings import Check
from toystore.checking.linearizability import Call, Undecided, stuck_at
from toystore.checking.operations import NEVER, Cancelling, Operation, OrderRead, Placing, ProductRead, Recording
from toystore.checking.realtime import NO_STOCK, UNKNOWN_ORDER, first_attempts
from toystore.checking.store_model import (
    Action,
    Cancel,
    Place,
    Refuse,
    SeeOrder,
    SeeReplay,
    SeeStock,
    Set,
    Store,
    Units,
    step,
)
from toystore.checking.timeline import FIRST, Shelf
from toystore.model import Order, OrderStatus, Side

STRETCH = 100
"""Orders in one stretch; a history with at most twice as many is judged whole."""


def check_windows(
    recording: Recording, final: Final, shelves: Mapping[str, Shelf] | None, windows: int, length: int = STRETCH
) -> Check:
    """Judges `windows` stretches of so many orders. A stretch with too many possibilities is given up."""
    check = Check("stretches of the history are linearizable, as a search finds too")
    if not shelves:
        return check
    for stretch in stretches(recording, final, shelves, windows, length):
        calls = stretch.calls()
        try:
            stuck = stuck_at(calls, stretch.store(), step)
        except Undecided:
            check.given_up += 1
            continue
        check.checked += len(calls)
        if stuck is not None:
            there = f"from index {stretch.first} to {stretch.last}" if stretch.last < NEVER else "in all of it"
            check.wrong(f"{there} there is no order of the operations in which this could end: {stuck.name}")
    return check


@define
class Stretch:
    """What stands in the log from `first` to `last`."""

    first: int
    last: int
    final: Final
    shelves: Mapping[str, Shelf]
    operations: list[tuple[Operation, int]] = field(factory=list)
    """With the index at which each stands; -1 for a refusal, which may stand anywhere."""

    def calls(self) -> list[Call[Action]]:
        """The operations, and what changed the catalog."""
        places = {name: place for place, name in enumerate(self._names())}
        changes: dict[int, list[tuple[int, int]]] = {}
        for change in self.final.changes or ():
            if change.field == "quantity" and self.first <= change.index <= self.last and change.name in places:
                changes.setdefault(change.index, []).append((places[change.name], int(change.value)))
        writes = sorted([*changes, *self._written()])
        calls = [
            Call(operation.invoked, operation.ended, self._action(operation, places, writes, index), str(operation))
            for operation, index in self.operations
        ]
        return calls + [
            Call(-1, NEVER, Set(tuple(quantities), index, _last(writes, index - 1)), f"the change of the catalog at {index}")
            for index, quantities in changes.items()
        ]

    def store(self) -> Store:
        """As it was before the stretch."""
        orders = self.final.orders
        stocks = [(self.shelves[name].at(self.first - 1) or (0, 0))[1] for name in self._names()]
        numbers = {operation.number for operation, _ in self.operations if isinstance(operation, OrderRead | Cancelling)}
        cancelled = {n for n in numbers if n < len(orders) and _cancelled_before(orders[n], self.first)}
        next_ = bisect_left(orders, self.first, key=lambda order: order.index)
        return Store(tuple(stocks), next_, -1, frozenset(cancelled))

    def _names(self) -> list[str]:
        """The products that the operations touch."""
        names: set[str] = set()
        for operation, _ in self.operations:
            match operation:
                case Placing(lines=lines):
                    names.update(name for name, _ in lines)
                case ProductRead(name=name):
                    names.add(name)
                case Cancelling(number=number) if number < len(self.final.orders):
                    names.update(line.name for line in self.final.orders[number].lines)
        return sorted(name for name in names if name in self.shelves)

    def _written(self) -> set[int]:
        """Where orders are placed and cancelled."""
        written = set()
        for operation, index in self.operations:
            match operation:
                case Placing(replayed=False) if index >= 0:
                    written.add(index)
                case Cancelling(number=number) if index >= 0 and index == self.final.orders[number].changed:
                    written.add(index)  # who cancels it again changes nothing
        return written

    def _action(self, operation: Operation, places: Mapping[str, int], writes: Sequence[int], index: int) -> Action:
        after = _last(writes, index)
        match operation:
            case Placing(outcome="fail", side=side, lines=lines):
                return Refuse(_units(side, lines, places))
            case Placing(replayed=True, number=int(number)):
                return SeeReplay(number, after)
            case Placing(side=side, lines=lines, number=number):
                return Place(_units(side, lines, places), number, after)
            case Cancelling(outcome="fail", error="unknown_order", number=number):
                return SeeOrder(number, None)
            case Cancelling(outcome=outcome, number=number):
                order = self.final.orders[number]
                back = Side.SELL if order.side is Side.BUY else Side.BUY
                units = _units(back.value, [(line.name, line.quantity) for line in order.lines], places)
                if outcome == FAIL:
                    return Refuse(units, number)
                known = outcome == OK and operation.index <= self.last
                answered = _last(writes, operation.index) if known else None
                return Cancel(number, units, after, answered, first=known and operation.index == order.changed)
            case OrderRead(status="unknown", number=number):
                return SeeOrder(number, None)
            case OrderRead(number=number, status=status):
                return SeeOrder(number, status == OrderStatus.CANCELLED.value, after)
            case ProductRead(name=name, quantity=quantity):
                return SeeStock(places[name], quantity, after)
        raise TypeError(f"{operation!r} has no place in the model")


def stretches(
    recording: Recording, final: Final, shelves: Mapping[str, Shelf], windows: int, length: int = STRETCH
) -> list[Stretch]:
    """The whole of a short history, from where the catalog is there; else `windows` stretches evenly over it."""
    orders = final.orders
    if len(orders) <= 2 * length:
        found = [Stretch(FIRST + 1, NEVER, final, shelves)]
    else:
        count = max(1, min(windows, len(orders) // length))
        starts = [(len(orders) - length - 1) * part // max(count - 1, 1) for part in range(count)]
        found = [Stretch(orders[start].index, orders[start + length].index - 1, final, shelves) for start in starts]
    _share_out(recording, orders, found)
    return found


def _share_out(recording: Recording, orders: Sequence[Order], found: Sequence[Stretch]) -> None:
    """Each operation to the stretch in which it stands."""
    firsts = [stretch.first for stretch in found]
    for operation, index in _standing(recording, orders):
        if isinstance(operation, ProductRead) and operation.name not in found[0].shelves:
            continue  # `check_shown` tells of it
        place = bisect_right(firsts, index) - 1
        if place >= 0 and index <= found[place].last:
            found[place].operations.append((operation, index))
    refused = [op for op in _refused(recording, orders) if op.ended != NEVER]
    whole = len(found) == 1 and found[0].last == NEVER
    for stretch in found:
        ends = [operation.ended for operation, _ in stretch.operations]
        # Of whom nobody heard again, it may have been another attempt that stands here.
        sure = [operation.invoked for operation, _ in stretch.operations if operation.outcome == OK]
        opens = -1 if whole else min(ends, default=NEVER)
        closes = NEVER if whole else max(sure, default=0)
        first = bisect_right(refused, opens, key=lambda operation: operation.invoked)
        after = bisect_left(refused, closes, key=lambda operation: operation.invoked)
        stretch.operations += [(operation, -1) for operation in refused[first:after] if operation.ended < closes]


def _standing(recording: Recording, orders: Sequence[Order]) -> Iterator[tuple[Operation, int]]:
    """The operations that have a place in the log, or that the ledger gave one."""
    by_key = {order.key: order for order in orders}
    for placing in recording.placings:
        order = by_key.get(placing.key)
        if order is not None and placing.outcome != FAIL:
            yield placing, placing.index if placing.replayed else order.index
    first_to_cancel = first_attempts(recording, orders, by_key)[1]
    for cancelling in recording.cancellings:
        first = first_to_cancel.get(cancelling.number)
        if first is cancelling:
            yield cancelling, orders[cancelling.number].changed
        elif first is not None and cancelling.outcome == OK:
            yield cancelling, cancelling.index  # was cancelled already
    for read in recording.order_reads:
        if read.status != "unknown":
            yield read, read.index
    for shown in recording.stock_reads:
        yield shown, shown.index


def _refused(recording: Recording, orders: Sequence[Order]) -> list[Operation]:
    """By the time at which they began: refusals that say what there was, or was not."""
    refused: list[Operation] = [read for read in recording.order_reads if read.status == "unknown"]
    refused += [op for op in recording.placings if op.outcome == FAIL and op.error == NO_STOCK]
    for cancelling in recording.cancellings:
        known = cancelling.error == UNKNOWN_ORDER or (cancelling.error == NO_STOCK and cancelling.number < len(orders))
        if cancelling.outcome == FAIL and known:
            refused.append(cancelling)
    return sorted(refused, key=lambda operation: operation.invoked)


def _cancelled_before(order: Order, index: int) -> bool:
    return _is_cancelled(order) and order.changed < index


def _is_cancelled(order: Order) -> bool:
    return order.status is OrderStatus.CANCELLED


def _last(writes: Sequence[int], index: int) -> int:
    """The last write up to the index: -1 if there is none."""
    place = bisect_right(writes, index) - 1
    return writes[place] if place >= 0 else -1


def _units(side: str, lines: Iterable[tuple[str, int]], places: Mapping[str, int]) -> Units:
    sign = 1 if side == Side.SELL.value else -1
    return tuple((places[name], sign * quantity) for name, quantity in lines if name in places)
