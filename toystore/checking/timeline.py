"""The stock of each product at every index of the log, by replaying orders and catalog changes. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping

from attrs import define, field

from toystore.checking.final import Final
from toystore.model import OrderStatus, Side

FIRST = -1
"""The index before all, at which a product has its initial stock."""


@define
class Shelf:
    """One product: at `indices[i]` its row changed, and `quantities[i]` was left."""

    name: str
    indices: list[int] = field(factory=list)
    quantities: list[int] = field(factory=list)
    _least: list[list[int]] | None = field(default=None, init=False)
    """Of the quantities, the least of each 2, of each 4, ...: made when it is first asked for."""

    def at(self, index: int) -> tuple[int, int] | None:
        """The index of its last change up to `index`, and what was left; None where there was no such product."""
        place = bisect_right(self.indices, index) - 1
        return None if place < 0 else (self.indices[place], self.quantities[place])

    def first_below(self, quantity: int, index: int) -> int | None:
        """The first index from `index` on at which less than `quantity` was left; None for never. O(log n)."""
        place = bisect_right(self.indices, index) - 1
        if place < 0:
            place = 0
        levels = self._levels()
        height = 0
        while True:  # up, over blocks that have enough, then down into the first that has not
            if place >= len(levels[height]):
                return None
            if levels[height][place] < quantity:
                break
            place += 1
            while not place & 1 and height + 1 < len(levels):
                place >>= 1
                height += 1
        while height:
            height -= 1
            place <<= 1
            if levels[height][place] >= quantity:
                place += 1
        return max(index, self.indices[place])

    def _levels(self) -> list[list[int]]:
        if self._least is None:
            levels = [self.quantities]
            while len(levels[-1]) > 1:
                below = levels[-1]
                above = [min(pair) for pair in zip(below[::2], below[1::2], strict=False)]
                levels.append(above + below[2 * len(above) :])
            self._least = levels
        return self._least


Moves = list[tuple[int, int, int | None]]
"""(index, units that came, or the quantity that was set)."""


def shelves(final: Final) -> dict[str, Shelf] | None:
    """Each product over time; None where it is not known what there was at the beginning."""
    moves: dict[str, Moves] = {}
    if final.changes is not None:
        for change in final.changes:
            value = int(change.value) if change.field == "quantity" else None
            moves.setdefault(change.name, []).append((change.index, 0, value))
    elif final.initial is not None:
        for name, quantity in final.initial.items():
            moves[name] = [(FIRST, 0, quantity)]
    else:
        return None
    _add_orders(final, moves)
    return {name: _replayed(name, its) for name, its in moves.items()}


def _add_orders(final: Final, moves: Mapping[str, Moves]) -> None:
    """What orders took and brought, and what cancellations undid. What is on no shelf is told by `stock`."""
    for order in final.orders:
        sign = 1 if order.side is Side.SELL else -1
        cancelled = order.status is OrderStatus.CANCELLED
        for line in order.lines:
            its = moves.get(line.name)
            if its is not None:
                its.append((order.index, sign * line.quantity, None))
                if cancelled:
                    its.append((order.changed, -sign * line.quantity, None))


def _replayed(name: str, moves: Moves) -> Shelf:
    moves.sort(key=lambda move: move[0])
    shelf = Shelf(name)
    left = 0
    for index, came, set_to in moves:
        left = left + came if set_to is None else set_to
        if shelf.indices and shelf.indices[-1] == index:
            shelf.quantities[-1] = left
        else:
            shelf.indices.append(index)
            shelf.quantities.append(left)
    return shelf
