"""The ledger: an example for each of its rules, and a long life beside a model too plain to be wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.dict_view import DictView
from tests.support.ledger_model import NaiveLedger, Said
from toystore.ledger import REMEMBERED, Remember, apply
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
    OrderLine,
    OrderStatus,
    Outcome,
    PlaceOrder,
    PutProduct,
    Refusal,
    Refused,
    Request,
    RestockEmpty,
    SetPrice,
    Side,
)

KEYS = iter(range(10**9))


def buy(name: str, quantity: int, key: str | None = None) -> PlaceOrder:
    return order("buy", (name, quantity), key=key)


def sell(name: str, quantity: int, key: str | None = None) -> PlaceOrder:
    return order("sell", (name, quantity), key=key)


def order(side: str, *lines: tuple[str, int], key: str | None = None) -> PlaceOrder:
    return PlaceOrder(side, tuple(Line(*line) for line in lines), f"key-{next(KEYS)}" if key is None else key)


def placed(outcome: Outcome) -> Order:
    assert isinstance(outcome, Done), outcome
    assert outcome.order is not None
    return outcome.order


def refusal(outcome: Outcome) -> Refusal:
    assert isinstance(outcome, Refused), outcome
    assert outcome.detail
    return outcome.refusal


def stock(shop: DictView, name: str) -> int:
    return shop.products[name].quantity


@pytest.fixture
def shop() -> DictView:
    shop = DictView()
    shop(LoadCatalog((CatalogRow("Fox", 1299, 100), CatalogRow("Tux", 1599, 100, topic="penguins"))))
    return shop


# Orders ---------------------------------------------------------------------------------------------------


@pytest.mark.row("O1", "O8")
@pytest.mark.fault(2)
def test_numbers_are_consecutive_from_0_and_a_refusal_takes_none(shop: DictView) -> None:
    assert placed(shop(buy("Fox", 7))).number == 0
    assert refusal(shop(buy("Fox", 101))) is Refusal.INSUFFICIENT_STOCK
    assert placed(shop(buy("Tux", 1))).number == 1
    assert sorted(shop.orders) == [0, 1]


@pytest.mark.fault(1)
def test_stock_and_order_are_one_step(shop: DictView) -> None:
    request = Request("r", buy("Fox", 7))
    outcome, effects = apply(shop, 2, 1, 1000, request)
    assert stock(shop, "Fox") == 100
    assert shop.orders == {}
    for effect in effects:
        shop.carry_out(effect)
    assert stock(shop, "Fox") == 93
    assert shop.orders[0] == placed(outcome)


@pytest.mark.fault(1)
def test_a_command_sent_twice_is_carried_out_once(shop: DictView) -> None:
    request = Request("r", buy("Fox", 7))
    first = shop.do(request, at=1000)
    assert shop.do(request, at=2000) == first
    assert (stock(shop, "Fox"), len(shop.orders), shop.at) == (93, 1, 1000)


def test_a_refusal_is_remembered_too(shop: DictView) -> None:
    request = Request("r", buy("Fox", 101))
    first = shop.do(request)
    shop(AdjustStock("Fox", 100))
    assert shop.do(request) == first
    assert refusal(first) is Refusal.INSUFFICIENT_STOCK


def test_outcomes_are_forgotten_after_a_long_stretch_of_the_log(shop: DictView) -> None:
    request = Request("r", AdjustStock("Fox", 1))
    shop.do(request, index=10)
    shop.do(Request("s", AdjustStock("Fox", 0)), index=10 + REMEMBERED - 1)
    shop.do(request, index=10 + REMEMBERED - 1)
    assert stock(shop, "Fox") == 101
    shop.do(Request("t", AdjustStock("Fox", 0)), index=10 + REMEMBERED)
    shop.do(request, index=10 + REMEMBERED + 1)
    assert stock(shop, "Fox") == 102


def test_an_order_says_what_was_sold_when_and_by_which_entry(shop: DictView) -> None:
    outcome = shop.do(Request("r", order("buy", ("Fox", 2), ("Tux", 1), key="k")), at=1234, index=9, term=4)
    lines = (OrderLine("Fox", 2, 1299), OrderLine("Tux", 1, 1599))
    assert placed(outcome) == Order(0, Side.BUY, lines, OrderStatus.PLACED, 1234, 9, 4, 9, "k")
    assert placed(outcome).total == 2 * 1299 + 1599
    assert outcome.products == (shop.products["Fox"], shop.products["Tux"])
    assert [p.version for p in outcome.products] == [9, 9]


def test_a_later_price_does_not_change_an_order(shop: DictView) -> None:
    shop(buy("Fox", 1))
    shop(SetPrice("Fox", 1))
    assert shop.orders[0].lines[0].unit_price == 1299


@pytest.mark.row("O7", "O9")
@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (order("word", ("Yoyo", -5)), Refusal.UNKNOWN_PRODUCT),
        (order("word", ("Fox", -5)), Refusal.BAD_SIDE),
        (order("BUY", ("Fox", 1)), Refusal.BAD_SIDE),
        (order("buy", ("Fox", -5)), Refusal.BAD_QUANTITY),
        (order("sell", ("Fox", 0)), Refusal.BAD_QUANTITY),
        (order("buy", ("Fox", 10**30)), Refusal.BAD_QUANTITY),
        (order("buy", ("Fox", 101)), Refusal.INSUFFICIENT_STOCK),
        (order("buy", ("Fox", 101), ("Tux", 0)), Refusal.BAD_QUANTITY),
        (order("buy", ("Fox", 0), ("Yoyo", 1)), Refusal.UNKNOWN_PRODUCT),
        (order("buy"), Refusal.MALFORMED),
        (order("buy", ("Fox", 1), key=""), Refusal.MALFORMED),
    ],
)
def test_an_order_is_judged_by_name_then_side_then_quantity_then_stock(
    shop: DictView, wrong: PlaceOrder, expected: Refusal
) -> None:
    before = dict(shop.products)
    assert refusal(shop(wrong)) is expected
    assert (shop.products, shop.orders) == (before, {})


@pytest.mark.fault(5)
@pytest.mark.parametrize("quantity", [-5, -1, 0])
def test_no_order_adds_stock_by_a_negative_quantity(shop: DictView, quantity: int) -> None:
    # Also where the lines of the product add up to something that would do.
    assert refusal(shop(order("buy", ("Fox", quantity)))) is Refusal.BAD_QUANTITY
    assert refusal(shop(order("buy", ("Fox", 10), ("Fox", quantity)))) is Refusal.BAD_QUANTITY
    assert stock(shop, "Fox") == 100


@pytest.mark.fault(4)
def test_lines_of_one_product_are_summed_first(shop: DictView) -> None:
    assert refusal(shop(order("buy", ("Fox", 60), ("Fox", 60)))) is Refusal.INSUFFICIENT_STOCK
    bought = placed(shop(order("buy", ("Fox", 50), ("Tux", 1), ("Fox", 50))))
    assert [(line.name, line.quantity) for line in bought.lines] == [("Fox", 100), ("Tux", 1)]
    assert stock(shop, "Fox") == 0


def test_several_lines_are_all_or_nothing(shop: DictView) -> None:
    assert refusal(shop(order("buy", ("Fox", 1), ("Tux", 101)))) is Refusal.INSUFFICIENT_STOCK
    assert (stock(shop, "Fox"), stock(shop, "Tux")) == (100, 100)


@pytest.mark.row("O10")
def test_a_sell_adds_a_buy_subtracts(shop: DictView) -> None:
    shop(sell("Fox", 10))
    assert stock(shop, "Fox") == 110
    shop(buy("Fox", 20))
    assert stock(shop, "Fox") == 90


@pytest.mark.row("O10")
def test_a_sell_has_no_limit_below_the_bound_of_all_integers(shop: DictView) -> None:
    shop(SetPrice("Fox", 0))
    assert placed(shop(sell("Fox", BOUND - 100))).number == 0
    assert stock(shop, "Fox") == BOUND
    assert refusal(shop(sell("Fox", 1))) is Refusal.LIMIT


def test_the_volume_is_bounded_too(shop: DictView) -> None:
    shop(SetPrice("Fox", 0))
    shop(sell("Fox", BOUND - 100))
    assert refusal(shop(buy("Fox", 101))) is Refusal.LIMIT
    assert placed(shop(buy("Fox", 100))).number == 1
    assert shop.products["Fox"].volume == BOUND


def test_the_total_is_bounded(shop: DictView) -> None:
    shop(SetPrice("Fox", BOUND // 2))
    assert placed(shop(buy("Fox", 2))).total == BOUND
    assert refusal(shop(buy("Fox", 3))) is Refusal.LIMIT


@pytest.mark.fault(4)
def test_stock_is_never_sold_twice(shop: DictView) -> None:
    outcomes = [shop(buy("Fox", 30)) for _ in range(5)]
    assert [isinstance(outcome, Done) for outcome in outcomes] == [True, True, True, False, False]
    assert stock(shop, "Fox") == 10


@pytest.mark.row("C4")
def test_the_volume_grows_by_what_is_traded_either_way(shop: DictView) -> None:
    shop(buy("Fox", 3))
    shop(sell("Fox", 4))
    shop(AdjustStock("Fox", 50))
    assert shop.products["Fox"].volume == 7
    shop(CancelOrder(0))
    assert shop.products["Fox"].volume == 4


# Keys -----------------------------------------------------------------------------------------------------


@pytest.mark.fault(1)
def test_a_new_request_with_a_known_key_gets_that_order(shop: DictView) -> None:
    first = placed(shop(buy("Fox", 7, key="k")))
    shop(SetPrice("Fox", 1))
    again = shop(buy("Fox", 7, key="k"))
    assert again == Done(shop.index, first, (), replayed=True)
    assert (stock(shop, "Fox"), len(shop.orders)) == (93, 1)


@pytest.mark.parametrize(
    "other",
    [
        buy("Fox", 8, key="k"),
        sell("Fox", 7, key="k"),
        buy("Tux", 7, key="k"),
        order("buy", ("Fox", 7), ("Tux", 1), key="k"),
        buy("Yoyo", -1, key="k"),
    ],
)
def test_a_known_key_with_another_body_is_refused(shop: DictView, other: PlaceOrder) -> None:
    shop(buy("Fox", 7, key="k"))
    assert refusal(shop(other)) is Refusal.KEY_REUSED
    assert (stock(shop, "Fox"), len(shop.orders)) == (93, 1)


def test_a_key_is_kept_for_ever(shop: DictView) -> None:
    shop(buy("Fox", 7, key="k"))
    shop.do(Request("later", buy("Fox", 7, key="k")), index=10 * REMEMBERED)
    assert stock(shop, "Fox") == 93


def test_a_refusal_does_not_use_up_the_key(shop: DictView) -> None:
    assert refusal(shop(buy("Fox", 101, key="k"))) is Refusal.INSUFFICIENT_STOCK
    assert placed(shop(buy("Fox", 7, key="k"))).key == "k"


# Cancelling -----------------------------------------------------------------------------------------------


def test_cancelling_undoes_the_movement_once(shop: DictView) -> None:
    shop(order("buy", ("Fox", 7), ("Tux", 2)))
    first = shop(CancelOrder(0))
    assert (stock(shop, "Fox"), stock(shop, "Tux")) == (100, 100)
    assert placed(first).status is OrderStatus.CANCELLED
    assert (placed(first).index, placed(first).changed) == (2, 3)
    again = shop(CancelOrder(0))
    assert again == Done(4, placed(first), (), replayed=True)
    assert stock(shop, "Fox") == 100


def test_cancelling_a_sell_takes_the_units_back_or_is_refused(shop: DictView) -> None:
    shop(sell("Fox", 10))
    shop(buy("Fox", 105))
    assert refusal(shop(CancelOrder(0))) is Refusal.INSUFFICIENT_STOCK
    assert (stock(shop, "Fox"), shop.orders[0].status) == (5, OrderStatus.PLACED)
    shop(CancelOrder(1))
    assert placed(shop(CancelOrder(0))).number == 0
    assert (stock(shop, "Fox"), shop.products["Fox"].volume) == (100, 0)


def test_cancelling_a_buy_never_lifts_the_stock_over_the_bound(shop: DictView) -> None:
    shop(buy("Fox", 10))
    shop(AdjustStock("Fox", BOUND - 90))
    assert refusal(shop(CancelOrder(0))) is Refusal.LIMIT


@pytest.mark.parametrize("number", [-1, 0, 1, 10_000_000_000_000, 10**30])
def test_cancelling_an_unknown_order(shop: DictView, number: int) -> None:
    assert refusal(shop(CancelOrder(number))) is Refusal.UNKNOWN_ORDER


def test_a_cancelled_order_keeps_its_number_and_key(shop: DictView) -> None:
    shop(buy("Fox", 7, key="k"))
    shop(CancelOrder(0))
    assert shop(buy("Fox", 7, key="k")) == Done(4, shop.orders[0], (), replayed=True)
    assert placed(shop(buy("Fox", 7))).number == 1


# Catalog --------------------------------------------------------------------------------------------------


@pytest.mark.row("C6")
def test_a_catalog_is_loaded_once(shop: DictView) -> None:
    assert [(p.name, p.number, p.version, p.volume) for p in shop.products.values()] == [
        ("Fox", 1, 1, 0),
        ("Tux", 2, 1, 0),
    ]
    before = dict(shop.products)
    assert refusal(shop(LoadCatalog((CatalogRow("Yoyo", 1, 1),)))) is Refusal.VERSION_MISMATCH
    assert shop.products == before


def test_numbers_given_and_not_given() -> None:
    shop = DictView()
    shop(LoadCatalog((CatalogRow("a", 1, 1, 7), CatalogRow("b", 1, 1), CatalogRow("c", 1, 1, 2))))
    shop(PutProduct("d", 1))
    assert [p.number for p in shop.products.values()] == [7, 8, 2, 9]


@pytest.mark.parametrize(
    "rows",
    [
        (CatalogRow("a", 1, 1), CatalogRow("a", 1, 1)),
        (CatalogRow("a", 1, 1, 3), CatalogRow("b", 1, 1, 3)),
        (CatalogRow("a", 1, 1, BOUND), CatalogRow("b", 1, 1)),
        (CatalogRow("a", 1, 1, 0),),
        (CatalogRow("a", -1, 1),),
        (CatalogRow("a", 1, BOUND + 1),),
        (CatalogRow("", 1, 1),),
    ],
)
def test_a_catalog_with_a_fault_is_refused_whole(rows: tuple[CatalogRow, ...]) -> None:
    shop = DictView()
    assert refusal(shop(LoadCatalog(rows))) is Refusal.MALFORMED
    assert shop.products == {}


def test_no_product_is_numbered_beyond_the_bound() -> None:
    shop = DictView()
    shop(LoadCatalog((CatalogRow("a", 1, 1, BOUND),)))
    assert refusal(shop(PutProduct("b", 1))) is Refusal.LIMIT


def test_a_new_product(shop: DictView) -> None:
    assert refusal(shop(PutProduct("Yoyo", None))) is Refusal.MALFORMED
    assert refusal(shop(PutProduct("", 1))) is Refusal.MALFORMED
    assert refusal(shop(PutProduct("Yoyo", BOUND + 1))) is Refusal.LIMIT
    assert refusal(shop(PutProduct("Yoyo", 1, expected_version=3))) is Refusal.VERSION_MISMATCH
    shop(PutProduct("Yoyo", 250, "strings", 5, expected_version=0))
    yoyo = shop.products["Yoyo"]
    assert (yoyo.number, yoyo.price, yoyo.topic, yoyo.quantity) == (3, 250, "strings", 5)
    assert refusal(shop(PutProduct("Yoyo", 1, expected_version=0))) is Refusal.VERSION_MISMATCH


@pytest.mark.fault(4)
def test_the_stock_of_a_known_product_is_set_only_with_its_version(shop: DictView) -> None:
    read = shop.products["Tux"]
    shop(buy("Tux", 1))
    assert refusal(shop(PutProduct("Tux", None, quantity=100))) is Refusal.VERSION_MISMATCH
    stale = PutProduct("Tux", None, quantity=100, expected_version=read.version)
    assert refusal(shop(stale)) is Refusal.VERSION_MISMATCH
    shop(PutProduct("Tux", 1, quantity=100, expected_version=shop.products["Tux"].version))
    assert (stock(shop, "Tux"), shop.products["Tux"].price, shop.products["Tux"].topic) == (
        100,
        1,
        "penguins",
    )


def test_a_price(shop: DictView) -> None:
    shop(SetPrice("Fox", 0))
    assert shop.products["Fox"].price == 0
    assert refusal(shop(SetPrice("Fox", -1))) is Refusal.LIMIT
    assert refusal(shop(SetPrice("Yoyo", 1))) is Refusal.UNKNOWN_PRODUCT


@pytest.mark.row("A2")
def test_a_delta_moves_the_stock_and_stops_at_zero_where_asked(shop: DictView) -> None:
    shop(AdjustStock("Fox", 20))
    assert stock(shop, "Fox") == 120
    assert refusal(shop(AdjustStock("Fox", -121))) is Refusal.INSUFFICIENT_STOCK
    assert stock(shop, "Fox") == 120
    shop(AdjustStock("Fox", -121, clamp=True))
    assert stock(shop, "Fox") == 0
    assert shop.changes[-1].delta == -120


@pytest.mark.parametrize("delta", [BOUND, BOUND + 1, -BOUND - 1, 10**30, -(10**30)])
def test_no_delta_leads_beyond_the_bound(shop: DictView, delta: int) -> None:
    for clamp in (False, True):
        assert refusal(shop(AdjustStock("Fox", delta, clamp))) is Refusal.LIMIT
    assert refusal(shop(AdjustStock("Yoyo", delta))) is Refusal.UNKNOWN_PRODUCT


@pytest.mark.row("R1")
def test_a_restock_fills_exactly_those_at_zero(shop: DictView) -> None:
    shop(AdjustStock("Fox", -100))
    shop(AdjustStock("Tux", -99))
    outcome = shop(RestockEmpty(100, 0))
    assert isinstance(outcome, Done)
    assert [p.name for p in outcome.products] == ["Fox"]
    assert (stock(shop, "Fox"), stock(shop, "Tux")) == (100, 1)
    assert shop.products["Fox"].version == outcome.index


@pytest.mark.row("R1")
def test_of_two_restocks_at_once_one_counts(shop: DictView) -> None:
    shop(AdjustStock("Fox", -100))
    assert isinstance(shop(RestockEmpty(100, 0)), Done)
    first = shop.index
    shop(AdjustStock("Fox", -100))
    assert refusal(shop(RestockEmpty(100, 0))) is Refusal.VERSION_MISMATCH
    assert stock(shop, "Fox") == 0
    assert isinstance(shop(RestockEmpty(100, first)), Done)
    assert stock(shop, "Fox") == 100


def test_a_restock_within_bounds(shop: DictView) -> None:
    assert refusal(shop(RestockEmpty(BOUND + 1, 0))) is Refusal.LIMIT
    assert shop.restocked == 0


def test_catalog_changes_are_kept_as_a_history(shop: DictView) -> None:
    del shop.changes[:]
    shop(PutProduct("Yoyo", 250, "strings", 5), at=7)
    shop(AdjustStock("Yoyo", -5), at=8)
    shop(RestockEmpty(9, 0), at=9)
    shop(SetPrice("Yoyo", 251), at=10)
    shop(buy("Yoyo", 1))
    assert [(c.index, c.sequence, c.at, c.command, c.field, c.value, c.delta) for c in shop.changes] == [
        (2, 0, 7, "put_product", "price", "250", None),
        (2, 1, 7, "put_product", "quantity", "5", None),
        (2, 2, 7, "put_product", "topic", "strings", None),
        (3, 0, 8, "adjust_stock", "quantity", "0", -5),
        (4, 0, 9, "restock_empty", "quantity", "9", 9),
        (5, 0, 10, "set_price", "price", "251", None),
    ]
    assert {(c.name, c.number) for c in shop.changes} == {("Yoyo", 3)}


# Time and sameness ----------------------------------------------------------------------------------------


def test_time_never_goes_backwards_nor_beyond_the_bound(shop: DictView) -> None:
    times = [placed(shop(buy("Fox", 1), at=at)).at for at in (500, 400, 600, -1, 10**30, 700)]
    assert times == [500, 500, 600, 600, BOUND, BOUND]


def test_a_request_id_is_remembered_whatever_comes_of_it(shop: DictView) -> None:
    for command in (buy("Fox", 1), buy("Yoyo", 1), CancelOrder(9), RestockEmpty(1, 0)):
        _, effects = apply(shop, 50, 1, 0, Request("r", command))
        assert [effect.request_id for effect in effects if isinstance(effect, Remember)] == ["r"]


@pytest.mark.fault(4)
def test_the_same_log_gives_the_same_digest_and_another_does_not() -> None:
    def life(*commands: Command) -> bytes:
        shop = DictView()
        for command in commands:
            shop(command)
        return shop.digest

    log = (LoadCatalog((CatalogRow("Fox", 1299, 100),)), buy("Fox", 1, "k"), CancelOrder(0))
    assert life(*log) == life(*log)
    assert len({life(*log), life(*log[:2]), life(log[0], buy("Fox", 2, "k"), log[2]), life(*log[1:])}) == 4


# A long random life ---------------------------------------------------------------------------------------

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

    @precondition(lambda self: any(kind == "place" for _, kind, _ in self.heard))
    @rule(data=st.data())
    def place_again_with_the_same_key(self, data: st.DataObject) -> None:
        command, kind, what = data.draw(st.sampled_from([h for h in self.heard if h[1] == "place"]))
        self.hear(command, kind, **what)

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
