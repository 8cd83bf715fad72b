"""The dialect of the stock bazaar, as its rows show it."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import ensureDeferred

from tests.support.front import advance
from tests.support.stocks import NOT_WHOLE, StockShop, error
from toystore.model import BOUND, CatalogRow, Line

NAMES = ("apple", "tesla", "ford", "amazon", "nvidia", "intel", "meta", "nike", "amc", "gamestop")
PRICES = (15259, 18326, 1193, 9488, 24063, 2801, 19402, 12613, 478, 2000)
ROWS = tuple(CatalogRow(name, price, 1000) for name, price in zip(NAMES, PRICES, strict=True))


@pytest.fixture
def shop() -> StockShop:
    return StockShop("bazaar", ROWS)


@pytest.mark.row("Q4", "C4")
@pytest.mark.parametrize(("name", "price"), [*zip(NAMES, PRICES, strict=True)])
def test_a_stock(shop: StockShop, name: str, price: int) -> None:
    for path in (f"/stocks/{name}", f"/stocks/{name}/"):
        got = shop.customer.get(path)
        assert got.status == 200
        assert got.body == b'{"data":{"name":"%s","price":%s,"quantity":1000}}' % (name.encode(), repr(price / 100).encode())


@pytest.mark.row("Q4")
@pytest.mark.parametrize("name", ["enron", "x" * 65, "a%0Ab"])
def test_an_unknown_stock(shop: StockShop, name: str) -> None:
    got = shop.customer.get(f"/stocks/{name}")
    assert (got.status, got.json) == (404, error(404, "stock not found"))


@pytest.mark.row("Q4")
@pytest.mark.parametrize(
    ("line", "body", "status"),
    [
        (b"GET /stocks/apple", b"", b"200 OK"),
        (b"GET /stocks/enron", b"", b"404 Not Found"),
        (b"POST /orders", b'{"name":"apple","type":"buy","quantity":1}', b"200 OK"),
        (b"GET /cache/apple", b"", b"200 OK"),
        (b"GET /leader", b"", b"200 OK"),
    ],
)
def test_answers_have_a_length_and_no_type_and_keep_the_connection(
    shop: StockShop, line: bytes, body: bytes, status: bytes
) -> None:
    request = line + b" HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    head, _, answer = shop.raw(request).partition(b"\r\n\r\n")
    first, *headers = head.lower().split(b"\r\n")
    assert first == b"http/1.1 " + status.lower()
    assert b"connection: keep-alive" in headers
    assert b"content-length: %d" % len(answer) in headers
    assert not any(header.startswith(b"content-type") for header in headers)


@pytest.mark.row("Q4")
def test_one_connection_serves_many_requests(shop: StockShop) -> None:
    assert shop.raw(b"GET /stocks/apple HTTP/1.1\r\nHost: x\r\n\r\n" * 3).count(b'"name":"apple"') == 3


def test_a_connection_that_will_be_closed_is_not_said_to_be_kept(shop: StockShop) -> None:
    head = shop.raw(b"GET /stocks/apple HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").lower()
    assert b"connection: close" in head
    assert b"keep-alive" not in head
    assert b"keep-alive" not in shop.raw(b"GET /stocks/apple HTTP/1.0\r\nHost: x\r\n\r\n").lower()


@pytest.mark.row("O8")
def test_trades_are_numbered_from_0(shop: StockShop) -> None:
    got = shop.trade("apple", "buy", 10)
    assert (got.status, got.body) == (200, b'{"data":{"transaction_number":0}}')
    assert shop.trade("apple", "sell", 10, path="/orders/").json == {"data": {"transaction_number": 1}}


def test_the_first_number_is_an_option() -> None:
    shop = StockShop("bazaar", ROWS, first=1)
    assert shop.trade("apple", "buy", 10).json == {"data": {"transaction_number": 1}}
    assert shop.customer.get("/orders/1").json["data"]["number"] == 1
    assert shop.customer.get("/orders/0").status == 404


UNKNOWN = (404, error(404, "stock not found"))
BAD_TYPE = (400, error(400, "invalid request type"))
BAD_NUMBER = (400, error(404, "invalid number of stocks"))
TOO_MANY = (400, error(404, "not enough stocks available to buy"))


@pytest.mark.row("O9")
@pytest.mark.parametrize(
    ("name", "type_", "quantity", "told"),
    [
        ("enron", "word", -1, UNKNOWN),
        ("enron", "word", "ten", UNKNOWN),
        (None, "buy", 1, UNKNOWN),
        ("apple", "word", -1, BAD_TYPE),
        ("apple", "word", "ten", BAD_TYPE),
        ("apple", "BUY", 1, BAD_TYPE),
        ("apple", None, 1, BAD_TYPE),
        ("apple", ["buy"], 1, BAD_TYPE),
        ("apple", "buy", 0, BAD_NUMBER),
        ("apple", "sell", -1, BAD_NUMBER),
        ("apple", "buy", 1001, TOO_MANY),
        ("apple", "buy", BOUND, TOO_MANY),
    ],
)
def test_name_then_type_then_quantity_then_stock(
    shop: StockShop, name: Any, type_: Any, quantity: Any, told: tuple[int, dict[str, Any]]
) -> None:
    got = shop.trade(name, type_, quantity)
    assert (got.status, got.json) == told
    assert shop.trade("apple", "buy", 1000).json == {"data": {"transaction_number": 0}}, "a refused order takes no number"


@pytest.mark.row("O9")
@pytest.mark.fault(5)
@pytest.mark.parametrize("quantity", NOT_WHOLE)
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_no_quantity_but_a_positive_whole_number_changes_anything(shop: StockShop, quantity: Any, side: str) -> None:
    got = shop.trade("apple", side, quantity)
    assert (got.status, got.json) == BAD_NUMBER
    assert shop.stock("apple") == 1000
    assert shop.front.ledger.orders() == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"name":"apple","name":"ford"}'])
def test_what_can_not_be_read(shop: StockShop, body: bytes) -> None:
    got = shop.customer.post("/orders", body)
    assert (got.status, got.json["error"]["code"]) == (400, 400)


@pytest.mark.row("O10", "C4")
def test_selling_adds_and_buying_subtracts_and_both_add_to_the_volume(shop: StockShop) -> None:
    shop.trade("apple", "sell", 10)
    assert shop.customer.get("/stocks/apple").json["data"]["quantity"] == 1010
    shop.trade("tesla", "buy", 10)
    assert shop.customer.get("/stocks/tesla").json["data"]["quantity"] == 990
    shop.trade("apple", "sell", 10**9)
    assert shop.stock("apple") == 1010 + 10**9
    assert (shop.volume("apple"), shop.volume("tesla")) == (10 + 10**9, 10)


def test_a_sale_beyond_what_can_be_counted_is_refused(shop: StockShop) -> None:
    got = shop.trade("apple", "sell", BOUND)
    assert (got.status, got.json["error"]["code"]) == (400, 400)
    assert "would exceed" in got.json["error"]["message"]


@pytest.mark.row("G4")
def test_an_order(shop: StockShop) -> None:
    for name in ("apple", "ford", "nike", "tesla"):
        shop.trade(name, "sell", 10)
    for path in ("/orders/3", "/orders/3/"):
        got = shop.customer.get(path)
        assert (got.status, got.body) == (200, b'{"data":{"number":3,"name":"tesla","type":"sell","quantity":10}}')
    shop.trade("apple", "buy", 1)
    assert shop.customer.get("/orders/4").json["data"]["type"] == "buy"


@pytest.mark.row("G4")
@pytest.mark.parametrize("number", ["1", "-1", "1.0", "one", "%D9%A1", "9" * 5000, str(2**63), str(BOUND), str(BOUND + 1)])
def test_an_unknown_order(shop: StockShop, number: str) -> None:
    shop.trade("apple", "buy", 1)
    got = shop.customer.get(f"/orders/{number}")
    assert (got.status, got.json) == (404, error(404, "transaction not found"))


def test_an_order_of_several_lines_shows_its_first(shop: StockShop) -> None:
    lines = [Line("ford", 2), Line("nike", 3)]
    ensureDeferred(shop.front.store.place("sell", lines, None, "elsewhere"))
    assert shop.customer.get("/orders/0").json["data"] == {"number": 0, "name": "ford", "type": "sell", "quantity": 2}


@pytest.mark.row("G5")
def test_a_query_survives_the_leader(shop: StockShop) -> None:
    shop.trade("apple", "buy", 10)
    shop.lose_leader()
    got = shop.customer.get("/orders/0", seconds=1)
    assert (got.status, got.json["data"]["quantity"]) == (200, 10)


@pytest.mark.row("E4")
def test_the_leader_has_an_address(shop: StockShop) -> None:
    for path in ("/leader", "/leader/", "/leader/1", "/leader/any/thing"):
        assert shop.customer.get(path).body == b'{"data":{"leader":"10.0.0.1:9003"}}'
    shop.lose_leader()
    advance(shop.front.clock, 5)
    assert shop.customer.get("/leader/1").json == {"data": {"leader": "10.0.0.1:9002"}}


@pytest.mark.row("E4")
def test_nobody_leads(shop: StockShop) -> None:
    for node in shop.front.orders:
        node.unreachable = True
    got = shop.trade("apple", "buy", 1, seconds=2.5)
    assert (got.status, got.json["error"]["code"], got.headers["Retry-After"]) == (503, 503, "1")
    got = shop.customer.get("/leader/1")
    assert (got.status, got.json["error"]["code"]) == (503, 503)


def test_a_lost_answer_is_504_and_the_key_tells_what_came_of_it(shop: StockShop) -> None:
    shop.front.orders[2].loses_answers = True
    got = shop.trade("apple", "buy", 1, seconds=10)
    assert (got.status, got.json["error"]["code"]) == (504, 504)
    shop.front.orders[2].loses_answers = False
    advance(shop.front.clock, 1)
    key = {"Idempotency-Key": got.headers["Idempotency-Key"]}
    again = shop.trade("apple", "buy", 1, headers=key)
    assert (again.json, again.headers["Idempotent-Replayed"]) == ({"data": {"transaction_number": 0}}, "true")
    other = shop.trade("apple", "buy", 2, headers=key)
    assert (other.status, other.json["error"]["code"]) == (422, 422)
    assert shop.stock("apple") == 999


@pytest.mark.row("K3")
def test_an_entry_is_dropped_by_hand(shop: StockShop) -> None:
    for path in ("/cache/nike", "/cache/nike/"):
        shop.customer.get("/stocks/nike")
        assert len(shop.front.cache) == 1
        got = shop.customer.get(path)
        assert (got.status, got.body) == (200, b'{"data":{}}')
        assert len(shop.front.cache) == 0
    assert shop.customer.get("/cache/nike").json == {"data": {}}


@pytest.mark.row("K3")
@pytest.mark.parametrize(("size", "kept"), [(1000, 10), (0, 0)])
def test_a_cache_without_replacement_and_one_that_is_off(size: int, kept: int) -> None:
    shop = StockShop("bazaar", ROWS, front={"cache_size": size})
    for name in NAMES * 2:
        assert shop.customer.get(f"/stocks/{name}").status == 200
    assert len(shop.front.cache) == kept
    asked = sum(len(catalog.asked) for catalog in shop.front.catalogs)
    assert asked == (10 if kept else 20)


@pytest.mark.row("K3")
def test_what_the_leader_carries_out_is_pushed(shop: StockShop) -> None:
    shop.customer.get("/stocks/nike")
    shop.sell_elsewhere("nike", 5)
    assert shop.customer.get("/stocks/nike").json["data"]["quantity"] == 1005


@pytest.mark.fault(12)
def test_every_path_answers_in_the_shape_of_the_dialect(shop: StockShop) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("DELETE", "/orders/0", 405), ("GET", "/orders", 405)):
        got = shop.customer.send(method, path)
        assert (got.status, got.json["error"]["code"]) == (status, status)
