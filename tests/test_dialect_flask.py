"""The dialect of the stock service that was written with Flask, as its rows show it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.front import advance
from tests.support.stocks import NOT_WHOLE, StockShop, error, log_lines
from toystore.model import CatalogRow

ROWS = tuple(CatalogRow(name, 1520, 100) for name in ("FrendCo", "Hellow", "MehirCo"))


@pytest.fixture
def shop() -> StockShop:
    return StockShop("flask", ROWS)


@pytest.mark.row("Q5")
def test_a_stock(shop: StockShop) -> None:
    for path in ("/stocks/FrendCo", "/stocks/FrendCo/"):
        got = shop.customer.get(path)
        assert (got.status, got.body) == (200, b'{"data":{"name":"FrendCo","price":15.2,"quantity":100}}')
        assert got.headers["Content-Type"] == "application/json"
    got = shop.customer.get("/stocks/Nobody")
    assert (got.status, got.json) == (404, error(404, "stock not found"))


@pytest.mark.row("O11", "O10")
def test_all_values_of_an_order_are_texts_and_the_first_is_1(shop: StockShop) -> None:
    record = b'{"data":{"transaction_number":"1","name":"MehirCo","quantity":"9","type":"sell"}}'
    got = shop.trade("MehirCo", "sell", 9)
    assert (got.status, got.body) == (200, record)
    for path in ("/orders/1", "/orders/1/"):
        assert shop.customer.get(path).body == record
    assert shop.trade("MehirCo", "buy", 100, path="/orders/").json["data"]["transaction_number"] == "2"
    assert shop.stock("MehirCo") == 9


def test_the_first_number_is_an_option() -> None:
    shop = StockShop("flask", ROWS, first=0)
    assert shop.trade("Hellow", "buy", 1).json["data"]["transaction_number"] == "0"
    assert shop.customer.get("/orders/0").json["data"]["transaction_number"] == "0"


@pytest.mark.parametrize("number", ["0", "2", "-1", "one"])
def test_an_unknown_order(shop: StockShop, number: str) -> None:
    shop.trade("Hellow", "buy", 1)
    got = shop.customer.get(f"/orders/{number}")
    assert (got.status, got.json) == (404, error(404, "transaction not found"))


def test_refusals_are_those_of_the_bazaar(shop: StockShop) -> None:
    assert shop.trade("Nobody", "buy", 1).json == error(404, "stock not found")
    assert shop.trade("Hellow", "BUY", 1).json == error(400, "invalid request type")
    assert shop.trade("Hellow", "buy", 101).json == error(404, "not enough stocks available to buy")


@pytest.mark.fault(5)
@pytest.mark.parametrize("quantity", [0, -5, *NOT_WHOLE])
def test_no_quantity_but_a_positive_whole_number_changes_anything(shop: StockShop, quantity: Any) -> None:
    got = shop.trade("Hellow", "sell", quantity)
    assert (got.status, got.json) == (400, error(404, "invalid number of stocks"))
    assert shop.stock("Hellow") == 100
    assert shop.front.ledger.orders() == []


@pytest.mark.row("K4")
def test_the_cache_tells_what_it_does_and_is_emptied_by_hand(shop: StockShop) -> None:
    with log_lines() as lines:
        shop.customer.get("/stocks/FrendCo")
        assert "Writing FrendCo to the cache" in lines
        shop.customer.get("/stocks/FrendCo")
        assert any("Fetching FrendCo from the memory" in line for line in lines)
        got = shop.customer.send("DELETE", "/invalidate/FrendCo")
    assert (got.status, got.json) == (200, {"data": {}})
    assert "Stock FrendCo is invalidated" in lines
    assert len(shop.front.cache) == 0
    with log_lines() as lines:
        assert shop.customer.send("DELETE", "/invalidate/FrendCo/").status == 200
    assert not any("is invalidated" in line for line in lines), "there was nothing to drop"


@pytest.mark.row("K4")
def test_the_cache_route_of_the_bazaar_is_here_too(shop: StockShop) -> None:
    shop.customer.get("/stocks/FrendCo")
    assert shop.customer.get("/cache/FrendCo").json == {"data": {}}
    assert len(shop.front.cache) == 0


@pytest.mark.row("G5")
def test_a_query_survives_the_leader(shop: StockShop) -> None:
    shop.trade("Hellow", "buy", 10)
    shop.lose_leader()
    got = shop.customer.get("/orders/1", seconds=1)
    assert (got.status, got.json["data"]["quantity"]) == (200, "10")


@pytest.mark.row("E5")
def test_who_leads(shop: StockShop) -> None:
    assert shop.customer.get("/find_leader_1").json == {"data": {"leader": 3}}
    assert shop.customer.get("/leader/1").json == {"data": {"leader": "10.0.0.1:9003"}}
    shop.lose_leader()
    advance(shop.front.clock, 5)
    assert shop.customer.get("/find_leader_1/").json == {"data": {"leader": 2}}
    shop.front.orders[1].unreachable = True
    advance(shop.front.clock, 5)
    assert shop.customer.get("/find_leader_2").json == {"data": {"leader": 0}}, "none yet"


@pytest.mark.row("E5")
@pytest.mark.fault(6)
def test_telling_who_leads_makes_nobody_the_leader(shop: StockShop) -> None:
    assert shop.customer.post("/leader_info_1", {"leader": 3}).json == {"data": {"leader": 3}}
    assert shop.customer.post("/leader_info_1/", {"leader": 2}).json == error(409, "the leader is not 2: it is 3")
    assert shop.customer.get("/find_leader_1").json == {"data": {"leader": 3}}
    for body in ({}, {"leader": "3"}, b"", b"3"):
        assert shop.customer.post("/leader_info_1", body).status == 400
    shop.lose_leader()
    assert shop.customer.post("/leader_info_1", {"leader": 1}).status == 409


@pytest.mark.row("E5")
def test_a_replica_is_pinged(shop: StockShop) -> None:
    for id_ in (1, 3):
        got = shop.customer.get(f"/ping_{id_}")
        assert (got.status, got.json) == (200, {"data": {"id": id_}})
    shop.front.orders[0].unreachable = True
    shop.front.orders[1].hangs = True
    for id_ in (1, 2):
        got = shop.customer.get(f"/ping_{id_}/", seconds=1.5)
        assert (got.status, got.json) == (503, error(503, f"order replica {id_} does not answer"))
    assert shop.customer.get("/ping_9").json == error(404, "there is no order replica 9")
    assert shop.customer.get("/ping_x").status == 404


def test_nobody_leads(shop: StockShop) -> None:
    for node in shop.front.orders:
        node.unreachable = True
    got = shop.trade("Hellow", "buy", 1, seconds=2.5)
    assert (got.status, got.json["error"]["code"], got.headers["Retry-After"]) == (503, 503, "1")


@pytest.mark.fault(12)
def test_every_path_answers_in_json(shop: StockShop) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("GET", "/invalidate/Hellow", 405), ("GET", "/", 404)):
        got = shop.customer.send(method, path)
        assert (got.status, got.json["error"]["code"]) == (status, status)
