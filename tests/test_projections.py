"""The files of the older systems: formats, and files that are kept up to date."""

from __future__ import annotations

import itertools
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.support.replica import FakeReplica, now
from toystore.model import (
    AdjustStock,
    CancelOrder,
    CatalogChange,
    CatalogRow,
    Command,
    Line,
    Order,
    OrderLine,
    OrderStatus,
    PlaceOrder,
    Product,
    Request,
    SetPrice,
    Side,
)
from toystore.orders import projection
from toystore.orders.projection import Projection, Projector
from toystore.projections import FORMATS, ChangeFormat, OrderFormat, ProductFormat

SHOP = (CatalogRow("gamestop", 2000, 1000), CatalogRow("tesla", 18326, 1000), CatalogRow('say "hi", Ünal', 500, 7))


def order(number: int, side: Side, *lines: tuple[str, int], term: int = 1) -> Order:
    bought = tuple(OrderLine(name, quantity, 100) for name, quantity in lines)
    return Order(number, side, bought, OrderStatus.PLACED, 5, 2 * number + 2, term, 2 * number + 2, f"k{number}")


ORDERS = [
    order(0, Side.SELL, ("gamestop", 31)),
    order(1, Side.BUY, ("tesla", 2), ('say "hi", Ünal', 1)),
    order(2, Side.BUY, ("tesla", 5), term=3),
]


def written(name: str) -> bytes:
    format_ = FORMATS[name]
    assert isinstance(format_, OrderFormat)
    return format_.whole([row for one in ORDERS for row in format_.rows(one)])


@pytest.mark.row("F1")
def test_toys_orders_have_no_header_and_crlf() -> None:
    assert written("toys-orders") == '0,gamestop,31\r\n1,tesla,2\r\n1,"say ""hi"", Ünal",1\r\n2,tesla,5\r\n'.encode()


@pytest.mark.row("F2", "T4")
def test_toys_raft_has_index_and_term() -> None:
    lines = written("toys-raft").split(b"\r\n")
    assert lines[0] == b"0,1,gamestop,31"
    assert lines[3] == b"2,3,tesla,5"
    assert [line.split(b",")[0] for line in lines] == [line.split(b",")[0] for line in written("toys-orders").split(b"\r\n")]


@pytest.mark.row("F3")
def test_trader_orders_have_a_header_and_count_from_1() -> None:
    lines = written("trader-orders").decode().split("\r\n")
    assert lines[:3] == ["transaction_number,stockname,ordertype,quantity", "1,gamestop,SELL,31", "2,tesla,BUY,2"]


@pytest.mark.row("F5")
@pytest.mark.fault(3)
def test_bazaar_orders_are_one_json_object() -> None:
    text = written("bazaar-orders").decode()
    assert text.startswith('{"0": {"name": "gamestop", "type": "sell", "quantity": 31}, "1": {"name": "tesla"')
    assert list(json.loads(text)) == ["0", "1", "2"]
    format_ = FORMATS["bazaar-orders"]
    assert isinstance(format_, OrderFormat)
    assert format_.whole([]) == b"{}"


@pytest.mark.row("F5", "C1")
def test_catalogs_are_whole_states() -> None:
    products = [Product("apple", 1, 15259, 990, "", 7, 110), Product("amc", 2, 478, 1000, "", 1, 100)]
    bazaar, toys = FORMATS["bazaar-catalog"], FORMATS["toys-catalog"]
    assert isinstance(bazaar, ProductFormat)
    assert isinstance(toys, ProductFormat)
    assert bazaar.whole(products, "USD") == (
        b'{"apple": {"price": 152.59, "volume": 110, "quantity": 990},'
        b' "amc": {"price": 4.78, "volume": 100, "quantity": 1000}}'
    )
    assert toys.whole(products, "USD") == b"name,price,quantity\r\napple,152.59,990\r\namc,4.78,1000\r\n"


@pytest.mark.row("F4")
def test_books_changes_are_changes_and_trades_in_the_order_of_the_log() -> None:
    format_ = FORMATS["books-changes"]
    assert isinstance(format_, ChangeFormat)
    changes = [
        CatalogChange(5, 0, 5, "set_price", "tesla", 2, "price", "1050", None),
        CatalogChange(9, 0, 5, "adjust_stock", "gamestop", 1, "quantity", "990", -10),
    ]
    numbers = {"gamestop": 1, "tesla": 2, 'say "hi", Ünal': 3}
    assert format_.whole(format_.merged(changes, ORDERS, numbers, "USD")).decode().splitlines() == [
        "query,field,item_number,value",
        "sell,quantity,1,31",
        "buy,quantity,2,2",
        "buy,quantity,3,1",
        "set_price,cost,2,10",
        "buy,quantity,2,5",
        "adjust_stock,quantity,1,-10",
    ]


@pytest.mark.row("F4")
def test_the_database_of_the_books_is_the_same_bytes_for_the_same_books() -> None:
    format_ = FORMATS["books-database"]
    assert isinstance(format_, ProductFormat)
    products = [Product("Xen", 3, 1299, 100, "Graduate_School", 7, 0), Product("RPCs", 4, 5100, 101, "", 1, 0)]
    data = format_.whole(products, "USD")
    assert data == format_.whole(products, "USD")
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(data)
        found = database.execute("SELECT item_number, title, topic, cost, quantity FROM books_1").fetchall()
    assert found == [(3, "Xen", "Graduate_School", 12, 100), (4, "RPCs", "", 51, 101)]


