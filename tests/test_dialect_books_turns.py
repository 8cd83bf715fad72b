"""The dialect of the book store over its two catalogs: whose turn it is, what is remembered, what is told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from tests.support.front import Customer, Front, advance
from tests.support.replica import FakeReplica
from tests.support.services import FakeCatalogService
from tests.test_dialect_books import BOOKS, ROWS, Shop
from toystore import compose
from toystore.frontend.balance import Balance, Policy, RoundRobin, RoundRobinByKind
from toystore.frontend.dialects import DIALECTS, make_dialect
from toystore.frontend.roll_call import RollCall
from toystore.model import CatalogRow, Order
from toystore.ops.config import default_config_path, load_config
from toystore.web.interface import Dated


@pytest.fixture
def shop() -> Shop:
    return Shop()


def look_up(shop: Shop, *numbers: int) -> str:
    """Which catalog was asked for each."""
    shop.asked()
    return "".join(shop.get(f"/lookup/{number}") and shop.asked() for number in numbers)


# Whose turn it is -------------------------------------------------------------------------------------------


@pytest.mark.row("H1")
def test_each_kind_of_request_begins_with_the_second_catalog(shop: Shop) -> None:
    shop.get("/list")
    assert shop.asked() == "2"
    assert look_up(shop, 1, 2, 3, 4) == "2121"
    shop.get("/get_quantity/5")
    assert shop.asked() == "2"
    for topic, catalog in zip(("Graduate_School", "Distributed_systems", "none"), "212", strict=True):
        shop.post("/search/", {"topic": topic})
        assert shop.asked() == catalog
    shop.get("/list")
    assert shop.asked() == "1"
    shop.get("/get_quantity/6")
    assert shop.asked() == "1"


@pytest.mark.row("H1", "E6", "A4")
def test_reads_of_a_kind_alternate() -> None:
    shop = Shop(cache_size=0)
    assert look_up(shop, 1, 1, 1, 2, 2, 1) == "212121"


@pytest.mark.row("H1")
@pytest.mark.parametrize(("dialect", "policy"), [("books", RoundRobinByKind), ("toys", RoundRobin)])
def test_only_a_front_end_that_speaks_books_has_a_turn_for_each_kind(
    dialect: str, policy: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[Policy | None] = []

    class Chosen(Balance):
        def __init__(self, nodes: Sequence[str], policy: Policy | None = None) -> None:
            chosen.append(policy)
            super().__init__(nodes, policy)

    monkeypatch.setattr(compose, "Balance", Chosen)
    compose.front_end(load_config(default_config_path().with_name(f"{dialect}.toml")), 1, Front().clock)
    assert [type(one) for one in chosen] == [policy]


# A catalog that is down -------------------------------------------------------------------------------------


@pytest.mark.row("H3", "E6")
@pytest.mark.parametrize("down", [0, 1])
def test_with_one_catalog_down_the_other_answers_and_the_customer_notices_nothing(down: int) -> None:
    shop = Shop(cache_size=0)
    roll_call = RollCall(shop.front.catalogs, shop.front.balance, shop.front.clock)
    roll_call.start()
    left = str(2 - down)
    shop.front.catalogs[down].unreachable = True
    shop.front.catalogs[down].end_feed()
    advance(shop.front.clock, 1)
    shop.front.catalogs[1 - down].beat()
    for number in range(1, 8):
        assert shop.get(f"/lookup/{number}")["title"] == BOOKS[number - 1][1]
    asked = shop.asked()
    assert (asked.count(left), len(asked)) == (7, 8), "one attempt tells that the other one is down"
    assert shop.get("/update_q/4/1") == "Quantity of record 4 successfully changed by 1"
    assert shop.get("/get_quantity/4") == {"quantity": 11}
    shop.front.catalogs[down].unreachable = False
    shop.front.pass_time(10)
    assert sorted(look_up(shop, 1, 2, 3, 4)) == ["1", "1", "2", "2"]
    roll_call.stop()


@pytest.mark.row("H2")
def test_the_catalogs_that_answer_are_told_every_10_seconds() -> None:
    front = Front()
    roll_call = RollCall(front.catalogs, front.balance, front.clock)

    def told(seconds: float) -> list[str]:
        with capturedLogs() as events:
            advance(front.clock, seconds)
        texts = [formatEvent(event) for event in events]
        return [text for text in texts if "catalog server" in text]

    roll_call.start()
    assert told(9.9) == []
    assert told(0.2) == ["catalog servers active: [True, True]"]
    front.catalogs[1].unreachable = True
    assert told(10) == ["catalog servers active: [True, False]", "Error in connection with 1 catalog server"]
    assert front.balance.live() == ["catalog-1"]
    front.catalogs[0].hangs = True
    assert told(12.1) == ["catalog servers active: [False, False]", "Error in connection with 2 catalog servers"]
    front.catalogs[1].unreachable = front.catalogs[0].hangs = False
    assert told(8) == ["catalog servers active: [True, True]"]
    assert front.balance.live() == ["catalog-1", "catalog-2"]
    front.catalogs[0].hangs = True
    assert told(10) == []
    roll_call.stop()
    assert told(60) == []


def test_an_unforeseen_fault_is_logged_and_does_not_end_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    front = Front()
    roll_call = RollCall(front.catalogs, front.balance, front.clock)
    roll_call.start()
    with monkeypatch.context() as patch, capturedLogs() as events:
        patch.setattr(type(front.catalogs[0]), "products", lambda *_: 1 / 0)
        advance(front.clock, 10)
    assert "the roll call failed" in [formatEvent(event) for event in events]
    with capturedLogs() as events:
        advance(front.clock, 10)
    assert "catalog servers active: [True, True]" in [formatEvent(event) for event in events]
    roll_call.stop()


# What is written, and what is remembered --------------------------------------------------------------------


@pytest.mark.row("A4")
@pytest.mark.fault(4)
def test_a_change_is_on_every_catalog() -> None:
    shop = Shop(cache_size=0)
    for _ in range(3):
        shop.get("/update_q/4/-1")
        shop.get("/buy/4")
        shop.get("/update_c/4/9")
    shop.asked()
    answers = [shop.get("/lookup/4") for _ in range(2)]
    assert shop.asked() == "12"
    assert answers == [{"title": BOOKS[3][1], "cost": 9, "quantity": 4}] * 2


@pytest.mark.row("K6")
def test_what_has_been_looked_up_is_remembered_for_lookup_and_quantity(shop: Shop) -> None:
    shop.get("/lookup/1")
    shop.asked()
    shop.get("/lookup/1")
    shop.get("/get_quantity/1")
    shop.get("/get_name/1")
    assert shop.asked() == ""


@pytest.mark.row("K6")
@pytest.mark.parametrize("change", ["/update_c/1/10", "/update_q/1/-1", "/buy/1"])
def test_no_answer_is_older_than_a_change(shop: Shop, change: str) -> None:
    """A list and a search, too: the search of old was never invalidated."""
    before = (shop.get("/lookup/1"), shop.get("/get_quantity/1"), shop.get("/list"))
    shop.get(change)
    book = shop.front.ledger.product(BOOKS[0][1])
    wanted = {"title": book.name, "cost": book.price // 100, "quantity": book.quantity}
    after = (shop.get("/lookup/1"), shop.get("/get_quantity/1"), shop.get("/list"))
    assert after != before
    assert (after[0], after[1]) == (wanted, {"quantity": book.quantity})
    assert (after[2][0]["cost"], after[2][0]["quantity"]) == (wanted["cost"], wanted["quantity"])


@pytest.mark.row("K6")
def test_an_entry_is_dropped_by_number(shop: Shop) -> None:
    for number in (1, 2):
        shop.get(f"/lookup/{number}")
    for path in ("/invalidate/1", "/invalidate/1/", "/invalidate/7"):
        assert shop.get(path) == f"Invalidated entry for item {path.split('/')[2]}"
    assert shop.get("/invalidate/word") is None
    assert [shop.get(f"/lookup/{number}") and shop.asked() for number in (2,)] == ["12"], "asked at first only"
    assert look_up(shop, 1, 2) == "2"


@pytest.mark.row("F4")
@pytest.mark.parametrize("path", ["/files", "/files/"])
def test_the_write_log(shop: Shop, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toystore.frontend.history.PAGE", 3)
    for change in ("/update_c/1/10", "/buy/4", "/update_q/4/-20", "/buy/4", "/buy/2", "/buy/2", "/buy/2", "/update_q/2/5"):
        shop.get(change)
    got = shop.customer.get(path)
    assert (got.status, got.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    head, *rows = got.body.decode().split("\r\n")
    assert head == "query,field,item_number,value"
    assert rows[-8:] == [
        "set_price,cost,1,10",
        "buy,quantity,4,1",
        "adjust_stock,quantity,4,-9",
        "buy,quantity,2,1",
        "buy,quantity,2,1",
        "buy,quantity,2,1",
        "adjust_stock,quantity,2,5",
        "",
    ]
    for catalog in shop.front.catalogs:
        catalog.unreachable = True
    assert shop.customer.get(path).status == 503


@pytest.mark.row("F4")
def test_the_write_log_ends_at_one_point_in_time(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order that is placed while it is read comes with the changes before it, the next time."""
    whole = FakeCatalogService.orders_from

    def meanwhile(catalog: FakeCatalogService, number: int, limit: int) -> Deferred[Dated[list[Order]]]:
        shop.get("/update_q/4/1")
        shop.get("/buy/4")
        return whole(catalog, number, limit)

    monkeypatch.setattr(FakeCatalogService, "orders_from", meanwhile)
    first = shop.customer.get("/files").body
    monkeypatch.undo()
    assert b"buy" not in first
    assert shop.customer.get("/files").body == first + b"adjust_stock,quantity,4,1\r\nbuy,quantity,4,1\r\n"


