"""The ledger, an example for each of its rules: orders, keys, cancelling, time."""

from __future__ import annotations

import pytest

from tests.support.dict_view import DictView
from tests.support.ordering import buy, order, placed, refusal, sell, small_shop, stock
from toystore.ledger import REMEMBERED, Remember, apply
from toystore.model import (
    BOUND,
    AdjustStock,
    CancelOrder,
    CatalogRow,
    Command,
    Done,
    LoadCatalog,
    Order,
    OrderLine,
    OrderStatus,
    PlaceOrder,
    Refusal,
    Request,
    RestockEmpty,
    SetPrice,
    Side,
)


@pytest.fixture
def shop() -> DictView:
    return small_shop()


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
