"""The shopper, in a store that is only pretended, on a clock."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from toystore.shop.connection import Answered
from toystore.shop.crowd import Crowd, NoProducts, product_names
from toystore.shop.dialects import DIALECTS, Ask, BadReply, Promised, Reply
from toystore.shop.shopper import BREATH, VERIFY_ROUNDS, Habits, Shopper
from toystore.shop.tally import Tally, percentile

T = TypeVar("T")
NAMES = ("Tux", "Fox", "Tea & Co")


@define(slots=False)
class Store:
    """Answers both dialects at once. `mood` may spoil an answer: it gets the request and what would be
    right."""

    clock: Clock
    stock: int = 1000
    orders: list[tuple[str, int]] = field(factory=list)
    asked: list[Ask] = field(factory=list)
    mood: Callable[[Ask, Reply], Answered | None] = lambda ask, reply: None
    wait: float = 0.01

    async def send(self, ask: Ask) -> Answered:
        self.asked.append(ask)
        reply = self._answer(ask)
        self.clock.advance(self.wait)
        return self.mood(ask, reply) or Answered(f"{reply.status // 100}xx", self.wait, reply)

    def _answer(self, ask: Ask) -> Reply:
        status, body = self._toys(ask) if not ask.path.startswith("/v1") else self._v1(ask)
        return Reply(status, json.dumps(body).encode())

    def _buy(self, name: str, quantity: int) -> int | None:
        if quantity > self.stock:
            return None
        self.stock -= quantity
        self.orders.append((name, quantity))
        return len(self.orders) - 1

    def _toys(self, ask: Ask) -> tuple[int, Any]:
        if ask.body is not None:
            asked = json.loads(ask.body)
            number = self._buy(asked["name"], asked["quantity"])
            if number is None:
                return 400, {"error": {"code": 400, "message": "product is out of stock"}}
            return 200, {"data": {"order_number": number}}
        if ask.path.startswith("/products/"):
            return 200, {"data": {"name": "?", "price": 1.5, "quantity": self.stock}}
        number = int(ask.path.removeprefix("/orders/"))
        name, quantity = self.orders[number]
        return 200, {"data": {"number": number, "name": name, "quantity": quantity}}

    def _v1(self, ask: Ask) -> tuple[int, Any]:
        if ask.body is not None:
            line = json.loads(ask.body)["lines"][0]
            number = self._buy(line["name"], line["quantity"])
            if number is None:
                return 409, {"code": "insufficient_stock"}
            return 201, {"data": {"number": number}}
        if ask.path.startswith("/v1/products/"):
            return 200, {"data": {"quantity": self.stock}}
        number = int(ask.path.removeprefix("/v1/orders/"))
        name, quantity = self.orders[number]
        return 200, {"data": {"number": number, "lines": [{"name": name, "quantity": quantity}]}}


@define
class Scene:
    clock: Clock
    store: Store
    tally: Tally
    shopper: Shopper


def make_scene(dialect: str = "v1") -> Scene:
    clock, tally = Clock(), Tally()
    store = Store(clock)
    return Scene(clock, store, tally, Shopper(clock, store, DIALECTS[dialect], NAMES, Random(1), tally))


def run(clock: Clock, work: Any) -> Any:
    """What it comes to; time passes as it asks for."""
    deferred: Deferred[Any] = Deferred.fromCoroutine(work)
    found: list[Any] = []
    deferred.addBoth(found.append)
    while not found:
        assert clock.getDelayedCalls(), "it waits for nothing"
        clock.advance(clock.getDelayedCalls()[0].getTime() - clock.seconds())
    if isinstance(found[0], Failure):
        found[0].raiseException()
    return found[0]


@pytest.mark.row("B1")
@pytest.mark.parametrize("dialect", ["v1", "toys"])
def test_every_acknowledged_order_is_asked_for_at_the_end(dialect: str) -> None:
    scene = make_scene(dialect)
    run(scene.clock, scene.shopper.shop(Habits(50, 0.4)))
    bought = len(scene.store.orders)
    assert 10 < bought < 30
    assert [(order.name, order.quantity) for order in scene.shopper.promised] == scene.store.orders
    assert len(scene.store.asked) == 50 + bought
    verdict = run(scene.clock, scene.shopper.verify())
    assert (verdict.verified, verdict.wrong, verdict.unanswered) == (bought, [], [])
    assert scene.tally.total() == len(scene.store.asked) == 50 + 2 * bought


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_the_probability_is_that_of_an_order(probability: float) -> None:
    scene = make_scene()
    run(scene.clock, scene.shopper.shop(Habits(30, probability)))
    assert len(scene.store.orders) == 30 * probability


def test_nothing_is_bought_where_there_is_none() -> None:
    scene = make_scene()
    scene.store.stock = 0
    run(scene.clock, scene.shopper.shop(Habits(30, 1.0)))
    assert len(scene.store.asked) == 30


def test_quantities_keep_to_their_range() -> None:
    scene = make_scene()
    run(scene.clock, scene.shopper.shop(Habits(60, 1.0, (2, 4))))
    assert {quantity for _, quantity in scene.store.orders} == {2, 3, 4}


def test_a_refusal_is_no_promise() -> None:
    scene = make_scene("toys")
    scene.store.stock = 3
    run(scene.clock, scene.shopper.shop(Habits(5, 1.0, (5, 5))))
    assert scene.shopper.promised == []
    assert scene.tally.outcomes["buy"]["4xx"] == 5
    assert run(scene.clock, scene.shopper.verify()).holds


@pytest.mark.parametrize(
    ("store_says", "sentence"),
    [
        (Reply(404, b"{}"), "order 0 was promised, and asking for it gives 404"),
        (Reply(200, b'{"data": {"number": 0, "lines": [{"name": "Fox", "quantity": 99}]}}'), "quantity=99"),
        (Reply(200, b'{"data": {"number": 0, "lines": []}}'), "an order of one line"),
        (Reply(200, b"<html>"), "no JSON"),
    ],
)
def test_a_mismatch_is_told(store_says: Reply, sentence: str) -> None:
    scene = make_scene()
    run(scene.clock, scene.shopper.shop(Habits(1, 1.0)))
    scene.store.mood = lambda ask, reply: Answered(f"{store_says.status // 100}xx", 0.1, store_says)
    verdict = run(scene.clock, scene.shopper.verify())
    assert (verdict.verified, verdict.unanswered, verdict.holds) == (0, [], False)
    assert re.search(sentence, verdict.wrong[0])


def test_an_order_that_can_not_be_asked_for_is_not_wrong_but_unanswered() -> None:
    scene = make_scene()
    run(scene.clock, scene.shopper.shop(Habits(2, 1.0)))
    scene.store.mood = lambda ask, reply: Answered("reset", 0.1)
    verdict = run(scene.clock, scene.shopper.verify())
    assert (verdict.verified, verdict.wrong, verdict.unanswered) == (0, [], [0, 1])
    assert scene.tally.outcomes["order query"]["reset"] == 2 * VERIFY_ROUNDS


def test_a_store_that_is_back_is_asked_again() -> None:
    scene = make_scene()
    run(scene.clock, scene.shopper.shop(Habits(1, 1.0)))
    answers = iter([Answered("5xx", 0.1, Reply(503, b"")), None])
    scene.store.mood = lambda ask, reply: next(answers)
    assert run(scene.clock, scene.shopper.verify()).verified == 1


def test_each_request_is_sent_once_whatever_comes_of_it() -> None:
    scene = make_scene()
    scene.store.mood = lambda ask, reply: Answered("timeout", 15.0) if ask.body else None
    run(scene.clock, scene.shopper.shop(Habits(3, 1.0)))
    assert [bool(ask.body) for ask in scene.store.asked] == [False, True] * 3
    assert scene.shopper.promised == []
    assert scene.clock.seconds() >= 3 * BREATH
    assert (scene.tally.longest, scene.tally.longest_kind) == (15.0, "buy")


def test_an_odd_reply_to_a_buy_is_a_mismatch() -> None:
    scene = make_scene()
    scene.store.mood = lambda ask, reply: Answered("2xx", 0.1, Reply(201, b"[]")) if ask.body else None
    run(scene.clock, scene.shopper.shop(Habits(1, 1.0)))
    assert "an odd reply" in run(scene.clock, scene.shopper.verify()).wrong[0]


def test_a_crowd_leaves_when_told_and_judges_as_one() -> None:
    clock = Clock()
    store = Store(clock)
    crowd = Crowd(clock, lambda: store, DIALECTS["v1"], NAMES, 3, 7)
    clock.callLater(5.0, crowd.leave)
    run(clock, crowd.shop(Habits(None, 0.5, pause=0.1)))
    assert 5.0 <= clock.seconds() < 6.0
    assert crowd.tally.orders == len(store.orders) > 30
    assert run(clock, crowd.verify()).verified == len(store.orders)


def test_a_seed_repeats_the_choices() -> None:
    def choices(seed: int) -> list[Ask]:
        clock = Clock()
        store = Store(clock)
        run(clock, Crowd(clock, lambda: store, DIALECTS["v1"], NAMES, 2, seed).shop(Habits(10)))
        return store.asked

    assert choices(1) == choices(1) != choices(2)


def test_names_are_read_page_by_page() -> None:
    clock = Clock()
    store = Store(clock)
    pages = iter([({"name": "a"}, "x y"), ({"name": "b"}, None)])

    def mood(ask: Ask, reply: Reply) -> Answered:
        product, after = next(pages)
        return Answered("2xx", 0.1, Reply(200, json.dumps({"data": [product], "next": after}).encode()))

    store.mood = mood
    store._v1 = lambda ask: (200, None)  # type: ignore[method-assign]
    assert run(clock, product_names(store, DIALECTS["v1"])) == ["a", "b"]
    assert [ask.path for ask in store.asked] == ["/v1/products?limit=100", "/v1/products?limit=100&after=x+y"]
    assert run(clock, product_names(store, DIALECTS["toys"])) == []


def test_a_store_without_an_answer_has_no_products() -> None:
    clock = Clock()
    store = Store(clock, mood=lambda ask, reply: Answered("unreachable", 0.1))
    store._v1 = lambda ask: (200, None)  # type: ignore[method-assign]
    with pytest.raises(NoProducts, match="unreachable"):
        run(clock, product_names(store, DIALECTS["v1"]))


LOOKS = {
    "trader": ("/stocks?stockname=a+b%2F", {"name": "a b/", "type": "BUY", "quantity": 3}, "/orders?order-number=1"),
    "bazaar": ("/stocks/a%20b%2F", {"name": "a b/", "type": "buy", "quantity": 3}, "/orders/1"),
    "flask": ("/stocks/a%20b%2F", {"name": "a b/", "type": "buy", "quantity": 3}, "/orders/1"),
}


@pytest.mark.row("O6", "O8")
@pytest.mark.parametrize("name", LOOKS)
def test_what_is_asked_in_the_dialects_of_stocks(name: str) -> None:
    dialect, (look, buy, query) = DIALECTS[name], LOOKS[name]
    assert dialect.look("a b/") == Ask(look)
    asked = dialect.place("a b/", 3, "buy")
    assert (asked.path, json.loads(asked.body or b"")) == ("/orders", buy)
    assert json.loads(dialect.place("a b/", 3, "sell").body or b"")["type"].lower() == "sell"
    assert dialect.query(1) == Ask(query)
    assert dialect.names(None) is None
    assert len(dialect.known) >= 8


@pytest.mark.row("G3", "G4", "O11")
@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("trader", b'{"data":{"number":1,"name":"x","type":"BUY","quantity":3}}'),
        ("bazaar", b'{"data":{"number":1,"name":"x","type":"buy","quantity":3}}'),
        ("flask", b'{"data":{"transaction_number":"1","name":"x","quantity":"3","type":"buy"}}'),
    ],
)
def test_what_the_dialects_of_stocks_answer_is_read(name: str, order: bytes) -> None:
    dialect = DIALECTS[name]
    assert dialect.quantity(Reply(200, b'{"data":{"name":"x","price":1.5,"quantity":7}}')) == 7
    assert dialect.number(Reply(200, b'{"data":{"transaction_number":1}}')) == 1
    assert dialect.number(Reply(200, b'{"data":{"transaction_number":"1"}}')) == 1
    assert dialect.order(Reply(200, order)) == Promised(1, "x", 3)
    sold = order.replace(b"buy", b"sell").replace(b"BUY", b"SELL")
    assert dialect.order(Reply(200, sold)) == Promised(1, "x", 3, "sell")


@pytest.mark.row("O10")
def test_shoppers_buy_and_sell_where_the_dialect_has_both() -> None:
    clock = Clock()
    orders: list[dict[str, Any]] = []

    def market(ask: Ask, reply: Reply) -> Answered:
        if ask.body is not None:
            orders.append(json.loads(ask.body))
            data: dict[str, Any] = {"transaction_number": len(orders)}
        elif ask.path.startswith("/orders/"):
            number = int(ask.path.removeprefix("/orders/"))
            data = {"number": number, **orders[number - 1]}
        else:
            data = {"name": "x", "price": 1.5, "quantity": 7}
        return Answered("2xx", 0.01, Reply(200, json.dumps({"data": data}).encode()))

    store = Store(clock, mood=market)
    store._answer = lambda ask: Reply(200, b"")  # type: ignore[method-assign]
    shopper = Shopper(clock, store, DIALECTS["bazaar"], NAMES, Random(1), Tally())
    run(clock, shopper.shop(Habits(20, 1.0)))
    assert {order["type"] for order in orders} == {"buy", "sell"}
    assert run(clock, shopper.verify()).verified == 20
    for order in orders:
        order["type"] = "buy"
    assert run(clock, shopper.verify()).wrong, "the side is compared too"


@pytest.mark.row("O7")
def test_a_refusal_with_status_200_is_no_order() -> None:
    clock, tally = Clock(), Tally()
    no = Answered("2xx", 0.01, Reply(200, b'{"error":{"code":404,"message":"Stock not found"}}'))
    yes = Answered("2xx", 0.01, Reply(200, b'{"data":{"name":"x","price":1.5,"quantity":7}}'))
    store = Store(clock, mood=lambda ask, reply: yes if ask.body is None else no)
    store._answer = lambda ask: Reply(200, b"")  # type: ignore[method-assign]
    shopper = Shopper(clock, store, DIALECTS["trader"], NAMES, Random(1), tally)
    run(clock, shopper.shop(Habits(4, 1.0)))
    assert (tally.orders, shopper.promised, shopper.odd) == (0, [], [])
    assert tally.outcomes["buy"]["4xx"] == 4
    assert tally.outcomes["lookup"]["2xx"] == 4


@pytest.mark.row("G1")
def test_toys_orders_are_read_in_both_shapes() -> None:
    toys = DIALECTS["toys"]
    once = b'{"data": {"number": 0, "name": "Python", "quantity": 6}}'
    twice = b'{"data": {"data": {"number": "0", "name": "Python", "quantity": "6"}}}'
    assert toys.order(Reply(200, once)) == toys.order(Reply(200, twice)) == Promised(0, "Python", 6)
    with pytest.raises(BadReply, match="number"):
        toys.order(Reply(200, b'{"data": {}}'))


def test_names_are_quoted_in_paths() -> None:
    assert DIALECTS["v1"].look("Tea & Co/é").path == "/v1/products/Tea%20%26%20Co%2F%C3%A9"
    assert DIALECTS["toys"].look("a?b").path == "/products/a%3Fb"


@pytest.mark.parametrize(("share", "expected"), [(0.5, 5.0), (0.95, 10.0), (0.9, 9.0), (0.0, 1.0), (1.0, 10.0), (0.01, 1.0)])
def test_percentiles_are_of_the_nearest_rank(share: float, expected: float) -> None:
    assert percentile([float(n) for n in range(1, 11)], share) == expected


def test_a_tally_reports_by_kind_in_milliseconds() -> None:
    tally = Tally()
    for seconds in (0.001, 0.003):
        tally.count("lookup", "2xx", seconds)
    tally.count("buy", "reset", 2.0)
    report = tally.report()
    assert report["latency_ms"]["lookup"] == {
        "count": 2, "avg": 2.0, "p50": 1.0, "p95": 3.0, "p99": 3.0, "max": 3.0,
    }  # fmt: skip
    assert report["latency_ms"]["order_query"]["avg"] is None
    assert report["outcomes"]["buy"]["reset"] == 1
    assert (report["requests"], report["longest_ms"], report["longest_kind"]) == (3, 2000.0, "buy")