@pytest.mark.row("F4")
def test_the_write_log_has_what_the_customer_has_just_done(shop: Shop) -> None:
    for catalog in shop.front.catalogs:
        catalog.lags = True
    shop.get("/buy/4")
    shop.front.clock.callLater(0.5, shop.front.catalogs[0].catch_up)
    got = shop.customer.get("/files", seconds=3)
    assert (got.status, got.body[-18:]) == (200, b"buy,quantity,4,1\r\n")


def add_a_book(shop: Shop) -> None:
    v1 = Customer(make_dialect("v1", shop.front.store, "USD", shop.front.new_id, {}).resource(), shop.front.clock)
    got = v1.send("PUT", "/v1/products/SICP", {"price": 4200, "topic": "Programming", "quantity": 1})
    assert got.status in (200, 201)


def test_a_book_that_is_new_is_found(shop: Shop) -> None:
    assert shop.get("/lookup/8") is None
    add_a_book(shop)
    assert shop.get("/lookup/8") == {"title": "SICP", "cost": 42, "quantity": 1}


def test_an_old_answer_that_there_is_no_such_book_is_none(shop: Shop) -> None:
    """Catalogs that hear no leader tell what they have, with its age; what they have not may be new."""
    for catalog in shop.front.catalogs:
        catalog.lags, catalog.age = True, 10.0
    shop.front.pass_time(5)
    add_a_book(shop)
    got = shop.customer.get("/lookup/1")
    assert (got.json["quantity"], got.headers["Toystore-Age"]) == (100, "10")
    assert shop.customer.get("/lookup/8", seconds=3).status == 503


def test_a_number_means_nothing_in_another_generation(shop: Shop) -> None:
    assert shop.get("/get_name/1") == {"title": BOOKS[0][1]}
    for catalog in shop.front.catalogs:
        catalog.replica = FakeReplica(rows=[CatalogRow("SICP", 4200, 1)])
        catalog.replica.generation = 1
    assert [row["title"] for row in shop.get("/list")] == ["SICP"]
    assert shop.get("/get_name/1") == {"title": "SICP"}


@pytest.mark.fault(12)
@pytest.mark.parametrize("dialect", sorted(set(DIALECTS) - {"books"}))
def test_no_other_dialect_has_a_get_that_changes_something(dialect: str) -> None:
    front = Front(rows=ROWS)
    customer = Customer(make_dialect(dialect, front.store, "USD", front.new_id, {}).resource(), front.clock)
    for path in ("/buy/1", "/update_c/1/1", "/update_q/1/1"):
        assert customer.get(path).status == 404
    assert front.ledger.log == []
