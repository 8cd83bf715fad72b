"""The dialect of the book store, as its rows show it: what it answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.front import Customer, Front, Got, advance
from toystore.frontend.balance import RoundRobinByKind
from toystore.frontend.dialects import make_dialect
from toystore.model import BOUND, CatalogRow, LoadCatalog, Refused, Request, SetPrice
from toystore.ops.catalog_csv import read_catalog
from toystore.ops.config import default_config_path, load_config
from toystore.replication.interface import Answer

ETC = default_config_path().parent
ROWS = read_catalog(ETC / "books.csv", "USD")
BOOKS = [
    (1, "How to get a good grade in 677 in 20 minutes a day", "Distributed_systems", 50, 100),
    (2, "RPCs for Dummies", "Distributed_systems", 51, 101),
    (3, "Xen and the Art of Surviving Graduate School", "Graduate_School", 12, 100),
    (4, "Cooking for the Impatient Graduate Student", "Graduate_School", 2, 10),
    (5, "How to finish Project 3 on time", "Distributed_systems", 30, 100),
    (6, "Why theory classes are so hard.", "Graduate_School", 10, 100),
    (7, "Spring in the Pioneer Valley", "Graduate_School", 20, 100),
]
COLUMNS = ("item_number", "title", "topic", "cost", "quantity")
FAILED = "error in update operation"
NOT_AN_INTEGER = ["word", "1.0", "", True, None, 1.0, [], {}, BOUND + 1, 10**30, "9" * 30, "١"]  # noqa: RUF001


class Shop:
    def __init__(self, *, cache_size: int = 5, rows: Sequence[CatalogRow] = ROWS) -> None:
        self.front = Front(rows=rows, cache_size=cache_size, policy=RoundRobinByKind())
        dialect = make_dialect("books", self.front.store, "USD", self.front.new_id, {})
        self.customer = Customer(dialect.resource(), self.front.clock)

    def get(self, path: str, **options: Any) -> Any:
        """The answer, once it has been seen to look as every answer does."""
        return said(self.customer.get(path, **options))

    def post(self, path: str, body: Any, **options: Any) -> Any:
        return said(self.customer.post(path, body, **options))

    def stock(self, number: int) -> int:
        return self.front.ledger.product(BOOKS[number - 1][1]).quantity

    def asked(self) -> str:
        """The catalogs that have been asked since the last call, a digit for each request, by catalog."""
        digits = "".join(node.node[-1] * len(node.asked) for node in self.front.catalogs)
        for node in self.front.catalogs:
            node.asked.clear()
        return digits


def said(got: Got) -> Any:
    assert got.status == 200
    assert got.headers["Content-Type"] == "text/html; charset=utf-8"
    assert got.headers["Cache-Control"] == "no-store"
    return got.json


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.mark.row("C3", "Q6")
@pytest.mark.parametrize("path", ["/list", "/list/"])
def test_the_list_has_all_rows_and_columns_in_order(shop: Shop, path: str) -> None:
    rows = [dict(zip(COLUMNS, book, strict=True)) for book in BOOKS]
    got = shop.customer.get(path)
    assert said(got) == rows
    assert got.body == json.dumps(rows, separators=(",", ":")).encode()


@pytest.mark.row("C3")
def test_the_example_config_is_this_store() -> None:
    config = load_config(ETC / "books.toml")
    assert config.cluster.catalog_csv == ETC / "books.csv"
    (books,) = [public for public in config.front(1).publics if public.dialect == "books"]
    assert books.listen == "tcp:35303:interface=127.0.0.1"
    assert [node.url[-5:] for node in config.catalogs] == ["50001", "50002"]
    assert config.restock.every == 0


@pytest.mark.row("C3")
def test_the_books_are_loaded_once(shop: Shop) -> None:
    """Every start of a replica offers them again."""
    shop.get("/buy/4")
    before = shop.get("/list")
    (answer,) = shop.front.ledger.commit(Request("the next start", LoadCatalog(ROWS)))
    assert isinstance(answer, Answer)
    assert isinstance(answer.outcome, Refused)
    assert shop.get("/list") == before
    assert before[3]["quantity"] == 9


@pytest.mark.row("Q6")
def test_a_list_longer_than_a_page_comes_whole(monkeypatch: pytest.MonkeyPatch, shop: Shop) -> None:
    monkeypatch.setattr("toystore.frontend.dialects.books.PAGE", 2)
    assert [row["item_number"] for row in shop.get("/list")] == [1, 2, 3, 4, 5, 6, 7]
    assert len(shop.get("/search/Graduate_School")) == 4


@pytest.mark.row("Q7")
def test_a_search_by_topic(shop: Shop) -> None:
    rows = [{"item_number": number, "title": title} for number, title, topic, *_ in BOOKS if topic == "Distributed_systems"]
    for path in ("/search/Distributed_systems", "/search/Distributed_systems/"):
        assert shop.get(path) == rows
    for path in ("/search/", "/search"):
        got = shop.customer.post(path, {"topic": "Distributed_systems"})
        assert said(got) == rows
        assert got.body.startswith(b'[{"item_number":1,"title":"How')
    assert shop.get("/search/distributed") == shop.post("/search/", {"topic": "Cooking"}) == []


@pytest.mark.row("Q8", "Q9")
@pytest.mark.parametrize("book", BOOKS)
def test_a_book_by_its_number(shop: Shop, book: tuple[int, str, str, int, int]) -> None:
    number, title, _, cost, quantity = book
    wanted = {"title": title, "cost": cost, "quantity": quantity}
    for item in (str(number), number):
        for path in ("/lookup/", "/lookup"):
            assert shop.post(path, {"item_number": item}) == wanted
        for path in ("/get_quantity/", "/get_quantity"):
            assert shop.post(path, {"item_number": item}) == {"quantity": quantity}
    for slash in ("", "/"):
        assert shop.customer.get(f"/lookup/{number}{slash}").body == json.dumps(wanted, separators=(",", ":")).encode()
        assert shop.get(f"/lookup/{number}{slash}") == wanted
        assert shop.get(f"/get_quantity/{number}{slash}") == {"quantity": quantity}
        assert shop.get(f"/get_name/{number}{slash}") == {"title": title}


@pytest.mark.row("Q8", "Q9")
@pytest.mark.parametrize("item", ["0", "8", "-1", "word", "1.0", "9" * 30, str(BOUND), str(BOUND + 1)])
def test_no_such_book_is_null(shop: Shop, item: str) -> None:
    for use in ("lookup", "get_quantity", "get_name"):
        assert shop.get(f"/{use}/{item}") is None
    for use in ("lookup", "get_quantity"):
        assert shop.post(f"/{use}/", {"item_number": item}) is None


@pytest.mark.row("Q7", "Q8", "Q9", "A3", "O12")
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"1"', b"{}", b'{"item_number":"1","item_number":"2"}'])
def test_what_can_not_be_read_is_answered_like_what_is_not_there(shop: Shop, body: bytes) -> None:
    assert shop.post("/search/", body) == []
    assert shop.post("/lookup/", body) is None
    assert shop.post("/get_quantity/", body) is None
    assert shop.post("/update_c/", body) == shop.post("/update_q/", body) == FAILED
    assert shop.post("/buy/", body) == "Item is unavailable."
    assert len(shop.front.ledger.log) == 0


@pytest.mark.row("Q10")
def test_the_home_page(shop: Shop) -> None:
    got = shop.customer.get("/")
    assert (got.status, got.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"Home Page!" in got.body


@pytest.mark.row("Q10")
def test_what_is_labelled_html_can_not_be_taken_for_it() -> None:
    title = "<script>alert('&')"
    shop = Shop(rows=[CatalogRow(title, 100, 1, 1, "<b>&")])
    for path in ("/list", "/lookup/1", "/get_name/1", "/search/%3Cb%3E&"):
        body = shop.customer.get(path).body
        assert not {*b"<>&"} & {*body}
        assert "<script>" in str(json.loads(body))


# Orders -----------------------------------------------------------------------------------------------------


@pytest.mark.row("O12")
def test_a_buy_takes_one(shop: Shop) -> None:
    for count, got in enumerate(
        [
            shop.customer.get("/buy/4"),
            shop.customer.get("/buy/4/"),
            shop.customer.post("/buy/", {"item_number": "4"}),
            shop.customer.post("/buy", {"item_number": 4}),
        ],
        1,
    ):
        assert said(got) == "Record successfully bought"
        assert got.body == b'"Record successfully bought"'
        assert shop.stock(4) == 6, count
    assert [order.lines[0].quantity for order in shop.front.ledger.orders()] == [1, 1, 1, 1]


@pytest.mark.row("O12")
def test_what_is_sold_out_or_unknown_is_unavailable(shop: Shop) -> None:
    assert [shop.get("/buy/4") for _ in range(11)] == ["Record successfully bought"] * 10 + ["Item is unavailable."]
    assert shop.stock(4) == 0
    for item in ("8", "0", "word"):
        assert shop.get(f"/buy/{item}") == shop.post("/buy/", {"item_number": item}) == "Item is unavailable."
    assert len(shop.front.ledger.orders()) == 10


def test_a_buy_with_a_key_is_made_once(shop: Shop) -> None:
    key = {"Idempotency-Key": "mine"}
    got = [shop.customer.get("/buy/1", headers=key) for _ in range(2)]
    assert [said(one) for one in got] == ["Record successfully bought"] * 2
    assert got[1].headers["Idempotent-Replayed"] == "true"
    assert shop.stock(1) == 99


@pytest.mark.fault(12)
@pytest.mark.parametrize("path", ["/buy/1", "/update_c/1/1", "/update_q/1/1"])
def test_head_changes_nothing(shop: Shop, path: str) -> None:
    assert shop.customer.send("HEAD", path).status == 405
    assert shop.front.ledger.log == []


# Changes of the catalog -------------------------------------------------------------------------------------


@pytest.mark.row("A1")
def test_a_new_cost(shop: Shop) -> None:
    assert shop.get("/update_c/1/10") == "Cost of item :1 successfully updated to:10"
    assert shop.get("/lookup/1")["cost"] == 10
    for path, cost in (("/update_c/", "11"), ("/update_c", 12), ("/update_c/", "0")):
        assert shop.post(path, {"item_number": "1", "cost": cost}) == f"Cost of item :1 successfully updated to:{cost}"
        assert shop.get("/lookup/1")["cost"] == int(cost)
    assert shop.get("/update_c/1/7/") == "Cost of item :1 successfully updated to:7"
    assert shop.front.ledger.product(BOOKS[0][1]).price == 700


def test_a_fraction_of_a_cost_is_cut_off(shop: Shop) -> None:
    shop.front.ledger.commit(Request("from another dialect", SetPrice(BOOKS[0][1], 5099)))
    assert shop.get("/lookup/1")["cost"] == 50


@pytest.mark.row("A2")
def test_a_quantity_moves_by_a_delta(shop: Shop) -> None:
    assert shop.get("/update_q/4/20") == "Quantity of record 4 successfully changed by 20"
    assert shop.stock(4) == 30
    assert shop.get("/update_q/4/-5/") == "Quantity of record 4 successfully changed by -5"
    assert shop.stock(4) == 25
    for path, delta in (("/update_q/", "3"), ("/update_q", 4), ("/update_q/", "-2")):
        text = f"Quantity of record 4 successfully changed by {delta}"
        assert shop.post(path, {"item_number": "4", "quantity": delta}) == text
    assert shop.stock(4) == 30
    assert shop.get("/get_quantity/4") == {"quantity": 30}


@pytest.mark.row("A2")
@pytest.mark.fault(4)
def test_a_stock_stops_at_zero(shop: Shop) -> None:
    assert shop.get("/update_q/4/-11") == "Quantity of record 4 successfully changed by -11"
    assert shop.get("/get_quantity/4") == {"quantity": 0}
    assert shop.get("/buy/4") == "Item is unavailable."


@pytest.mark.row("A3")
def test_an_update_that_can_not_be(shop: Shop) -> None:
    for path in ("/update_c/8/1", "/update_c/0/1", "/update_c/1/-1", "/update_c/1/word", "/update_c/word/1"):
        assert shop.get(path) == FAILED
    for path in ("/update_q/8/1", "/update_q/1/1.5", "/update_q/1/word", f"/update_q/1/{BOUND}"):
        assert shop.get(path) == FAILED
    for value in NOT_AN_INTEGER:
        assert shop.post("/update_c/", {"item_number": "1", "cost": value}) == FAILED
        assert shop.post("/update_q/", {"item_number": "1", "quantity": value}) == FAILED
        assert shop.post("/update_q/", {"item_number": value, "quantity": "1"}) == FAILED
    assert shop.post("/update_c/", {"item_number": "1", "cost": BOUND}) == FAILED
    book = shop.front.ledger.product(BOOKS[0][1])
    assert (book.price, book.quantity) == (5000, 100)


# What is nobody's answer ------------------------------------------------------------------------------------


def test_when_no_replica_can_be_reached() -> None:
    shop = Shop()
    for node in shop.front.orders:
        node.unreachable = True
    for path in ("/buy/1", "/update_c/1/1", "/update_q/1/1"):
        got = shop.customer.get(path, seconds=2.5)
        assert (got.status, got.headers["Retry-After"]) == (503, "1")
        assert got.json.startswith("The store can not do this now: ")
        assert got.headers["Content-Type"] == "text/html; charset=utf-8"


def test_when_no_catalog_can_be_reached(shop: Shop) -> None:
    assert shop.get("/buy/1") == "Record successfully bought"
    for catalog in shop.front.catalogs:
        catalog.unreachable = True
    for path in ("/list", "/search/x", "/lookup/2", "/get_quantity/2", "/get_name/2", "/buy/2"):
        got = shop.customer.get(path)
        assert (got.status, type(got.json)) == (503, str)
    assert shop.get("/buy/1") == "Record successfully bought", "its name is known"


def test_a_lost_answer_is_504(shop: Shop) -> None:
    shop.front.orders[2].loses_answers = True
    got = shop.customer.get("/buy/1", seconds=10)
    assert (got.status, type(got.json)) == (504, str)
    shop.front.orders[2].loses_answers = False
    advance(shop.front.clock, 1)
    key = {"Idempotency-Key": got.headers["Idempotency-Key"]}
    assert shop.get("/buy/1", headers=key) == "Record successfully bought"
    assert shop.stock(1) == 99


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/books", 404), ("GET", "/lookup/", 405), ("GET", "/buy", 405), ("POST", "/list", 405), ("GET", "/%FF", 400)],
)
def test_what_is_no_request_of_this_store(shop: Shop, method: str, path: str, status: int) -> None:
    got = shop.customer.send(method, path)
    assert (got.status, type(got.json)) == (status, str)
