"""The store as one client after the other would see it, for the search of `linearizability`. Pure.

Stocks are a tuple, products are places in it. A write of which the log has told us where it stands carries its `index`, and
answers that name an index carry the one of the last write before it: so the search has to find the order of the log. Where
these are None (nothing is known but what clients saw) it may find any.
"""

from __future__ import annotations

from attrs import evolve, frozen

Units = tuple[tuple[int, int], ...]
"""(place of a product, units that come: negative ones go)."""


@frozen
class Store:
    """`position` is the index of the last write, `next` the number of the next order."""

    stocks: tuple[int, ...]
    next: int = 0
    position: int = -1
    cancelled: frozenset[int] = frozenset()


@frozen
class Place:
    units: Units
    number: int | None
    index: int | None = None


@frozen
class Cancel:
    """`units` are what it brings back. Who comes second changes nothing, and is answered after the write at `after`;
    `first`: it is known that nobody came before."""

    number: int
    units: Units
    index: int | None = None
    after: int | None = None
    first: bool = False


@frozen
class Set:
    """A change of the catalog, right after the write at `after`: (place of a product, what there is of it now)."""

    quantities: tuple[tuple[int, int], ...]
    index: int
    after: int


@frozen
class Refuse:
    """An order, or the cancellation of the order `number`, that found too little."""

    units: Units
    number: int | None = None


@frozen
class SeeOrder:
    """`cancelled` None: there is no such order. `after` is the index of the last write before the answer."""

    number: int
    cancelled: bool | None
    after: int | None = None


@frozen
class SeeStock:
    product: int
    quantity: int
    after: int | None = None


@frozen
class SeeReplay:
    """The same order again."""

    number: int
    after: int | None = None


Action = Place | Cancel | Set | Refuse | SeeOrder | SeeStock | SeeReplay


def step(store: Store, action: Action) -> Store | None:
    """The store after the action, the same if it changes nothing; None where it would have been answered otherwise."""
    match action:
        case Place(units, number, index):
            fits = number in (None, store.next) and (index is None or store.position < index)
            stocks = _moved(store.stocks, units) if fits else None
            return None if stocks is None else evolve(_after(store, stocks, index), next=store.next + 1)
        case Cancel(number, units, index, after, first):
            if number in store.cancelled:
                return store if not first and after in (None, store.position) else None
            if number >= store.next:
                return None
            stocks = _moved(store.stocks, units) if index is None or store.position < index else None
            if stocks is None:
                return None
            return evolve(_after(store, stocks, index), cancelled=store.cancelled | {number})
        case Set(quantities, index, after):
            set_to = dict(quantities)
            stocks = tuple(set_to.get(product, left) for product, left in enumerate(store.stocks))
            return _after(store, stocks, index) if store.position == after else None
        case Refuse(units, cancels):
            possible = cancels is None or (cancels < store.next and cancels not in store.cancelled)
            return store if possible and _moved(store.stocks, units) is None else None
        case SeeOrder(number, cancelled, after):
            there = None if number >= store.next else number in store.cancelled
            return store if there is cancelled and after in (None, store.position) else None
        case SeeStock(product, quantity, after):
            return store if store.stocks[product] == quantity and after in (None, store.position) else None
        case SeeReplay(number, after):
            return store if number < store.next and after in (None, store.position) else None


def _after(store: Store, stocks: tuple[int, ...], index: int | None) -> Store:
    return evolve(store, stocks=stocks, position=store.position if index is None else index)


def _moved(stocks: tuple[int, ...], units: Units) -> tuple[int, ...] | None:
    moved = list(stocks)
    for product, came in units:
        moved[product] += came
        if moved[product] < 0:
            return None
    return tuple(moved)
