"""The products a front end remembers, never staler than what it has heard of.

Coherence: `floor[name]` is the highest position at which the product is known to have changed,
`floor_all` the same for all products at once. An entry is stored, and served, only if it was read at or
after both. So a slow read that was overtaken by a change can neither fill the cache nor be served from
it (a fill race). The number of floors is bounded; a floor that is dropped raises `floor_all` to it.

Entries are served only under a lease, renewed by whoever follows the change feed: without news there are
no hits. Replacement is least recently used; each entry sits in a numbered slot, so that one can show
what replaced what.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

from attrs import define, frozen

from toystore.model import ORIGIN, Position, Product


@frozen
class Filled:
    """The product came into a slot, in place of `replaced` (None: the slot was empty)."""

    slot: int
    name: str
    replaced: str | None


@frozen
class Emptied:
    """The product left its slot: changed, dropped or cleared."""

    slot: int
    name: str


CacheEvent = Filled | Emptied


@define
class Counters:
    hits: int = 0
    misses: int = 0
    evictions: int = 0


@frozen
class Entry:
    product: Product
    asof: Position
    slot: int


def _ignore(event: CacheEvent) -> None:
    """Nobody wants to know."""


class Cache:
    """At most `capacity` products (0: off) and `max_floors` floors; `on_event` hears of every slot that
    changes.

    Invariants: entries + free slots = capacity; no floor is above `highest`; every position kept is of
    one generation."""

    def __init__(self, capacity: int, *, max_floors: int = 10_000, on_event: Callable[[CacheEvent], None] = _ignore) -> None:
        if capacity < 0 or max_floors < 1:
            raise ValueError("the capacity must be 0 or more, and there must be room for a floor")
        self.capacity = capacity
        self.counters = Counters()
        self.highest = ORIGIN
        self.floor_all = ORIGIN
        self._max_floors = max_floors
        self._on_event = on_event
        self.lease = -math.inf
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._floors: OrderedDict[str, Position] = OrderedDict()
        self._free = list(range(capacity - 1, -1, -1))

    # Reading

    def get(self, name: str, now: float, at_least: Position = ORIGIN) -> Entry | None:
        """The entry, where it may be served to a reader who has seen `at_least`; counts a hit or a miss."""
        entry = self._entries.get(name)
        if entry is not None and entry.asof < self.needed(name):
            self._remove(entry)
            entry = None
        if entry is None or entry.asof < at_least or not self.may_serve(now):
            self.counters.misses += 1
            return None
        self.counters.hits += 1
        self._entries.move_to_end(name)
        return entry

    def needed(self, name: str) -> Position:
        """A reader who comes now must see the product as of this position, or later."""
        return max(self._floors.get(name, ORIGIN), self.floor_all)

    def may_serve(self, now: float) -> bool:
        """Whether there may be hits at all."""
        return self.capacity > 0 and now <= self.lease

    def contents(self) -> dict[int, str]:
        """The names by slot."""
        return {entry.slot: name for name, entry in self._entries.items()}

    # Filling

    def put(self, product: Product, asof: Position) -> bool:
        """Keep what was read at `asof`, unless something newer is known. Whether it was kept."""
        self.hear(asof)
        name = product.name
        if not self.capacity or asof < self.needed(name):
            return False
        old = self._entries.get(name)
        if old is not None and old.asof > asof:
            return False
        slot = old.slot if old is not None else self._slot_for(name)
        self._entries[name] = Entry(product, asof, slot)
        self._entries.move_to_end(name)
        return True

    def _slot_for(self, name: str) -> int:
        replaced = None
        if self._free:
            slot = self._free.pop()
        else:
            replaced, oldest = self._entries.popitem(last=False)
            slot = oldest.slot
            self.counters.evictions += 1
        self._on_event(Filled(slot, name, replaced))
        return slot

    # Forgetting

    def hear(self, position: Position) -> None:
        """This position exists. A new generation means that all that was known of the old one is void."""
        if position.generation > self.highest.generation:
            self.clear()
            self._floors.clear()
            self.floor_all = Position(position.generation, 0)
        self.highest = max(self.highest, position)

    def raise_floor(self, name: str, position: Position) -> bool:
        """The product has changed at `position`. Whether an entry was forgotten for it."""
        self.hear(position)
        if position <= self._floors.get(name, ORIGIN) or position.generation < self.highest.generation:
            return False
        self._floors[name] = position
        self._floors.move_to_end(name)
        if len(self._floors) > self._max_floors:
            _, dropped = self._floors.popitem(last=False)
            self.floor_all = max(self.floor_all, dropped)
        entry = self._entries.get(name)
        if entry is None or entry.asof >= position:
            return False
        self._remove(entry)
        return True

    def raise_all(self, position: Position) -> None:
        """Anything may have changed up to `position`."""
        self.hear(position)
        if position.generation < self.highest.generation:
            return
        self.floor_all = max(self.floor_all, position)
        for entry in [entry for entry in self._entries.values() if entry.asof < self.floor_all]:
            self._remove(entry)

    def drop(self, name: str) -> bool:
        """Forget one entry. Whether there was one."""
        entry = self._entries.get(name)
        if entry is not None:
            self._remove(entry)
        return entry is not None

    def drop_numbered(self, number: int) -> None:
        """Forget the entry of the product with this number, if there is one."""
        for entry in [entry for entry in self._entries.values() if entry.product.number == number]:
            self._remove(entry)

    def clear(self) -> None:
        for entry in list(self._entries.values()):
            self._remove(entry)

    def _remove(self, entry: Entry) -> None:
        del self._entries[entry.product.name]
        self._free.append(entry.slot)
        self._on_event(Emptied(entry.slot, entry.product.name))

    # The lease

    def renew(self, until: float) -> None:
        """Hits are allowed up to this moment, and no longer."""
        self.lease = until

    def suspend(self) -> None:
        """No hits until the lease is renewed."""
        self.lease = -math.inf

    def __len__(self) -> int:
        return len(self._entries)
