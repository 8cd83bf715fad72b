"""What front ends rely on, whoever implements `web.interface`: over HTTP, in memory, and the fakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.support.nodes import CatalogNode, OrderNode, settle
from tests.support.replica import FakeReplica, now
from tests.support.services import FakeCatalogService, FakeLedger, FakeOrderService
from toystore.model import (
    CancelOrder,
    Done,
    Line,
    PlaceOrder,
    Position,
    PutProduct,
    Refusal,
    Refused,
    Request,
    SetPrice,
)
from toystore.replication.interface import Answer, NotLeader, TurnedAway, Unsure
from toystore.web.interface import (
    CatalogBehind,
    CatalogService,
    FeedBeat,
    FeedChange,
    FeedLine,
    FeedReset,
    FeedStart,
    OrderService,
)


@define
class Case:
    """A service, the replica behind it, how to wait, to let seconds pass, to depose it and to set its age."""

    service: Any
    replica: FakeReplica
    wait: Callable[[Deferred[Any]], Any]
    sleep: Callable[[float], None]
    depose: Callable[[str | None], None] = lambda leader: None
    set_age: Callable[[float | None], None] = lambda age: None


def http_orders() -> Case:
    node = OrderNode()
    service: OrderService = node.service

    def depose(leader: str | None) -> None:
        node.replica.leads, node.replica.leader = False, leader

    return Case(service, node.replica, lambda result: settle(node, result), node.clock.advance, depose)


def fake_orders() -> Case:
    clock, ledger = Clock(), FakeLedger()
    fake = FakeOrderService("order-1", ledger, clock, leads=True)
    service: OrderService = fake

    def depose(leader: str | None) -> None:
        fake.leads, fake.hint = False, leader

    return Case(service, ledger.replica, now, clock.advance, depose)


def http_catalog() -> Case:
    node = CatalogNode()
    node.feed.start()
    service: CatalogService = node.service

    def sleep(seconds: float) -> None:
        node.agent.flush()
        node.clock.advance(seconds)
        node.agent.flush()

    def set_age(age: float | None) -> None:
        node.replica.age = age

    return Case(service, node.replica, lambda result: settle(node, result), sleep, set_age=set_age)


def fake_catalog() -> Case:
    clock, ledger = Clock(), FakeLedger()
    fake = FakeCatalogService("catalog-1", ledger, clock)
    service: CatalogService = fake

    def set_age(age: float | None) -> None:
        fake.age = age

    return Case(service, fake.replica, now, clock.advance, set_age=set_age)


@pytest.fixture(params=[http_orders, fake_orders])
def orders(request: pytest.FixtureRequest) -> Case:
    case: Case = request.param()
    return case


@pytest.fixture(params=[http_catalog, fake_catalog])
def catalog(request: pytest.FixtureRequest) -> Case:
    case: Case = request.param()
    return case


def buy(request_id: str, name: str = "Fox", quantity: int = 7) -> Request:
    return Request(request_id, PlaceOrder("buy", (Line(name, quantity),), request_id))


def test_a_batch_has_a_result_for_each_request_in_order(orders: Case) -> None:
    submitted = orders.wait(orders.service.submit([buy("a"), buy("b", "Yeti"), buy("c", quantity=1000)]))
    assert submitted.term == 1
    first, second, third = submitted.results
    assert isinstance(first.outcome, Done)
    assert (first.index, first.outcome.order.number, first.outcome.products[0].quantity) == (2, 0, 93)
    assert isinstance(second.outcome, Refused)
    assert second.outcome.refusal is Refusal.UNKNOWN_PRODUCT
    assert third.outcome.refusal is Refusal.INSUFFICIENT_STOCK


@pytest.mark.fault(1)
def test_a_request_sent_again_is_not_carried_out_again(orders: Case) -> None:
    once = orders.wait(orders.service.submit([buy("a")])).results[0]
    again = orders.wait(orders.service.submit([buy("a")])).results[0]
    assert again.outcome == once.outcome
    assert orders.wait(orders.service.product("Fox")).value.quantity == 93


def test_names_of_all_kinds_survive_the_way(orders: Case) -> None:
    for name in ('"quoted" & spaced?', "crème brûlée ☕", "100%", "a+b;c=d"):
        put = Request(f"put {name}", PutProduct(name, 5))
        assert isinstance(orders.wait(orders.service.submit([put])).results[0].outcome, Done)
        assert orders.wait(orders.service.product(name)).value.name == name


def test_turned_away_and_unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = http_orders()
    results = [
        TurnedAway("too much waits"),
        Unsure("leadership was lost"),
        Answer(9, 2, Refused(Refusal.LIMIT, "no")),
    ]
    pending: Deferred[Any] = Deferred()
    monkeypatch.setattr(orders.replica, "submit", lambda requests: pending)
    pending.callback(results)
    submitted = orders.wait(orders.service.submit([buy("a"), buy("b"), buy("c")]))
    assert list(submitted.results) == results


@pytest.mark.row("O5")
@pytest.mark.parametrize("leader", ["order-3", None])
def test_who_does_not_lead_says_who_does(orders: Case, leader: str | None) -> None:
    orders.depose(leader)
    for call in (
        orders.service.submit([buy("a")]),
        orders.service.submit([]),
        orders.service.order(0),
        orders.service.orders(None, 10),
        orders.service.product("Fox"),
    ):
        with pytest.raises(NotLeader) as caught:
            orders.wait(call)
        assert caught.value.leader == leader
    assert orders.replica.position() == Position(0, 1), "and nothing was done"


@pytest.mark.fault(2, 3)
def test_orders_are_found(orders: Case) -> None:
    for request_id in "abc":
        orders.wait(orders.service.submit([buy(request_id)]))
    orders.wait(orders.service.submit([Request("d", CancelOrder(1))]))
    assert orders.wait(orders.service.order(0)).value.number == 0
    found = orders.wait(orders.service.order(1))
    assert (found.value.status.value, found.value.lines[0].unit_price) == ("cancelled", 1299)
    assert found.asof == Position(0, 5)
    assert orders.wait(orders.service.order(3)).value is None
    assert orders.wait(orders.service.order(10**19)).value is None
    assert [order.number for order in orders.wait(orders.service.orders(None, 2)).value] == [2, 1]
    assert [order.number for order in orders.wait(orders.service.orders(1, 2)).value] == [0]


@pytest.mark.row("Q11")
def test_lookups_carry_position_and_age(catalog: Case) -> None:
    catalog.set_age(2.5)
    found = catalog.wait(catalog.service.product("Fox"))
    assert (found.value.quantity, found.asof, found.age) == (100, Position(0, 1), 2.5)
    assert catalog.wait(catalog.service.product("Yeti")).value is None
    catalog.set_age(None)
    assert catalog.wait(catalog.service.product("Fox")).age is None


def test_lists_and_searches(catalog: Case) -> None:
    def names(*args: Any, **kwargs: Any) -> list[str]:
        return [product.name for product in catalog.wait(catalog.service.products(*args, **kwargs)).value]

    assert names(0, 10) == ["Tux", "Fox", "Barbie"]
    assert names(1, 1) == ["Fox"]
    assert names(0, 10, "X") == ["Tux", "Fox"]
    assert names(0, 10, topic="dolls") == ["Barbie"]
    assert names(0, 10, topic="") == ["Tux", "Fox"]


def test_the_history_comes_in_pages(catalog: Case) -> None:
    for n in range(3):
        catalog.replica.commit(buy(f"r{n}"))
    catalog.replica.commit(Request("up", SetPrice("Fox", 7)))
    orders = catalog.wait(catalog.service.orders_from(1, 1))
    assert ([order.number for order in orders.value], orders.asof, orders.age) == ([1], Position(0, 5), None)
    assert len(catalog.wait(catalog.service.orders_from(1, 9)).value) == 2
    assert catalog.wait(catalog.service.orders_from(3, 9)).value == []
    changes = catalog.wait(catalog.service.changes_from(5, 0, 9))
    assert [(change.command, change.value) for change in changes.value] == [("set_price", "7")]
    assert (changes.asof, changes.age) == (Position(0, 5), None)
    assert catalog.wait(catalog.service.changes_from(5, 1, 9)).value == []


@pytest.mark.parametrize("generation", [0, 3])
def test_a_catalog_waits_for_the_position_asked_for(generation: int) -> None:
    catalog = http_catalog()
    catalog.replica.generation = generation
    wanted = Position(generation, 2)
    calls = [catalog.service.product("Fox", wanted), catalog.service.products(0, 9, at_least=wanted)]
    catalog.sleep(0.9)
    assert not any(call.called for call in calls)
    catalog.replica.commit(buy("a"))
    assert catalog.wait(calls[0]).value.quantity == 93
    assert catalog.wait(calls[1]).asof == wanted


def test_a_catalog_that_is_behind_says_so(catalog: Case) -> None:
    call = catalog.service.product("Fox", Position(0, 2))
    catalog.sleep(1.0)
    with pytest.raises(CatalogBehind):
        catalog.wait(call)


@pytest.mark.fault(7)
def test_the_feed_tells_what_changes_and_when() -> None:
    catalog = http_catalog()
    lines: list[FeedLine] = []
    done = catalog.service.changes(lines.append)
    catalog.sleep(0)
    assert lines == [FeedStart(Position(0, 1)), FeedBeat(0.0)]
    catalog.replica.commit(buy("a"), buy("b", "Tux"), buy("c", "Yeti"))
    catalog.sleep(0)
    assert lines[2:] == [FeedChange(Position(0, 3), ("Fox", "Tux"))]
    catalog.replica.install_snapshot()
    catalog.replica.age = None
    catalog.sleep(1)
    assert lines[3:] == [FeedReset(Position(0, 4)), FeedBeat(None)]
    assert not done.called
    done.addErrback(lambda failure: None)
    done.cancel()
    catalog.replica.commit(buy("d"))
    catalog.sleep(1)
    assert len(lines) == 5, "it ends when it is cancelled"
