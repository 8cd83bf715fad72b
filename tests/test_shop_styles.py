"""What shoppers print in the manner of the older clients, the scripted cases, and how `toystore shop` reads its options."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from random import Random
from typing import Any

import click
import pytest
from attrs import define, field
from click.testing import CliRunner
from twisted.internet.task import Clock

from tests.test_shop import NAMES, Store, run
from toystore.cli import main
from toystore.commands.shop import Trip, show_progress, span
from toystore.shop.cases import CASES, INSUFFICIENT, KEPT, NOT_FOUND, Case, NoAnswer, try_case
from toystore.shop.connection import Answered
from toystore.shop.crowd import Crowd
from toystore.shop.dialects import DIALECTS, Ask, Reply
from toystore.shop.events import Answer, Event
from toystore.shop.shopper import Habits, Shopper
from toystore.shop.styles import STYLES
from toystore.shop.tally import Tally
from toystore.shop.verdict import Verdict


def printed(name: str, store: Store, wrong: bool = False) -> tuple[list[str], Shopper]:
    """All lines that a client of this style prints."""
    style, tally, lines = STYLES[name], Tally(), []

    def tell(event: Event) -> None:
        if (line := style.line(event)) is not None:
            lines.append(line)

    shopper = Shopper(store.clock, store, DIALECTS["v1"], NAMES, Random(1), tally, tell)
    run(store.clock, shopper.shop(style.habits))
    if wrong:
        store.orders[0] = ("Fox", 99)
    verdict = run(store.clock, shopper.verify())
    lines += style.summary(tally, verdict, style.habits)
    return lines, shopper


@pytest.mark.row("B2")
def test_the_toy_stores_client() -> None:
    store = Store(Clock())
    lines, shopper = printed("toys", store)
    assert sum(line.startswith("Query result for ") for line in lines) == 50
    first = next(n for n, line in enumerate(lines) if line.startswith("placing order for "))
    order = shopper.promised[0]
    assert lines[first : first + 3] == [
        f"placing order for {order.name}, {order.quantity}",
        f'Order result for {order.name}: {{"data": {{"number": 0}}}}',
        f"Verified order 0: {order.name} {order.quantity}",
    ]
    assert lines[-4:] == [
        "Results for buy/purchase probability: 40.0%",
        "***Average Response Time Product Query: 0.010000 seconds***",
        "***Average Response Time Order Query: 0.010000 seconds***",
        "***Average Response Time Buy Request: 0.010000 seconds***",
    ]
    queries = [ask.path for ask in store.asked if ask.path.startswith("/v1/orders/")]
    assert len(queries) == len(set(queries)) == len(shopper.promised), "each order is asked for once"
    assert all(1 <= order.quantity <= 10 for order in shopper.promised)


@pytest.mark.row("B2")
def test_the_toy_stores_client_finds_a_mismatch_at_once() -> None:
    store = Store(Clock())
    store.mood = lambda ask, reply: Answered("4xx", 0.1, Reply(404, b"")) if ask.path == "/v1/orders/0" else None
    lines, shopper = printed("toys", store)
    assert "Order 0 is NOT as it was promised: order 0 was promised, and asking for it gives 404" in lines
    verdict = run(store.clock, shopper.verify())
    assert (len(verdict.wrong), verdict.verified) == (1, len(shopper.promised) - 1)


@pytest.mark.row("B3")
def test_the_bazaars_client() -> None:
    store = Store(Clock(), stock=100_000)
    lines, shopper = printed("bazaar", store)
    orders = [f"Order {o.number}: buy {o.quantity} {o.name}: MATCH" for o in shopper.promised]
    assert lines == [
        *orders,
        "ALL ORDERS VERIFIED",
        f"Successful Trades Made: {len(orders)}",
        "Average Lookup Time: 10.000 ms",
        "Average Trade Time: 10.000 ms",
        "Average Order Query Time: 10.000 ms",
    ]
    assert max(order.quantity for order in shopper.promised) > 50
    assert sum(ask.path.startswith("/v1/products/") for ask in store.asked) == 100


@pytest.mark.row("B3")
def test_the_bazaars_client_finds_a_mismatch_and_has_averages_of_what_there_was() -> None:
    lines, _ = printed("bazaar", Store(Clock(), stock=100_000), wrong=True)
    assert "Order 0: buy" in lines[0]
    assert "NO MATCH" in lines[0]
    assert "A NON-MATCH WAS FOUND" in lines
    lines, _ = printed("bazaar", Store(Clock(), stock=0))
    assert lines[1:] == [
        "Successful Trades Made: 0",
        "Average Lookup Time: 10.000 ms",
        "Average Trade Time: N/A",
        "Average Order Query Time: N/A",
    ]
    style = STYLES["bazaar"]
    assert "NOT SURE: 1" in next(style.summary(Tally(), Verdict(0, [], [7]), style.habits))


def test_every_request_is_told_with_its_time() -> None:
    clock, told = Clock(), list[Event]()
    crowd = Crowd(clock, lambda: Store(clock, wait=0.5), DIALECTS["v1"], NAMES, 1, 1, told.append)
    run(clock, crowd.shop(STYLES["bazaar"].habits))
    answers = [event for event in told if isinstance(event, Answer)]
    assert answers[0] == Answer("lookup", 0.0, "2xx", 0.5)
    assert [answer.at for answer in answers] == [0.5 * n for n in range(len(answers))]
    assert len(answers) == crowd.tally.total()


# The scripted cases


@define
class Market:
    """A store of stocks, all from one pile; `forgets`: it tells wrongly of orders."""

    stock: int = 150
    orders: list[dict[str, Any]] = field(factory=list)
    forgets: bool = False
    down: bool = False

    async def send(self, ask: Ask) -> Answered:
        if self.down:
            return Answered("unreachable", 0.1)
        return Answered("2xx", 0.1, Reply(200, json.dumps(self._answer(ask)).encode()))

    def _answer(self, ask: Ask) -> Any:
        if ask.path.startswith("/stocks"):
            return {"data": {"name": "x", "price": 1.5, "quantity": self.stock}}
        if ask.body is None:
            number = int(ask.path.partition("=")[2])
            return {"data": {"number": number, **self.orders[number - 1], **({"quantity": 7} if self.forgets else {})}}
        asked = json.loads(ask.body)
        if asked["type"] not in ("BUY", "SELL") or asked["quantity"] < 1:
            return {"error": {"code": 404, "message": "Stock not found"}}
        if asked["type"] == "BUY" and asked["quantity"] > self.stock:
            return {"error": {"code": 404, "message": "Trading not permitted due to insufficient volume"}}
        self.stock += asked["quantity"] * (1 if asked["type"] == "SELL" else -1)
        self.orders.append(asked)
        return {"data": {"transaction_number": len(self.orders)}}


def tried(market: Market, cases: Sequence[Case] = CASES) -> list[Any]:
    return [run(Clock(), try_case(market, case)) for case in cases]


@pytest.mark.row("B4")
def test_the_scripted_cases_of_the_trader() -> None:
    market = Market()
    first = tried(market)
    assert [judged.expected for judged in first] == [KEPT, KEPT, KEPT, NOT_FOUND, NOT_FOUND]
    assert all(judged.right for judged in first)
    assert [(order["type"], order["quantity"], order["name"]) for order in market.orders] == [
        ("SELL", 25, "stock3"),
        ("BUY", 100, "stock5"),
        ("BUY", 10, "stock8"),
    ]
    again = tried(market)
    assert again[1].expected == again[1].seen == INSUFFICIENT, "what is there was bought"


@pytest.mark.row("B4")
def test_a_case_that_goes_otherwise_is_told() -> None:
    (judged,) = tried(Market(forgets=True), CASES[:1])
    assert not judged.right
    assert "quantity=7" in judged.seen
    with pytest.raises(NoAnswer, match="unreachable"):
        tried(Market(down=True))


# Options


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--dialect", "toys", "--cases"], "--cases are requests of the dialect trader, not of toys"),
        (["--dialect", "toys", "--iterations", "5", "--seconds", "5"], "exclude one another"),
        (["--dialect", "klingon"], "'klingon' is not one of 'bazaar', 'books'"),
        (["--dialect", "toys", "--quantity", "9..2"], "the lower end first"),
        (["--dialect", "toys", "--like", "me"], "'me' is not one of 'bazaar', 'toys'"),
    ],
)
def test_wrong_usage_is_told(options: list[str], says: str) -> None:
    done = CliRunner().invoke(main, ["shop", "--url", "http://127.0.0.1:1", *options])
    assert done.exit_code == 2
    assert says in done.output


def test_a_range_of_units() -> None:
    context, option = click.Context(click.Command("shop")), click.Option(["--quantity"])
    assert span(context, option, "3") == (3, 3)
    assert span(context, option, "1..10") == (1, 10)
    assert span(context, option, None) is None


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("seconds", "share"), [(None, "50 %"), (20.0, "25 %")])
def test_a_bar_shows_how_far_they_are(seconds: float | None, share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, clock = Terminal(), Clock()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    crowd = Crowd(clock, lambda: Store(clock), DIALECTS["v1"], NAMES, 1, 1)
    trip = Trip("http://x", "v1", (), 1, 1, Habits(20 if seconds is None else None), seconds)
    end = show_progress(clock, trip, crowd)
    crowd.shoppers[0].done = 10
    clock.advance(5.0)
    end()
    assert f"{share}  10 iterations, 0 orders" in terminal.getvalue()
    monkeypatch.setattr("sys.stderr", io.StringIO())
    show_progress(clock, trip, crowd)()
    assert clock.getDelayedCalls() == [], "nothing is shown where nobody looks"
