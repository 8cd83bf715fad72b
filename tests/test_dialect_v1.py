"""The API of the store."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.front import Customer, Front, Got, advance
from toystore.frontend.dialects import make_dialect
from toystore.model import BOUND
from toystore.web.errors import Unavailable


class Shop:
    def __init__(self) -> None:
        self.front = Front()
        dialect = make_dialect("v1", self.front.store, "USD", self.front.new_id, {})
        self.customer = Customer(dialect.resource(), self.front.clock)

    def order(self, name: Any = "Fox", quantity: Any = 1, side: Any = "buy", **options: Any) -> Got:
        body = {"side": side, "lines": [{"name": name, "quantity": quantity}]}
        return self.customer.post("/v1/orders", body, **options)

    def untouched(self) -> bool:
        return self.front.ledger.orders() == [] and self.front.ledger.product("Fox").quantity == 100


@pytest.fixture
def shop() -> Shop:
    return Shop()


def check_problem(got: Got, status: int, code: str) -> None:
    assert (got.status, got.json["code"], got.json["status"]) == (status, code, status)
    assert got.headers["Content-Type"] == "application/problem+json"
    assert set(got.json) == {"type", "title", "status", "detail", "code", "retryable", "request_id"}
    assert got.json["request_id"].startswith("request-")


# Products


def test_a_product(shop: Shop) -> None:
    got = shop.customer.get("/v1/products/Fox")
    assert (got.status, got.json) == (
        200,
        {
            "data": {
                "name": "Fox",
                "number": 2,
                "price": 1299,
                "currency": "USD",
                "quantity": 100,
                "topic": "",
                "version": 1,
            }
        },
    )
    assert (got.headers["ETag"], got.headers["Toystore-Index"]) == ('"1"', "1")
    assert "Toystore-Age" not in got.headers
    assert shop.customer.get("/v1/products/Fox/").json == got.json
    assert shop.customer.get("/v1/products/%46ox?x=1").json == got.json


@pytest.mark.parametrize("tags", ['"1"', 'W/"1"', '"0", "1"', "*"])
def test_a_product_that_has_not_changed_is_304(shop: Shop, tags: str) -> None:
    got = shop.customer.get("/v1/products/Fox", headers={"If-None-Match": tags})
    assert (got.status, got.body, got.headers["ETag"], got.headers["Toystore-Index"]) == (304, b"", '"1"', "1")
    shop.order()
    assert shop.customer.get("/v1/products/Fox", headers={"If-None-Match": '"1"'}).status == 200


@pytest.mark.parametrize("name", ["Sphinx", "x" * 65, "%00", "a%2Fb", "..", "%F0%9F%A6%8A"])
def test_an_unknown_product(shop: Shop, name: str) -> None:
    got = shop.customer.get(f"/v1/products/{name}") if name != ".." else shop.customer.get("/v1/products/%2E%2E")
    check_problem(got, 404, "unknown_product")


def test_a_path_that_is_not_utf_8(shop: Shop) -> None:
    check_problem(shop.customer.get("/v1/products/%FF"), 400, "malformed")


def test_a_reader_may_name_a_position(shop: Shop) -> None:
    assert shop.customer.get("/v1/products/Fox?min_index=1").status == 200
    check_problem(shop.customer.get("/v1/products/Fox?min_index=9", seconds=3), 503, "catalog_behind")
    check_problem(shop.customer.get("/v1/products/Fox?min_index=x"), 400, "malformed")
    check_problem(shop.customer.get("/v1/products/Fox?min_index=1&min_index=2"), 400, "malformed")


@pytest.mark.row("G5")
def test_a_reader_may_ask_the_leader(shop: Shop) -> None:
    reads = shop.front.orders[2].reads
    assert shop.customer.get("/v1/products/Fox?consistency=linearizable").status == 200
    assert shop.front.orders[2].reads == reads + 1
    check_problem(shop.customer.get("/v1/products/Fox?consistency=eventual"), 400, "malformed")


@pytest.mark.row("Q6")
def test_products_page_by_page(shop: Shop) -> None:
    first = shop.customer.get("/v1/products?limit=2").json
    assert ([row["name"] for row in first["data"]], first["next"]) == (["Tux", "Fox"], "2")
    second = shop.customer.get("/v1/products?limit=2&after=" + first["next"]).json
    assert ([row["name"] for row in second["data"]], second["next"]) == (["Barbie"], None)
    assert "Toystore-Index" in shop.customer.get("/v1/products/").headers


@pytest.mark.row("Q7")
def test_search(shop: Shop) -> None:
    found = shop.customer.get("/v1/products?q=BAR").json["data"]
    assert [row["name"] for row in found] == ["Barbie"]
    assert [row["name"] for row in shop.customer.get("/v1/products?topic=dolls").json["data"]] == ["Barbie"]
    assert shop.customer.get("/v1/products?topic=cars").json == {"data": [], "next": None}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "after=-1", "limit=1&limit=2", "q=%FF", "q=" + "x" * 201]
)
def test_a_query_that_makes_no_sense(shop: Shop, query: str) -> None:
    check_problem(shop.customer.get(f"/v1/products?{query}"), 400, "malformed")


def test_a_marked_answer(shop: Shop) -> None:
    for catalog in shop.front.catalogs:
        catalog.age = None
    shop.front.pass_time(4)
    assert shop.customer.get("/v1/products/Fox").headers["Toystore-Age"] == "unknown"
    missing = shop.customer.get("/v1/products/Sphinx")
    assert (missing.status, missing.headers["Toystore-Age"]) == (404, "unknown")


# Orders


def test_an_order(shop: Shop) -> None:
    got = shop.order(quantity=3)
    data = {
        "number": 0,
        "side": "buy",
        "lines": [{"name": "Fox", "quantity": 3, "unit_price": 1299}],
        "total": 3897,
        "currency": "USD",
        "status": "placed",
        "at": 1000,
    }
    assert (got.status, got.json) == (201, {"data": data})
    assert got.headers["Location"] == "/v1/orders/0"
    assert got.headers["Toystore-Index"] == "2"
    assert got.headers["Idempotency-Key"].startswith("request-")
    found = shop.customer.get("/v1/orders/0")
    assert (found.status, found.json) == (200, {"data": data})
    assert found.headers["Idempotency-Key"] == got.headers["Idempotency-Key"]
    assert shop.customer.post("/v1/orders/", {"side": "buy", "lines": [{"name": "Fox", "quantity": 3}]}).status == 201


def test_several_lines_all_or_nothing(shop: Shop) -> None:
    lines = [{"name": "Fox", "quantity": 1}, {"name": "Barbie", "quantity": 1}]
    check_problem(shop.customer.post("/v1/orders", {"side": "buy", "lines": lines}), 409, "insufficient_stock")
    assert shop.untouched()
    lines = [{"name": "Fox", "quantity": 1}, {"name": "Tux", "quantity": 1}, {"name": "Fox", "quantity": 2}]
    got = shop.customer.post("/v1/orders", {"side": "buy", "lines": lines})
    assert [(line["name"], line["quantity"]) for line in got.json["data"]["lines"]] == [("Fox", 3), ("Tux", 1)]


@pytest.mark.row("O10")
def test_selling_adds(shop: Shop) -> None:
    assert shop.order(quantity=10, side="sell").status == 201
    assert shop.customer.get("/v1/products/Fox").json["data"]["quantity"] == 110


def test_the_same_key_again_is_the_same_order(shop: Shop) -> None:
    key = {"Idempotency-Key": "mine"}
    first, again = shop.order(headers=key), shop.order(headers=key)
    assert (first.status, again.status) == (201, 200)
    assert again.json == first.json
    assert "Idempotent-Replayed" not in first.headers
    assert (again.headers["Idempotent-Replayed"], again.headers["Idempotency-Key"]) == ("true", "mine")
    check_problem(shop.order(quantity=2, headers=key), 422, "key_reused")
    assert len(shop.front.ledger.orders()) == 1


@pytest.mark.parametrize("key", ["", "two words", "x" * 129, "\u00e9"])
def test_what_is_no_key(shop: Shop, key: str) -> None:
    check_problem(shop.order(headers={"Idempotency-Key": key}), 400, "malformed")
    assert shop.untouched()


@pytest.mark.fault(5)
@pytest.mark.parametrize("quantity", [0, -5, 1.0, 1.5, "3", True, False, None, [], {}, 1_000_001, BOUND, 10**40])
def test_a_bad_quantity(shop: Shop, quantity: Any) -> None:
    check_problem(shop.order(quantity=quantity), 422, "bad_quantity")
    assert shop.untouched()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"side":"buy","side":"buy","lines":[]}',
        b'{"side":"buy","lines":NaN}',
        b"\xff",
        b"[" * 100_0 + b"]" * 100_0,
        {"lines": [{"name": "Fox", "quantity": 1}]},
        {"side": "buy"},
        {"side": "buy", "lines": []},
        {"side": "buy", "lines": {}},
        {"side": "buy", "lines": ["Fox"]},
        {"side": "buy", "lines": [{"name": "Fox"}]},
        {"side": "buy", "lines": [{"quantity": 1}]},
        {"side": "buy", "lines": [{"name": 1, "quantity": 1}]},
        {"side": "buy", "lines": [{"name": "", "quantity": 1}]},
        {"side": "buy", "lines": [{"name": "a/b", "quantity": 1}]},
        {"side": "buy", "lines": [{"name": "Fox", "quantity": 1, "price": 0}]},
        {"side": "buy", "lines": [{"name": "Fox", "quantity": 1}], "discount": 1},
        {"side": 1, "lines": [{"name": "Fox", "quantity": 1}]},
        {"side": "buy", "lines": [{"name": "Fox", "quantity": 1}] * 101},
    ],
)
def test_a_malformed_body(shop: Shop, body: Any) -> None:
    check_problem(shop.customer.post("/v1/orders", body), 400, "malformed")
    assert shop.untouched()


def test_other_refusals(shop: Shop) -> None:
    check_problem(shop.order("Sphinx"), 404, "unknown_product")
    check_problem(shop.order(side="lend"), 422, "bad_side")
    check_problem(shop.order(quantity=101), 409, "insufficient_stock")
    assert shop.untouched()


def test_a_body_that_is_too_large(shop: Shop) -> None:
    check_problem(shop.customer.post("/v1/orders", b" " * 65537), 413, "too_large")


def test_503_names_when_to_come_back_and_is_never_carried_out(shop: Shop) -> None:
    for node in shop.front.orders:
        node.unreachable = True
    got = shop.order(seconds=2.5)
    check_problem(got, 503, "unavailable")
    assert got.headers["Retry-After"] == "1"
    assert got.json["retryable"] is True
    for node in shop.front.orders:
        node.unreachable = False
    advance(shop.front.clock, 20)
    assert shop.untouched()


def test_504_names_the_key_to_ask_with(shop: Shop) -> None:
    shop.front.orders[2].loses_answers = True
    got = shop.order(seconds=10)
    check_problem(got, 504, "outcome_unknown")
    assert got.headers["Idempotency-Key"] == got.json["request_id"]
    assert got.json["request_id"] in got.json["detail"]


def test_orders_the_newest_first_page_by_page(shop: Shop) -> None:
    for quantity in (1, 2, 3):
        shop.order(quantity=quantity)
    first = shop.customer.get("/v1/orders?limit=2").json
    assert ([row["number"] for row in first["data"]], first["next"]) == ([2, 1], "1")
    second = shop.customer.get("/v1/orders?limit=2&after=" + first["next"]).json
    assert ([row["number"] for row in second["data"]], second["next"]) == ([0], None)
    assert shop.customer.get("/v1/orders?after=0").json == {"data": [], "next": None}


@pytest.mark.parametrize("number", ["0", "7", "x", "-1", "9" * 5000, str(2**63)])
def test_an_unknown_order(shop: Shop, number: str) -> None:
    check_problem(shop.customer.get(f"/v1/orders/{number}"), 404, "unknown_order")
    check_problem(shop.customer.post(f"/v1/orders/{number}/cancel"), 404, "unknown_order")


def test_cancelling_undoes_once(shop: Shop) -> None:
    shop.order(quantity=3)
    first, again = (shop.customer.post("/v1/orders/0/cancel") for _ in range(2))
    assert (first.status, again.status) == (200, 200)
    assert first.json == again.json
    assert first.json["data"]["status"] == "cancelled"
    assert shop.customer.get("/v1/products/Fox").json["data"]["quantity"] == 100
    check_problem(shop.customer.post("/v1/orders/0/cancel", {"why": 1}), 400, "malformed")


def test_what_can_not_be_undone(shop: Shop) -> None:
    shop.order(quantity=50, side="sell")
    for quantity in (100, 50):
        shop.order(quantity=quantity)
    check_problem(shop.customer.post("/v1/orders/0/cancel"), 409, "insufficient_stock")


# The catalog


@pytest.mark.row("A1")
def test_a_new_product_and_a_new_price(shop: Shop) -> None:
    got = shop.customer.send("PUT", "/v1/products/Sphinx", {"price": 100, "topic": "cats", "quantity": 5})
    assert (got.status, got.headers["ETag"], got.headers["Toystore-Index"]) == (200, '"2"', "2")
    assert (got.json["data"]["number"], got.json["data"]["quantity"]) == (4, 5)
    got = shop.customer.send("PUT", "/v1/products/Sphinx", {"price": 200})
    assert (got.json["data"]["price"], got.json["data"]["topic"]) == (200, "cats")
    assert shop.customer.get("/v1/products/Sphinx").json["data"]["price"] == 200


def test_stock_is_set_only_with_the_version_that_is_expected(shop: Shop) -> None:
    def put(**headers: str) -> Got:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return shop.customer.send("PUT", "/v1/products/Fox", {"price": 1299, "quantity": 7}, headers=named)

    check_problem(put(), 412, "version_mismatch")
    check_problem(put(If_Match='"9"'), 412, "version_mismatch")
    check_problem(put(If_Match="1"), 400, "malformed")
    check_problem(put(If_None_Match="*"), 412, "version_mismatch")
    got = put(If_Match='"1"')
    assert (got.status, got.json["data"]["quantity"]) == (200, 7)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "malformed"),
        ({"price": -1}, 400, "malformed"),
        ({"price": 1.5}, 400, "malformed"),
        ({"price": True}, 400, "malformed"),
        ({"price": BOUND + 1}, 400, "malformed"),
        ({"price": 1, "topic": 1}, 400, "malformed"),
        ({"price": 1, "name": "x"}, 400, "malformed"),
        ({"price": 1, "quantity": -1}, 422, "bad_quantity"),
        ({"price": 1, "quantity": None}, 422, "bad_quantity"),
    ],
)
def test_a_product_that_makes_no_sense(shop: Shop, body: Any, status: int, code: str) -> None:
    check_problem(shop.customer.send("PUT", "/v1/products/Sphinx", body), status, code)


@pytest.mark.row("A2")
def test_adjusting_the_stock(shop: Shop) -> None:
    got = shop.customer.post("/v1/products/Fox/adjustments", {"delta": -30})
    assert (got.status, got.json["data"]["quantity"]) == (200, 70)
    check_problem(shop.customer.post("/v1/products/Fox/adjustments", {"delta": -71}), 409, "insufficient_stock")
    check_problem(shop.customer.post("/v1/products/Fox/adjustments", {"delta": BOUND}), 409, "limit")
    check_problem(shop.customer.post("/v1/products/Fox/adjustments", {"delta": True}), 422, "bad_quantity")
    check_problem(shop.customer.post("/v1/products/Sphinx/adjustments", {"delta": 1}), 404, "unknown_product")


KEYED = {"Idempotency-Key": "restock-7"}


@pytest.mark.row("A2")
def test_an_adjustment_with_a_key_is_made_once(shop: Shop) -> None:
    def adjust(delta: int, **options: Any) -> Got:
        return shop.customer.post("/v1/products/Fox/adjustments", {"delta": delta}, **options)

    first, again = adjust(-30, headers=KEYED), adjust(-30, headers=KEYED)
    assert (again.status, again.json, again.headers["ETag"]) == (200, first.json, first.headers["ETag"])
    assert first.headers["Idempotency-Key"] == again.headers["Idempotency-Key"] == "restock-7"
    assert shop.front.ledger.product("Fox").quantity == 70
    adjust(-30)
    adjust(-1, headers=KEYED)
    assert shop.front.ledger.product("Fox").quantity == 39, "without the key, and another change under it"
    check_problem(adjust(-1, headers={"Idempotency-Key": "a key"}), 400, "malformed")


def test_a_refused_adjustment_is_refused_again(shop: Shop) -> None:
    def adjust(**options: Any) -> Got:
        return shop.customer.post("/v1/products/Fox/adjustments", {"delta": -101}, **options)

    check_problem(adjust(headers=KEYED), 409, "insufficient_stock")
    shop.customer.post("/v1/products/Fox/adjustments", {"delta": 1})
    check_problem(adjust(headers=KEYED), 409, "insufficient_stock")
    assert adjust().status == 200


@pytest.mark.row("A1")
def test_a_put_with_a_key_is_made_once(shop: Shop) -> None:
    def put(price: int, **headers: str) -> Got:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return shop.customer.send("PUT", "/v1/products/Fox", {"price": price}, headers=named)

    first = put(1, Idempotency_Key="k", If_Match='"1"')
    put(2)
    again = put(1, Idempotency_Key="k", If_Match='"1"')
    assert (again.status, again.json) == (200, first.json)
    assert shop.front.ledger.product("Fox").price == 2


@pytest.mark.parametrize("headers", [KEYED, {}])
def test_a_change_whose_answer_was_lost_names_its_key(shop: Shop, headers: dict[str, str]) -> None:
    leader = shop.front.orders[2]
    leader.loses_answers = True
    path, body = "/v1/products/Fox/adjustments", {"delta": -30}
    got = shop.customer.post(path, body, headers=headers, seconds=11)
    check_problem(got, 504, "outcome_unknown")
    assert got.headers.get("Idempotency-Key") == headers.get("Idempotency-Key")
    leader.loses_answers = False
    advance(shop.front.clock, 5)
    assert shop.customer.post(path, body, headers=headers).json["data"]["quantity"] == (70 if headers else 40)


def test_a_503_says_what_the_store_waits_for(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_: object) -> None:
        raise Unavailable(1.0, "waiting for order-2 and order-3")

    monkeypatch.setattr(shop.front.leader, "submit", unavailable)
    got = shop.order()
    check_problem(got, 503, "unavailable")
    assert (got.json["detail"], got.headers["Retry-After"]) == ("waiting for order-2 and order-3", "1")


# HTTP


@pytest.mark.fault(12)
def test_every_path_answers_with_a_problem(shop: Shop) -> None:
    for path in ("/", "/v1", "/v1/events", "/v1/products/Fox/more", "/nothing"):
        check_problem(shop.customer.get(path), 404, "not_found")


@pytest.mark.fault(12)
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/orders/0", {"GET", "HEAD"}),
        ("PUT", "/v1/orders", {"GET", "HEAD", "POST"}),
        ("GET", "/v1/orders/0/cancel", {"POST"}),
        ("POST", "/v1/products/Fox", {"GET", "HEAD", "PUT"}),
    ],
)
def test_a_wrong_method_names_the_right_ones(shop: Shop, method: str, path: str, allowed: set[str]) -> None:
    got = shop.customer.send(method, path)
    check_problem(got, 405, "method_not_allowed")
    assert set(got.headers["Allow"].split(", ")) == allowed


def test_head_is_get_without_the_body(shop: Shop) -> None:
    got = shop.customer.send("HEAD", "/v1/products/Fox")
    assert (got.status, got.body, got.headers["ETag"]) == (200, b"", '"1"')


def test_a_fault_of_ours_is_500_and_told_to_the_log_only(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(shop.front.leader, "submit", broken)
    got = shop.order()
    check_problem(got, 500, "internal")
    assert b"secret" not in got.body
