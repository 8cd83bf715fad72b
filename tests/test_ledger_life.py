"""The ledger, through a long random life beside a model too plain to be wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.dict_view import DictView
from tests.support.ledger_model import NaiveLedger, Said
from toystore.ledger import REMEMBERED
from toystore.model import (
    BOUND,
    AdjustStock,
    CancelOrder,
    CatalogRow,
    Command,
    Done,
    Line,
    LoadCatalog,
    Order,
    OrderStatus,
    Outcome,
    PlaceOrder,
    PutProduct,
    Refused,
    Request,
    RestockEmpty,
    SetPrice,
    Side,
)

NAMES = st.sampled_from(["Fox", "Fox", "Fox", "Tux", "Tux", "Yoyo"])
AMOUNTS = st.integers(0, 6) | st.sampled_from([-1, -5, 0, BOUND // 2, BOUND, BOUND + 1, -BOUND - 1, 10**30])
PRICES = st.sampled_from([0, 0, 1, 2, 3, 1299, BOUND // 3, BOUND, BOUND + 1, -1])
SIDES = st.sampled_from(["buy", "buy", "buy", "sell", "sell", "SELL", ""])
LINES = st.lists(st.tuples(NAMES, AMOUNTS), min_size=0, max_size=3)
FEW = st.integers(0, 12)


class Life(RuleBasedStateMachine):
    """The ledger and the naive model hear the same; they must say and hold the same."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[Command, str, dict[str, Any]]] = []
        self.shop, self.twin, self.naive = DictView(), DictView(), NaiveLedger()
        self.index = self.clock = 0
        self.orders_seen: dict[int, Order] = {}

    def hear(self, command: Command, kind: str, **what: Any) -> None:
        self.heard.append((command, kind, what))
        self._hear(f"r{len(self.heard) - 1}", command, kind, what)

    def _hear(self, request_id: str, command: Command, kind: str, what: dict[str, Any]) -> None:
        self.index += 1
        before = dict(self.shop.products), dict(self.shop.orders)
        repeated = self.shop.remembered(request_id)
        outcome = self.shop.do(Request(request_id, command), self.clock, self.index, term=3)
        assert self.twin.do(Request(request_id, command), self.clock, self.index, term=3) == outcome
        if isinstance(outcome, Refused) or repeated is not None:
            assert (self.shop.products, self.shop.orders) == before
        expected = self.naive.hear(self.index, self.clock, request_id, kind, **what)
        assert said(outcome) == expected
        if isinstance(outcome, Done) and repeated is None:
            assert outcome.index == self.index
            assert all(self.shop.products[product.name] == product for product in outcome.products)
            assert outcome.order is None or self.shop.orders[outcome.order.number] == outcome.order

    @initialize(empty=st.booleans(), price=PRICES, units=AMOUNTS)
    def begin(self, empty: bool, price: int, units: int) -> None:
        self.load([] if empty else [("Fox", price, 3), ("Tux", 1, units)])

    @rule(rows=st.lists(st.tuples(NAMES, PRICES, AMOUNTS), max_size=3))
    def load(self, rows: list[tuple[str, int, int]]) -> None:
        self.hear(LoadCatalog(tuple(CatalogRow(*row) for row in rows)), "load", rows=rows)

    @rule(side=SIDES, lines=LINES, key=FEW)
    def place(self, side: str, lines: list[tuple[str, int]], key: int) -> None:
        command = PlaceOrder(side, tuple(Line(*line) for line in lines), f"k{key}")
        self.hear(command, "place", term=3, side=side, lines=lines, key=f"k{key}")

    @rule(side=st.sampled_from(["buy", "sell"]), name=NAMES, quantity=st.integers(1, 4))
    def place_a_plain_one(self, side: str, name: str, quantity: int) -> None:
        key, lines = f"own-{len(self.heard)}", [(name, quantity)]
        self.hear(PlaceOrder(side, (Line(name, quantity),), key), "place", term=3, side=side, lines=lines, key=key)

    @rule(number=FEW | st.sampled_from([-1, 10**30]))
    def cancel(self, number: int) -> None:
        self.hear(CancelOrder(number), "cancel", number=number)

    @precondition(lambda self: self.naive.orders)
    @rule(data=st.data())
    def cancel_one_that_is_there(self, data: st.DataObject) -> None:
        self.cancel(data.draw(st.integers(0, len(self.naive.orders) - 1)))

    @rule(
        name=NAMES,
        price=st.none() | PRICES,
        topic=st.none() | st.just("t"),
        units=st.none() | AMOUNTS,
        how=FEW,
    )
    def put(self, name: str, price: int | None, topic: str | None, units: int | None, how: int) -> None:
        version = self.naive.version.get(name, 0)
        expected = None if how < 4 else version if how < 9 else version + how - 9
        command = PutProduct(name, price, topic, units, expected)
        self.hear(command, "put", name=name, price=price, topic=topic, units=units, expected=expected)

    @rule(name=NAMES, price=PRICES)
    def reprice(self, name: str, price: int) -> None:
        self.hear(SetPrice(name, price), "reprice", name=name, price=price)

    @rule(name=NAMES, delta=AMOUNTS, negative=st.booleans(), clamp=st.booleans())
    def adjust(self, name: str, delta: int, negative: bool, clamp: bool) -> None:
        delta = -delta if negative else delta
        self.hear(AdjustStock(name, delta, clamp), "adjust", name=name, delta=delta, clamp=clamp)

    @rule(to=AMOUNTS, age=st.sampled_from([0, 0, 1]))
    def restock(self, to: int, age: int) -> None:
        after = self.naive.restocked_at - age
        self.hear(RestockEmpty(to, after), "restock", to=to, after=after)

    @precondition(lambda self: self.heard)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        """The same command under the same request id: nothing new may come of it."""
        number = data.draw(st.integers(0, len(self.heard) - 1))
        self._hear(f"r{number}", *self.heard[number])

    @precondition(lambda self: self.naive.orders)
    @rule(data=st.data(), side=SIDES, more=st.sampled_from([0, 0, 1]))
    def place_again_with_the_same_key(self, data: st.DataObject, side: str, more: int) -> None:
        """By a new request: the same order, or one of another side or quantity."""
        known = data.draw(st.sampled_from(self.naive.orders))
        lines = [(name, units + more) for name, units in known["units"].items()]
        command = PlaceOrder(side, tuple(Line(*line) for line in lines), known["key"])
        self.hear(command, "place", term=3, side=side, lines=lines, key=known["key"])

    @rule(by=st.integers(-500, 1000))
    def time_passes(self, by: int) -> None:
        self.clock += by

    @rule(entries=st.sampled_from([1, REMEMBERED // 2, REMEMBERED - 2, REMEMBERED - 1]))
    def the_log_grows(self, entries: int) -> None:
        self.index += entries

    @invariant()
    def they_hold_the_same(self) -> None:
        products = self.shop.products
        assert {n: p.quantity for n, p in products.items()} == self.naive.stock
        assert {n: p.price for n, p in products.items()} == self.naive.price
        assert {n: p.topic for n, p in products.items()} == self.naive.topic
        assert {n: p.volume for n, p in products.items()} == self.naive.volume
        assert {n: p.version for n, p in products.items()} == self.naive.version
        assert {n: p.number for n, p in products.items()} == self.naive.number
        assert [plain(order) for order in self.shop.orders.values()] == self.naive.orders
        assert (self.shop.at, self.shop.restocked) == (self.naive.time, self.naive.restocked_at)

    @invariant()
    def the_books_balance(self) -> None:
        for name, product in self.shop.products.items():
            traded = sum(
                line.quantity * (1 if order.side is Side.SELL else -1)
                for order in self.shop.orders.values()
                for line in order.lines
                if line.name == name and order.status is OrderStatus.PLACED
            )
            assert product.quantity == self.naive.outside[name] + traded

    @invariant()
    def numbers_keys_and_times_are_in_order(self) -> None:
        orders = list(self.shop.orders.values())
        assert [order.number for order in orders] == list(range(len(orders)))
        assert len({order.key for order in orders}) == len(orders)
        assert [order.at for order in orders] == sorted(order.at for order in orders)
        numbers = {product.number for product in self.shop.products.values()}
        assert len(numbers) == len(self.shop.products)

    @invariant()
    def an_order_only_ever_changes_by_being_cancelled(self) -> None:
        for number, seen in self.orders_seen.items():
            now = self.shop.orders[number]
            assert now == seen or (seen.status, now.status) == (OrderStatus.PLACED, OrderStatus.CANCELLED)
            assert (now.lines, now.key, now.at, now.index) == (seen.lines, seen.key, seen.at, seen.index)
        self.orders_seen = dict(self.shop.orders)

    @invariant()
    def every_integer_is_within_bounds(self) -> None:
        for p in self.shop.products.values():
            assert all(0 <= n <= BOUND for n in (p.number, p.price, p.quantity, p.version, p.volume))
        for o in self.shop.orders.values():
            amounts = [n for line in o.lines for n in (line.quantity, line.unit_price)]
            assert all(0 <= n <= BOUND for n in (o.total, o.at, *amounts))
        for c in self.shop.changes:
            assert abs(c.delta or 0) <= BOUND

    @invariant()
    def two_replicas_are_the_same(self) -> None:
        assert self.twin.digest == self.shop.digest
        assert (self.twin.products, self.twin.orders) == (self.shop.products, self.shop.orders)
        assert self.twin.changes == self.shop.changes


def said(outcome: Outcome) -> Said:
    """An outcome as the naive model says it."""
    if isinstance(outcome, Refused):
        return "refused", outcome.refusal.value
    number = outcome.order.number if outcome.order else None
    return "done", number, outcome.replayed, tuple(product.name for product in outcome.products)


def plain(order: Order) -> dict[str, Any]:
    """An order as the naive model keeps it."""
    return {
        "key": order.key,
        "side": order.side.value,
        "units": {line.name: line.quantity for line in order.lines},
        "prices": {line.name: line.unit_price for line in order.lines},
        "placed": order.status is OrderStatus.PLACED,
        "at": order.at,
        "index": order.index,
        "term": order.term,
        "changed": order.changed,
    }


Life.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestLife = pytest.mark.fault(1, 2, 4, 5)(Life.TestCase)
