"""The ledger, an example for each of its rules: products, prices, stock."""

from __future__ import annotations

import pytest

from tests.support.dict_view import DictView
from tests.support.ordering import buy, refusal, small_shop, stock
from toystore.model import (
    BOUND,
    AdjustStock,
    CancelOrder,
    CatalogRow,
    Done,
    LoadCatalog,
    PutProduct,
    Refusal,
    RestockEmpty,
    SetPrice,
)


@pytest.fixture
def shop() -> DictView:
    return small_shop()


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


@pytest.mark.row("C4")
def test_the_volume_grows_from_what_the_catalog_begins_with() -> None:
    shop = DictView()
    shop(LoadCatalog((CatalogRow("Fox", 1, 1000, volume=100),)))
    shop(buy("Fox", 10))
    assert shop.products["Fox"].volume == 110
    shop(CancelOrder(0))
    assert shop.products["Fox"].volume == 100


@pytest.mark.parametrize(
    "rows",
    [
        (CatalogRow("a", 1, 1), CatalogRow("a", 1, 1)),
        (CatalogRow("a", 1, 1, 3), CatalogRow("b", 1, 1, 3)),
        (CatalogRow("a", 1, 1, BOUND), CatalogRow("b", 1, 1)),
        (CatalogRow("a", 1, 1, 0),),
        (CatalogRow("a", -1, 1),),
        (CatalogRow("a", 1, BOUND + 1),),
        (CatalogRow("a", 1, 1, volume=-1),),
        (CatalogRow("a", 1, 1, volume=BOUND + 1),),
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
