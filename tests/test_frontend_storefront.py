"""The use cases: orders and changes, what they do to the cache, and how a front end is doing."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import ensureDeferred

from tests.support.front import Front, advance, result
from toystore.model import Line, PlaceOrder, Position, Refusal, Request, SetPrice
from toystore.web.errors import CatalogIsBehind, OutcomeUnknown, RefusedError

# What a buy does to the cache


def test_an_acknowledged_buy_fills_the_cache() -> None:
    front = Front()
    front.catalogs[0].lags = front.catalogs[1].lags = True
    assert result(front.look_up()).value.quantity == 100
    result(front.buy(quantity=3))
    found = result(front.look_up())
    assert (found.value.quantity, found.asof) == (97, Position(0, 2))


def test_no_reader_sees_older_stock_after_a_buy_also_without_a_cache() -> None:
    front = Front(cache_size=0)
    front.catalogs[0].lags = front.catalogs[1].lags = True
    result(front.buy(quantity=3))
    found: list[Any] = []
    front.look_up().addBoth(found.append)
    advance(front.clock, 0.9)
    assert not found
    front.catalogs[1].catch_up()
    advance(front.clock, 1.2)
    assert found[0].value.quantity == 97


def test_a_replayed_buy_raises_the_floor_too() -> None:
    front = Front()
    front.catalogs[0].mute = True
    front.ledger.commit(Request("elsewhere", PlaceOrder("buy", (Line("Fox", 1),), "k")))
    assert front.cache.needed("Fox") == Position(0, 1)
    carried = result(front.buy(key="k"))
    assert carried.done.replayed
    assert front.cache.needed("Fox") == Position(0, carried.done.order.changed)


def test_an_answer_of_a_later_generation_makes_an_end_of_what_was_known() -> None:
    """An operator has accepted a loss: what the cache holds is of a history that is over, whatever its index."""
    front = Front()
    result(front.buy(quantity=3))
    front.catalogs[0].lags = front.catalogs[1].lags = True
    front.ledger.replica.generation = 1
    carried = result(front.buy(quantity=1))
    assert front.cache.highest == Position(1, carried.done.index)
    assert front.cache.needed("Whale") == Position(1, 0)
    assert result(front.look_up()).value.quantity == 96


# Orders


@pytest.mark.row("O10")
def test_the_ledger_says_no() -> None:
    front = Front()
    error = result(front.buy(quantity=101))
    assert isinstance(error, RefusedError)
    assert error.refusal is Refusal.INSUFFICIENT_STOCK
    assert front.cache.needed("Fox") == Position(0, 1)


@pytest.mark.row("T2")
def test_a_lost_leader_ends_in_504_with_the_key() -> None:
    front = Front()
    front.orders[2].loses_answers = True
    found: list[Any] = []
    front.buy(key="mine").addBoth(found.append)
    advance(front.clock, 10)
    assert isinstance(found[0].value, OutcomeUnknown)
    assert found[0].value.key == "mine"


def test_an_order_number_beyond_the_bound_is_unknown_without_asking() -> None:
    front = Front()
    for asked in (front.store.order(10**30), front.store.cancel(10**30, "r")):
        error = result(ensureDeferred(asked))
        assert error.refusal is Refusal.UNKNOWN_ORDER
    assert sum(node.reads + len(node.batches) for node in front.orders) == 0


def test_a_change_of_the_catalog_is_seen_at_once() -> None:
    front = Front()
    result(front.look_up())
    front.catalogs[0].lags = front.catalogs[1].lags = True
    result(ensureDeferred(front.store.change(SetPrice("Fox", 1), "r")))
    assert result(front.look_up()).value.price == 1


def test_a_change_of_the_catalog_is_not_read_as_it_was_also_without_a_cache() -> None:
    front = Front(cache_size=0, catalogs=1)
    front.catalogs[0].lags = True
    result(ensureDeferred(front.store.change(SetPrice("Fox", 1), "r")))
    late: list[Any] = []
    front.look_up().addBoth(late.append)
    advance(front.clock, 1.0)
    assert late[0].check(CatalogIsBehind)


# How it goes


def test_it_is_ready_before_the_first_customer() -> None:
    front = Front()
    assert front.store.ready() == []
    assert front.store.status()["leader"] == "order-3"


def test_stopping_leaves_no_timer_behind() -> None:
    front = Front()
    result(front.buy())
    front.store.stop()
    assert not front.clock.getDelayedCalls()
    assert len(front.store.ready()) == 1
