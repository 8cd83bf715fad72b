"""Histories of a store that never was, right by construction: for the checkers, their tests and their benchmark."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any

from attrs import define, evolve, field

from toystore.checking.events import FAIL, INFO, INVOKE, OK
from toystore.checking.final import Final
from toystore.model import CatalogChange, Order, OrderLine, OrderStatus, Product, Side

Write = Callable[..., object]
"""`HistoryWriter.record`, or what takes the same."""

MIX = {"product": 45, "buy": 30, "sell": 8, "cancel": 5, "order": 7, "stock": 5}
PRICE = 100
CATALOG = 2
"""The index of the entry that loads it."""


@define
class Shelf:
    name: str
    number: int
    quantity: int
    version: int = CATALOG


@define
class Shop:
    """One log, carried out entry by entry. `index` is the last one; the shelf at place 3 is called P3."""

    shelves: list[Shelf]
    index: int = CATALOG
    orders: list[Order] = field(factory=list)
    keys: dict[str, int] = field(factory=dict)

    def _move(self, wanted: list[tuple[int, int]]) -> bool:
        """(place of a shelf, units that come); all or nothing."""
        if any(self.shelves[place].quantity + came < 0 for place, came in wanted):
            return False
        for place, came in wanted:
            self.shelves[place].quantity += came
            self.shelves[place].version = self.index
        return True

    def place(self, side: str, lines: list[tuple[int, int]], key: str) -> tuple[Order | None, bool]:
        """The order, and whether it had been placed before; None: too little was there."""
        self.index += 1
        if key in self.keys:
            return self.orders[self.keys[key]], True
        sign = 1 if side == "sell" else -1
        if not self._move([(place, sign * units) for place, units in lines]):
            return None, False
        rows = tuple(OrderLine(self.shelves[place].name, units, PRICE + place) for place, units in lines)
        number, at = len(self.orders), 1_000_000 + self.index
        order = Order(number, Side(side), rows, OrderStatus.PLACED, at, self.index, 1, self.index, key)
        self.keys[key] = number
        self.orders.append(order)
        return order, False

    def cancel(self, number: int) -> str:
        """Why not; "" if it is cancelled now."""
        self.index += 1
        if number >= len(self.orders):
            return "unknown_order"
        order = self.orders[number]
        if order.status is OrderStatus.CANCELLED:
            return ""
        sign = 1 if order.side is Side.BUY else -1
        if not self._move([(int(line.name[1:]), sign * line.quantity) for line in order.lines]):
            return "insufficient_stock"
        self.orders[number] = evolve(order, status=OrderStatus.CANCELLED, changed=self.index)
        return ""


def invent(
    random: Random,
    operations: int,
    write: Write,
    *,
    clients: int = 32,
    products: int = 50,
    stock: int = 100_000,
    unknown: float = 0.004,
    most: int = 5,
) -> Final:
    """Tell `write` of so many operations as they happen. `stock` is there of each product in the beginning, an order takes
    up to `most` units of one or two; `unknown` is the share of operations of which nobody hears (and again that of those
    that are turned away). What the ledger holds at the end."""
    shop = Shop([Shelf(f"P{place}", place + 1, stock) for place in range(products)])
    run = _Run(random, shop, write, operations, clients, unknown, most)
    run.play()
    changes = [
        CatalogChange(CATALOG, place, 1, "load_catalog", shelf.name, shelf.number, "quantity", str(stock), None)
        for place, shelf in enumerate(shop.shelves)
    ]
    rows = [Product(s.name, s.number, PRICE + s.number - 1, s.quantity, "", s.version, 0) for s in shop.shelves]
    return Final(shop.orders, rows, changes)


@define
class _Run:
    """Clients by their numbers, each with a heap entry for what it does next."""

    random: Random
    shop: Shop
    write: Write
    operations: int
    clients: int
    unknown: float
    most: int
    _agenda: list[tuple[int, int, Callable[[], None]]] = field(factory=list)
    _count: int = 0
    _processes: int = 0
    _retries: list[dict[str, Any]] = field(factory=list)
    _cached: dict[tuple[str, int], tuple[int, int, int]] = field(factory=dict)
    now: int = 0

    def play(self) -> None:
        self._processes = self.clients
        for client in range(self.clients):
            self._later(self.random.randrange(1_000_000), self._beginning(client))
        while self._agenda:
            self.now, _, act = heappop(self._agenda)
            act()

    def _later(self, delay: int, act: Callable[[], None]) -> None:
        self._count += 1
        heappush(self._agenda, (self.now + 1 + delay, self._count, act))

    def _beginning(self, process: int) -> Callable[[], None]:
        def begin() -> None:
            if self.operations:
                self.operations -= 1
                self._begin(process)

        return begin

    def _begin(self, process: int) -> None:
        random = self.random
        (f,) = random.choices(list(MIX), list(MIX.values()))
        front = f"front-{process % 2 + 1}"
        lines: list[tuple[int, int]] = []
        if f in ("buy", "sell"):
            places = random.sample(range(len(self.shop.shelves)), min(random.choice((1, 1, 2)), len(self.shop.shelves)))
            lines = [(place, random.randint(1, self.most)) for place in places]
            value = {"key": f"k{self._count}", "lines": [[self.shop.shelves[place].name, n] for place, n in lines]}
            if self._retries and random.random() < 0.5:
                again = self._retries.pop()
                f, value, lines = again["f"], again["value"], again["lines"]
        elif f in ("cancel", "order"):
            value = {"number": max(0, len(self.shop.orders) - random.randint(-1, 20))}
        else:
            lines = [(random.randrange(len(self.shop.shelves)), 0)]
            value = {"name": self.shop.shelves[lines[0][0]].name}
        self.write(self.now, process, INVOKE, f, value, front=front)
        chance = random.random()
        way, back = random.randrange(2_000_000), random.randrange(2_000_000)
        if chance < self.unknown:
            self._lost(process, f, value, lines, front, way, back)
        elif chance < 2 * self.unknown and f in ("buy", "sell", "cancel"):
            self._later(back, lambda: self._end(process, f, {}, front, FAIL, "unavailable"))
        else:
            self._later(way, lambda: self._act(process, f, value, lines, front, back))

    def _lost(
        self, process: int, f: str, value: dict[str, Any], lines: list[tuple[int, int]], front: str, way: int, back: int
    ) -> None:
        """Carried out before or after the client gives up, or never."""
        if f in ("buy", "sell"):
            self._retries.append({"f": f, "value": value, "lines": lines})
            if self.random.random() < 0.6:
                self._later(2 * way, lambda: self.shop.place(f, lines, value["key"]))  # type: ignore[arg-type, return-value]
        self._later(back, lambda: self._end(process, f, {}, front, INFO, "timeout"))

    def _act(self, process: int, f: str, value: dict[str, Any], lines: list[tuple[int, int]], front: str, back: int) -> None:
        told, error = self._answer(f, value, lines, front)
        self._later(back, lambda: self._end(process, f, told, front, FAIL if error else OK, error))

    def _answer(self, f: str, value: dict[str, Any], lines: list[tuple[int, int]], front: str) -> tuple[dict[str, Any], str]:
        shop = self.shop
        if f in ("buy", "sell"):
            order, replayed = shop.place(f, lines, value["key"])
            if order is None:
                return {}, "insufficient_stock"
            rows = [[line.name, line.quantity, line.unit_price] for line in order.lines]
            told = {"number": order.number, "index": shop.index, "lines": rows, "total": order.total, "at": order.at}
            return {**told, "replayed": replayed}, ""
        if f == "cancel":
            return {"index": shop.index + 1}, shop.cancel(value["number"])
        if f == "order":
            if value["number"] >= len(shop.orders):
                return {"status": "unknown"}, ""
            order = shop.orders[value["number"]]
            rows = [[line.name, line.quantity] for line in order.lines]
            told = {"index": shop.index, "status": order.status.value, "side": order.side.value, "key": order.key}
            return {**told, "lines": rows, "total": order.total}, ""
        shelf = shop.shelves[lines[0][0]]
        seen = (shelf.quantity, shelf.version, shop.index)
        if f == "product":
            known = self._cached.get((front, lines[0][0]))
            if known is not None and known[1] == shelf.version:
                seen = known
            self._cached[front, lines[0][0]] = seen
        told = {"name": shelf.name, "quantity": seen[0], "version": seen[1], "index": seen[2]}
        return (told if f == "stock" else {**told, "age": None}), ""

    def _end(self, process: int, f: str, told: dict[str, Any], front: str, type_: str, error: str) -> None:
        self.write(self.now, process, type_, f, told, front=front, error=error)
        if type_ == INFO:
            self._processes += 1
            process = self._processes - 1
        self._later(self.random.randrange(1_000_000), self._beginning(process))
