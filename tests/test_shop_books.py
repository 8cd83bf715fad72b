"""Shoppers in the book store, where orders have no numbers and are verified by the log of changes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import pytest
from attrs import define, field
from twisted.internet.task import Clock

from tests.test_shop import run
from toystore.shop.connection import Answered
from toystore.shop.crowd import Crowd, NoLog, product_names
from toystore.shop.dialects import DIALECTS, Ask, BadReply, Promised, Reply
from toystore.shop.shopper import VERIFY_ROUNDS, Habits
from toystore.shop.verdict import BY_LOG, judge_by_log

BOOKS = DIALECTS["books"]


@define
class BookStore:
    """Seven books; `mood` may spoil an answer."""

    clock: Clock
    stock: int = 1000
    rows: list[str] = field(factory=lambda: ["query,field,item_number,value", "update_c,cost,1,10", "buy,quantity,1,1"])
    bought: Counter[str] = field(factory=Counter)
    mood: Callable[[Ask, Reply], Answered | None] = lambda ask, reply: None

    async def send(self, ask: Ask) -> Answered:
        reply = Reply(200, self._answer(ask))
        self.clock.advance(0.01)
        return self.mood(ask, reply) or Answered("2xx", 0.01, reply)

    def _answer(self, ask: Ask) -> bytes:
        if ask.path == "/files/":
            return "\r\n".join([*self.rows, ""]).encode()
        if ask.body is None:
            return json.dumps({"title": "A book", "cost": 10, "quantity": self.stock}).encode()
        if not self.stock:
            return b'"Item is unavailable."'
        self.stock -= 1
        number = json.loads(ask.body)["item_number"]
        self.bought[number] += 1
        self.rows.append(f"buy,quantity,{number},1")
        return b'"Record successfully bought"'


def make_crowd(store: BookStore, clients: int = 2) -> Crowd:
    crowd = Crowd(store.clock, lambda: store, BOOKS, BOOKS.known, clients, 1)
    run(store.clock, crowd.arrive())
    return crowd


@pytest.mark.row("B1", "O12")
def test_orders_without_numbers_are_verified_by_the_log() -> None:
    store = BookStore(Clock())
    crowd = make_crowd(store)
    run(store.clock, crowd.shop(Habits(40, 0.5, (1, 10))))
    assert crowd.tally.orders == store.bought.total() > 20
    verdict = run(store.clock, crowd.verify())
    assert (verdict.verified, verdict.wrong, verdict.unanswered) == (crowd.tally.orders, [], [])
    assert verdict.remarks == [BY_LOG]


def test_an_order_that_the_log_lacks_is_a_mismatch() -> None:
    store = BookStore(Clock())
    crowd = make_crowd(store)
    run(store.clock, crowd.shop(Habits(40, 0.5)))
    lost = store.rows.pop()
    verdict = run(store.clock, crowd.verify())
    number = lost.split(",")[2]
    units = store.bought[number]
    assert verdict.wrong == [f"{units} of {number} were promised, and the store's log has {units - 1}"]
    assert verdict.verified == crowd.tally.orders - units


def test_a_log_that_is_not_told_leaves_the_orders_unverified() -> None:
    store = BookStore(Clock())
    crowd = make_crowd(store)
    run(store.clock, crowd.shop(Habits(4, 1.0)))
    asked: list[Ask] = []
    store.mood = lambda ask, reply: asked.append(ask) or Answered("reset", 0.1)
    verdict = run(store.clock, crowd.verify())
    assert (verdict.verified, verdict.wrong, len(verdict.unanswered)) == (0, [], 8)
    assert "can not be read: reset" in verdict.remarks[0]
    assert asked == [Ask("/files/")] * VERIFY_ROUNDS


def test_customers_do_not_arrive_without_a_log() -> None:
    store = BookStore(Clock(), rows=["what,is,this", "1,2,3"])
    with pytest.raises(NoLog, match="odd"):
        make_crowd(store)


def test_more_in_the_log_than_was_promised_is_remarked() -> None:
    verdict = judge_by_log(Counter(), Counter({"1": 3, "2": 1}), [Promised(None, "1", 1), Promised(None, "1", 1)])
    assert (verdict.verified, verdict.wrong, verdict.holds) == (2, [], True)
    assert "2 more than were promised" in verdict.remarks[1]


def test_a_refusal_is_a_text_with_status_200() -> None:
    store = BookStore(Clock())
    crowd = make_crowd(store, 1)
    store.mood = lambda ask, reply: None if ask.body is None else Answered("2xx", 0.1, Reply(200, b'"Item is unavailable."'))
    run(store.clock, crowd.shop(Habits(5, 1.0)))
    assert (crowd.tally.orders, crowd.tally.outcomes["buy"]["4xx"]) == (0, 5)


def test_books_go_by_the_numbers_of_the_list() -> None:
    listed = Reply(200, b'[{"item_number": 1, "title": "a"}, {"item_number": 2, "title": "b"}]')
    assert BOOKS.named(listed) == (["1", "2"], None)
    store = BookStore(Clock(), mood=lambda ask, reply: Answered("2xx", 0.1, listed))
    assert run(store.clock, product_names(store, BOOKS)) == ["1", "2"]
    with pytest.raises(BadReply, match="array"):
        BOOKS.named(Reply(200, b"{}"))
    with pytest.raises(BadReply, match="object"):
        BOOKS.quantity(Reply(200, b"null"))
