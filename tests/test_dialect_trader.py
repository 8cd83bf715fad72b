"""The dialect of the stock trader, as its rows show it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.front import advance
from tests.support.stocks import NOT_WHOLE, StockShop, error, log_lines
from toystore.model import BOUND, CatalogRow
from toystore.web.interface import FeedChange

ROWS = (
    CatalogRow("stock1", 2578, 17),
    CatalogRow("stock3", 3140, 100),
    CatalogRow("stock5", 6410, 100),
    CatalogRow("stock8", 5555, 100),
)
NO_STOCK = error(404, "Stock not found")


@pytest.fixture
def shop() -> StockShop:
    return StockShop("trader", ROWS)


@pytest.mark.row("Q3")
@pytest.mark.parametrize("path", ["/stocks?stockname=stock1", "/stocks/?stockname=stock1"])
def test_a_stock(shop: StockShop, path: str) -> None:
    got = shop.customer.get(path)
    assert got.status == 200
    assert got.body == b'{"data":{"name":"stock1","price":25.78,"quantity":17}}'
    assert got.headers["Content-Type"] == "application/json"


@pytest.mark.row("Q3")
def test_an_unknown_stock(shop: StockShop) -> None:
    for name in ("stock9", "", "a%2Fb"):
        got = shop.customer.get(f"/stocks?stockname={name}")
        assert (got.status, got.json) == (200, NO_STOCK)


@pytest.mark.parametrize("path", ["/stocks", "/stocks?stockname=a&stockname=b", "/orders", "/stocks?stockname=%FF"])
def test_a_parameter_that_is_missing_or_no_text(shop: StockShop, path: str) -> None:
    got = shop.customer.get(path)
    assert (got.status, got.json["error"]["code"]) == (200, 400)
    assert "the parameter '" in got.json["error"]["message"]


@pytest.mark.row("O6")
def test_trades_are_numbered_from_1(shop: StockShop) -> None:
    got = shop.trade("stock3", "SELL", 25)
    assert (got.status, got.body) == (200, b'{"data":{"transaction_number":1}}')
    assert shop.trade("stock5", "BUY", 100, path="/orders/").json == {"data": {"transaction_number": 2}}


def test_the_first_number_is_an_option() -> None:
    shop = StockShop("trader", ROWS, first=7)
    assert shop.trade("stock3", "SELL", 25).json == {"data": {"transaction_number": 7}}
    assert shop.customer.get("/orders?order-number=7").json["data"]["number"] == 7
    assert shop.customer.get("/orders?order-number=6").json == error(404, "Order not found")


@pytest.mark.row("O7", "C2")
def test_refusals_have_status_200_and_take_no_number(shop: StockShop) -> None:
    assert shop.trade("stock5", "BUY", 100).json == {"data": {"transaction_number": 1}}
    refused = [
        (("stock5", "BUY", 100), error(404, "Trading not permitted due to insufficient volume")),
        (("stock1", "BUY", -5), NO_STOCK),
        (("stock1", "word", 5), NO_STOCK),
        (("stock1", "buy", 5), NO_STOCK),
        (("stock9", "BUY", 5), NO_STOCK),
        (("stock1", "BUY", 0), NO_STOCK),
        ((None, "BUY", 5), NO_STOCK),
        (("stock1", None, 5), NO_STOCK),
    ]
    for wanted, told in refused:
        got = shop.trade(*wanted)
        assert (got.status, got.json) == (200, told), wanted
    assert shop.stock("stock1") == 17
    assert shop.trade("stock8", "BUY", 10).json == {"data": {"transaction_number": 2}}


@pytest.mark.row("O7")
def test_a_refused_trade_invalidates_the_cached_entry(shop: StockShop) -> None:
    shop.customer.get("/stocks?stockname=stock1")
    shop.customer.get("/stocks?stockname=stock3")
    shop.trade("stock1", "BUY", -5)
    assert list(shop.front.cache.contents().values()) == ["stock3"]


@pytest.mark.row("O7")
@pytest.mark.fault(5)
@pytest.mark.parametrize("quantity", NOT_WHOLE)
@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_no_quantity_but_a_positive_whole_number_changes_anything(shop: StockShop, quantity: Any, side: str) -> None:
    got = shop.trade("stock1", side, quantity)
    assert (got.status, got.json) == (200, NO_STOCK)
    assert shop.stock("stock1") == 17
    assert shop.front.ledger.orders() == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"name":"stock1","name":"stock3"}'])
def test_what_can_not_be_read(shop: StockShop, body: bytes) -> None:
    got = shop.customer.post("/orders", body)
    assert (got.status, got.json["error"]["code"]) == (200, 400)


@pytest.mark.row("O10")
def test_selling_adds_and_buying_subtracts(shop: StockShop) -> None:
    shop.trade("stock1", "SELL", 10)
    assert shop.customer.get("/stocks?stockname=stock1").json["data"]["quantity"] == 27
    shop.trade("stock1", "BUY", 20)
    assert shop.customer.get("/stocks?stockname=stock1").json["data"]["quantity"] == 7
    shop.trade("stock1", "SELL", 10**12)
    assert shop.stock("stock1") == 7 + 10**12


def test_a_sale_beyond_what_can_be_counted_is_refused(shop: StockShop) -> None:
    got = shop.trade("stock1", "SELL", BOUND)
    assert (got.status, got.json["error"]["code"]) == (200, 400)
    assert "would exceed" in got.json["error"]["message"]


@pytest.mark.row("G3")
def test_an_order(shop: StockShop) -> None:
    shop.trade("stock1", "BUY", 10)
    for path in ("/orders?order-number=1", "/orders/?order-number=1"):
        got = shop.customer.get(path)
        assert (got.status, got.body) == (200, b'{"data":{"number":1,"name":"stock1","type":"BUY","quantity":10}}')
    shop.trade("stock3", "SELL", 2)
    assert shop.customer.get("/orders?order-number=2").json["data"]["type"] == "SELL"


@pytest.mark.parametrize("number", ["0", "2", "-1", "1.0", "one", "", "9" * 5000, str(2**63), str(BOUND), str(BOUND + 1)])
def test_an_unknown_order(shop: StockShop, number: str) -> None:
    shop.trade("stock1", "BUY", 10)
    got = shop.customer.get(f"/orders?order-number={number}")
    assert (got.status, got.json) == (200, error(404, "Order not found"))


@pytest.mark.row("G5")
def test_a_query_survives_the_leader(shop: StockShop) -> None:
    shop.trade("stock1", "BUY", 10)
    shop.lose_leader()
    got = shop.customer.get("/orders?order-number=1", seconds=1)
    assert (got.status, got.json["data"]["quantity"]) == (200, 10)


def test_nobody_leads(shop: StockShop) -> None:
    for node in shop.front.orders:
        node.unreachable = True
    got = shop.trade("stock1", "BUY", 1, seconds=2.5)
    assert (got.status, got.json["error"]["code"], got.headers["Retry-After"]) == (503, 503, "1")


def test_a_lost_answer_is_504_and_the_key_tells_what_came_of_it(shop: StockShop) -> None:
    shop.front.orders[2].loses_answers = True
    got = shop.trade("stock1", "BUY", 1, seconds=10)
    assert (got.status, got.json["error"]["code"]) == (504, 504)
    shop.front.orders[2].loses_answers = False
    advance(shop.front.clock, 1)
    key = {"Idempotency-Key": got.headers["Idempotency-Key"]}
    again = shop.trade("stock1", "BUY", 1, headers=key)
    assert (again.json, again.headers["Idempotent-Replayed"]) == ({"data": {"transaction_number": 1}}, "true")
    other = shop.trade("stock1", "BUY", 2, headers=key)
    assert (other.status, other.json["error"]["code"]) == (200, 422)
    assert shop.stock("stock1") == 16


@pytest.mark.row("K5")
def test_what_another_front_end_sells_is_pushed_and_logged(shop: StockShop) -> None:
    shop.customer.get("/stocks?stockname=stock1")
    with log_lines() as lines:
        shop.sell_elsewhere("stock1", 5)
    assert "Invalidating stock : stock1 in cache" in lines
    with log_lines() as lines:
        shop.front.ledger.catalogs[0].tell(FeedChange(shop.front.ledger.replica.position(), ("stock3",)))
    assert not any("Invalidating" in line for line in lines), "stock3 was not in the cache"
    assert shop.customer.get("/stocks?stockname=stock1").json["data"]["quantity"] == 22


@pytest.mark.fault(12)
def test_every_path_answers_in_json(shop: StockShop) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("DELETE", "/orders", 405), ("GET", "/", 404)):
        got = shop.customer.send(method, path)
        assert (got.status, got.json["error"]["code"]) == (status, status)
