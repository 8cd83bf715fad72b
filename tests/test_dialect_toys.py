"""The dialect of the first toy store, as its rows show it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.front import Customer, Front, Got, advance
from toystore.frontend.dialects import DIALECTS, make_dialect
from toystore.model import BOUND, CatalogRow

NAMES = ("Tux", "Whale", "Fox", "Python", "Barbie", "Lego", "Monopoly", "Frisbee", "Marbles", "Giraffe")
PRICES = (1599, 2599, 1299, 2099, 5599, 4599, 1099, 599, 799, 7599)
ROWS = tuple(CatalogRow(name, price, 100) for name, price in zip(NAMES, PRICES, strict=True))


class Shop:
    def __init__(self, **options: Any) -> None:
        self.front = Front(rows=ROWS)
        dialect = make_dialect("toys", self.front.store, "USD", self.front.new_id, options)
        self.customer = Customer(dialect.resource(), self.front.clock)

    def buy(self, body: Any, path: str = "/orders/", **options: Any) -> Got:
        return self.customer.post(path, body, **options)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def error(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


@pytest.mark.row("Q1", "C1")
@pytest.mark.parametrize(("name", "price"), [*zip(NAMES, PRICES, strict=True)])
def test_a_product(shop: Shop, name: str, price: int) -> None:
    for path in (f"/products/{name}", f"/products/{name}/"):
        got = shop.customer.get(path)
        assert got.status == 200
        assert got.body == b'{"data":{"name":"%s","price":%s,"quantity":100}}' % (
            name.encode(),
            repr(price / 100).encode(),
        )


@pytest.mark.row("Q2")
def test_an_unknown_product(shop: Shop) -> None:
    got = shop.customer.get("/products/Sphinx")
    assert (got.status, got.json) == (404, error(404, "product not found"))


@pytest.mark.row("Q2")
def test_what_can_be_no_product(shop: Shop) -> None:
    got = shop.customer.get("/products/" + "x" * 65)
    assert (got.status, got.json) == (400, error(400, "bad request"))


@pytest.mark.row("O1")
def test_orders_are_numbered_from_0_without_gaps(shop: Shop) -> None:
    assert [shop.buy({"name": "Fox", "quantity": 7}).json for _ in range(2)] == [
        {"data": {"order_number": 0}},
        {"data": {"order_number": 1}},
    ]
    assert shop.buy({"name": "Fox", "quantity": 1000}).status == 400
    got = shop.buy({"name": "Fox", "quantity": 7}, path="/orders")
    assert (got.status, got.json) == (200, {"data": {"order_number": 2}})
    assert shop.front.ledger.product("Fox").quantity == 79


@pytest.mark.row("O2")
def test_out_of_stock(shop: Shop) -> None:
    got = shop.buy({"name": "Fox", "quantity": 101})
    assert (got.status, got.json) == (400, error(400, "product is out of stock"))


@pytest.mark.row("O3")
@pytest.mark.parametrize(
    "body",
    [
        {"name": "Sphinx", "quantity": 1},
        {"quantity": 1},
        {"name": "Fox"},
        {"name": "Fox", "quantity": 0},
        {"name": "Fox", "quantity": None},
        {"name": 7, "quantity": 1},
        {"name": "a/b", "quantity": 1},
        {},
    ],
)
def test_unknown_or_missing_name_and_missing_or_0_quantity(shop: Shop, body: dict[str, Any]) -> None:
    got = shop.buy(body)
    assert (got.status, got.json) == (404, error(404, "bad request/product name not found"))


@pytest.mark.row("O3")
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"Fox"', b'{"name":"Fox","name":"Tux","quantity":1}', b"\xff"])
def test_what_can_not_be_read(shop: Shop, body: bytes) -> None:
    got = shop.buy(body)
    assert (got.status, got.json) == (404, error(404, "Bad Request"))


@pytest.mark.fault(5)
@pytest.mark.parametrize("quantity", [-5, -1, 1.5, 0.5, "3", "", True, False, [], {}, BOUND + 1, 10**30])
def test_no_quantity_but_a_positive_whole_number_changes_anything(shop: Shop, quantity: Any) -> None:
    got = shop.buy({"name": "Fox", "quantity": quantity})
    assert (got.status, got.json["error"]["code"]) == (400, 400)
    assert "quantity must be a whole number" in got.json["error"]["message"]
    assert shop.front.ledger.product("Fox").quantity == 100
    assert shop.front.ledger.orders() == []


@pytest.mark.row("O4")
def test_nobody_leads() -> None:
    shop = Shop()
    for node in shop.front.orders:
        node.unreachable = True
    got = shop.buy({"name": "Fox", "quantity": 1}, seconds=2.5)
    assert (got.status, got.json) == (503, error(503, "Service unavailable. No leader found."))
    assert got.headers["Retry-After"] == "1"
    got = shop.customer.get("/orders/0", seconds=2.5)
    assert (got.status, got.json) == (503, error(503, "Order service unavailable. No leader found."))


def test_no_catalog_can_be_reached(shop: Shop) -> None:
    for catalog in shop.front.catalogs:
        catalog.unreachable = True
    got = shop.customer.get("/products/Fox")
    assert (got.status, got.json["error"]["code"]) == (503, 503)


def test_a_lost_answer_is_504_and_the_key_tells_what_came_of_it(shop: Shop) -> None:
    shop.front.orders[2].loses_answers = True
    got = shop.buy({"name": "Fox", "quantity": 1}, seconds=10)
    assert (got.status, got.json["error"]["code"]) == (504, 504)
    shop.front.orders[2].loses_answers = False
    advance(shop.front.clock, 1)
    again = shop.buy({"name": "Fox", "quantity": 1}, headers={"Idempotency-Key": got.headers["Idempotency-Key"]})
    assert again.json == {"data": {"order_number": 0}}
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(shop.front.ledger.orders()) == 1


def test_a_key_is_for_one_order(shop: Shop) -> None:
    key = {"Idempotency-Key": "mine"}
    for _ in range(2):
        got = shop.buy({"name": "Fox", "quantity": 1}, headers=key)
        assert (got.json, got.headers["Idempotency-Key"]) == ({"data": {"order_number": 0}}, "mine")
    got = shop.buy({"name": "Fox", "quantity": 2}, headers=key)
    assert (got.status, got.json["error"]["code"]) == (422, 422)
    got = shop.buy({"name": "Fox", "quantity": 1}, headers={"Idempotency-Key": "no blanks"})
    assert (got.status, got.json["error"]["code"]) == (400, 400)
    assert "Idempotency-Key" in got.json["error"]["message"]


@pytest.mark.row("G1")
def test_an_order(shop: Shop) -> None:
    shop.buy({"name": "Python", "quantity": 6})
    got = shop.customer.get("/orders/0")
    assert got.body == b'{"data":{"number":0,"name":"Python","quantity":6}}'
    assert shop.customer.get("/orders/0/").json == got.json


@pytest.mark.row("G1")
def test_an_order_verbatim() -> None:
    shop = Shop(verbatim=True)
    shop.buy({"name": "Python", "quantity": 6})
    assert shop.customer.get("/orders/0").body == b'{"data":{"data":{"number":"0","name":"Python","quantity":"6"}}}'


@pytest.mark.row("G2")
@pytest.mark.parametrize("number", ["1", "10000000000000", "9" * 5000, "-1", str(2**63), str(BOUND)])
def test_an_unknown_order(shop: Shop, number: str) -> None:
    shop.buy({"name": "Python", "quantity": 6})
    got = shop.customer.get(f"/orders/{number}")
    assert (got.status, got.json) == (404, error(404, "Order not found"))


@pytest.mark.row("G2")
@pytest.mark.parametrize("number", ["abc", "1.0", "0x1", "1_0", "%D9%A1", "+1", "-"])
def test_no_integer(shop: Shop, number: str) -> None:
    got = shop.customer.get(f"/orders/{number}")
    assert (got.status, got.json) == (400, error(400, "Bad request"))


def test_the_first_number_is_an_option() -> None:
    shop = Shop(first=1)
    assert shop.buy({"name": "Python", "quantity": 6}).json == {"data": {"order_number": 1}}
    assert shop.customer.get("/orders/1").json["data"]["number"] == 1
    assert shop.customer.get("/orders/0").status == 404


@pytest.mark.row("K2")
def test_an_entry_is_dropped_by_hand(shop: Shop) -> None:
    shop.customer.get("/products/Whale")
    for path in ("/invalidate/Whale", "/invalidate/Whale/"):
        got = shop.customer.post(path)
        assert (got.status, got.json) == (200, {"data": "Cache successfully invalidated for Whale"})
        assert len(shop.front.cache) == 0


@pytest.mark.row("K1")
def test_five_of_ten_products_are_kept(shop: Shop) -> None:
    for name in NAMES:
        shop.customer.get(f"/products/{name}")
    assert sorted(shop.front.cache.contents().values()) == sorted(NAMES[5:])
    shop.customer.get("/products/Sphinx")
    assert sorted(shop.front.cache.contents().values()) == sorted(NAMES[5:])


def test_an_old_answer_is_marked(shop: Shop) -> None:
    for catalog in shop.front.catalogs:
        catalog.age = 7.2
    shop.front.pass_time(5)
    got = shop.customer.get("/products/Fox")
    assert (got.status, got.headers["Toystore-Age"]) == (200, "8")


@pytest.mark.fault(12)
def test_every_path_answers_in_json(shop: Shop) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("DELETE", "/orders/0", 405), ("GET", "/", 404)):
        got = shop.customer.send(method, path)
        assert (got.status, got.json["error"]["code"]) == (status, status)
        assert got.headers["Content-Type"] == "application/json"


def test_dialects_have_the_names_of_the_config() -> None:
    assert set(DIALECTS) >= {"v1", "toys"}