# Files --------------------------------------------------------------------------------------------------------------

_ids = itertools.count()


def carry_out(replica: FakeReplica, *commands: Command) -> None:
    replica.commit(*[Request(f"r{next(_ids)}", command) for command in commands])


def buy(name: str, quantity: int = 1) -> PlaceOrder:
    return PlaceOrder("buy", (Line(name, quantity),), f"k{next(_ids)}")


def project(replica: FakeReplica, folder: Path) -> Projector:
    made = [Projection(replica, name, f"{name}.txt", folder / f"{name}.txt", "USD") for name in FORMATS]
    projector = Projector(replica, made)
    projector.start()
    return projector


def held(projector: Projector) -> dict[str, Any]:
    return {one.format: one for one in now(Deferred.fromCoroutine(projector.all()))}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_file_that_grew_is_the_file_that_is_built_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "PAGE", 3)
    replica = FakeReplica(rows=SHOP)
    growing = project(replica, tmp_path / "growing")
    carry_out(replica, buy("tesla"))
    for step in range(12):
        carry_out(replica, buy("gamestop", step + 1), AdjustStock("tesla", step - 5))
        carry_out(replica, SetPrice("gamestop", 2000 + step), buy("tesla"), CancelOrder(step))
    held(growing)
    at_once = project(replica, tmp_path / "at-once")
    assert {name: one.sha256 for name, one in held(growing).items()} == {
        name: one.sha256 for name, one in held(at_once).items()
    }
    assert files(tmp_path / "growing") == files(tmp_path / "at-once")
    assert len(files(tmp_path / "growing")) == len(FORMATS)


@pytest.mark.row("O13")
@pytest.mark.fault(11)
def test_after_a_restart_a_torn_file_is_whole_again(tmp_path: Path) -> None:
    replica = FakeReplica(rows=SHOP)
    first = project(replica, tmp_path)
    carry_out(replica, buy("tesla"), buy("gamestop"))
    held(first)
    whole = files(tmp_path)
    first.stop()
    (tmp_path / "toys-orders.txt").write_bytes(b"0,te")
    (tmp_path / "bazaar-orders.txt.new").write_bytes(b"{{{")
    held(project(replica, tmp_path))
    assert files(tmp_path) == whole


def test_a_file_of_a_history_that_is_over_is_built_anew(tmp_path: Path) -> None:
    """An operator has accepted a loss: what the file holds beyond that is not what was sold."""
    replica, other = FakeReplica(rows=SHOP), FakeReplica(rows=SHOP)
    projector = project(replica, tmp_path)
    carry_out(replica, buy("tesla"), buy("gamestop"), buy("tesla"))
    held(projector)
    carry_out(other, buy("gamestop", 5))
    replica.storage, replica.generation, replica._applied = other.storage, 1, other._applied
    replica.install_snapshot()
    held(projector)
    assert files(tmp_path)["toys-orders.txt"] == b"0,gamestop,5\r\n"
    carry_out(replica, buy("tesla", 2))
    held(projector)
    assert files(tmp_path)["toys-orders.txt"] == b"0,gamestop,5\r\n1,tesla,2\r\n"


def test_a_projection_is_up_to_date_once_what_was_applied_has_been_seen(tmp_path: Path) -> None:
    replica = FakeReplica(rows=SHOP)
    projector = project(replica, tmp_path)
    carry_out(replica, buy("tesla", 3))
    assert (tmp_path / "toys-orders.txt").read_bytes() == b"0,tesla,3\r\n"
    assert held(projector)["toys-orders"].index == replica.position().index
    carry_out(replica, buy("tesla", 4))
    assert json.loads((tmp_path / "bazaar-orders.txt").read_bytes())["1"]["quantity"] == 4


@pytest.mark.row("F5")
def test_an_order_is_in_the_file_before_it_is_answered(tmp_path: Path) -> None:
    """Also where a catch-up was under way when it came."""
    replica = FakeReplica(rows=SHOP)
    slow: list[Deferred[Any]] = []
    read = replica.read

    def read_later(query: Any) -> Deferred[Any]:
        later: Deferred[Any] = Deferred()
        later.addCallback(lambda _: read(query))
        slow.append(later)
        return later

    replica.read = read_later  # type: ignore[method-assign]
    projector = Projector(replica, [Projection(replica, "toys-orders", "x", tmp_path / "x", "USD")])
    projector.start()
    carry_out(replica, buy("tesla", 3))
    answered = [Deferred.fromCoroutine(projector.written())]
    slow.pop().callback(None)  # this one may have been read before the order
    assert not answered[0].called
    slow.pop().callback(None)
    assert answered[0].called
    assert (tmp_path / "x").read_bytes() == b"0,tesla,3\r\n"


def test_without_files_nobody_waits() -> None:
    now(Deferred.fromCoroutine(Projector(FakeReplica(), ()).written()))


def test_a_file_that_can_not_be_written_is_told_and_tried_again(tmp_path: Path) -> None:
    replica = FakeReplica(rows=SHOP)
    blocked = tmp_path / "toys-orders.txt.new"
    blocked.mkdir()
    projector = Projector(replica, [Projection(replica, "toys-orders", "x", tmp_path / "toys-orders.txt", "USD")])
    projector.start()
    carry_out(replica, buy("tesla"))
    blocked.rmdir()
    carry_out(replica, buy("tesla"))
    assert (tmp_path / "toys-orders.txt").read_bytes() == b"0,tesla,1\r\n1,tesla,1\r\n"
