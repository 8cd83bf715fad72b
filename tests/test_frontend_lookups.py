"""Lookups: the cache, the catalogs in turn, and what happens when some of them are away."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import LogLevel, globalLogPublisher

from tests.support.front import Front, advance, result
from toystore.model import Line, PlaceOrder, Position, PutProduct, Refusal, Request
from toystore.web.errors import CatalogIsBehind, RefusedError, Unavailable

# The cache


@pytest.mark.row("K1")
def test_the_second_look_up_is_a_hit_and_says_so() -> None:
    front = Front()
    events: list[Any] = []
    globalLogPublisher.addObserver(events.append)
    try:
        first, second = result(front.look_up()), result(front.look_up())
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert first == second
    assert [len(catalog.asked) for catalog in front.catalogs] == [1, 0]
    said = [event for event in events if "CACHE" in (event.get("log_format") or "")]
    assert [event["log_format"][:22] for event in said] == ["***** CACHE MISS *****", "***** CACHE HIT ***** "]
    assert all(event["log_level"] == LogLevel.debug and event["name"] == "Fox" for event in said)


@pytest.mark.row("K1")
def test_what_is_not_found_is_not_kept() -> None:
    front = Front()
    for _ in range(2):
        error = result(front.look_up("Sphinx"))
        assert isinstance(error, RefusedError)
        assert error.refusal is Refusal.UNKNOWN_PRODUCT
    assert sum(len(catalog.asked) for catalog in front.catalogs) == 2


def test_a_new_product_is_found_though_the_catalog_first_asked_does_not_know_it_yet() -> None:
    front = Front(catalogs=2)
    front.catalogs[1].lags = True
    result(ensureDeferred(front.store.change(PutProduct("Sphinx", 100), "r")))
    front.cache.clear()
    found: list[Any] = []
    for _ in front.catalogs:
        front.look_up("Sphinx").addBoth(found.append)
        advance(front.clock, 2.5)
    assert [one.value.name for one in found] == ["Sphinx", "Sphinx"]


@pytest.mark.fault(7)
def test_a_slow_read_overtaken_by_a_buy_neither_fills_the_cache_nor_serves_later_readers() -> None:
    front = Front()
    for catalog in front.catalogs:
        catalog.delay = 0.5
    early: list[Any] = []
    front.look_up().addBoth(early.append)
    result(front.buy(quantity=3))
    front.cache.drop("Fox")
    late: list[Any] = []
    front.look_up().addBoth(late.append)
    advance(front.clock, 0.5)
    assert early[0].value.quantity == 100  # it came before the buy was acknowledged
    assert late[0].value.quantity == 97
    assert result(front.look_up()).value.quantity == 97


@pytest.mark.fault(7)
def test_a_change_by_others_overtakes_a_slow_read() -> None:
    front = Front()
    front.catalogs[0].delay = front.catalogs[1].delay = 0.5
    early: list[Any] = []
    front.look_up().addBoth(early.append)
    other_front_end(front, quantity=5)
    advance(front.clock, 0.5)
    assert early[0].value.quantity == 100
    assert len(front.cache) == 0


def other_front_end(front: Front, quantity: int) -> None:
    front.ledger.commit(Request(f"other-{quantity}", PlaceOrder("buy", (Line("Fox", quantity),), f"other-{quantity}")))


@pytest.mark.row("K2", "K3", "K4", "K5")
def test_a_buy_at_another_front_end_is_pushed() -> None:
    front = Front()
    result(front.look_up())
    other_front_end(front, quantity=5)
    assert result(front.look_up()).value.quantity == 95


def test_concurrent_misses_of_one_product_share_one_request() -> None:
    front = Front()
    front.catalogs[0].delay = 0.1
    found: list[Any] = []
    for _ in range(50):
        front.look_up().addBoth(found.append)
    gone = front.look_up()
    gone.addErrback(lambda _: None)
    gone.cancel()
    advance(front.clock, 0.1)
    assert len(found) == 50
    assert front.catalogs[0].asked + front.catalogs[1].asked == ["Fox"]


def test_a_reader_who_names_a_position_waits_for_it() -> None:
    front = Front(catalogs=1)
    result(front.look_up())
    front.catalogs[0].lags = True
    other_front_end(front, quantity=5)
    late: list[Any] = []
    front.look_up(at_least=Position(0, 2)).addBoth(late.append)
    advance(front.clock, 1.0)
    assert late[0].check(CatalogIsBehind)


@pytest.mark.row("G5")
def test_a_linearizable_look_up_asks_the_leader() -> None:
    front = Front()
    result(front.look_up())
    for catalog in front.catalogs:
        catalog.lags = True
    other_front_end(front, quantity=5)
    assert result(front.look_up()).value.quantity == 100
    read = result(front.look_up(linearizable=True))
    assert (read.value.quantity, read.age) == (95, 0)
    assert result(front.look_up()).value.quantity == 95


# Lists


def list_all(front: Front) -> Deferred[Any]:
    return ensureDeferred(front.store.lookups.products(0, 100))


def test_lists_are_as_new_as_what_was_heard() -> None:
    front = Front()
    front.catalogs[0].lags = True
    result(front.buy(quantity=3))
    found: list[Any] = []
    list_all(front).addBoth(found.append)
    advance(front.clock, 1.0)
    assert [product.quantity for product in found[0].value] == [100, 97, 0]


@pytest.mark.row("A4")
def test_reads_alternate() -> None:
    front = Front(cache_size=0)
    for _ in range(4):
        result(front.look_up())
    assert [len(catalog.asked) for catalog in front.catalogs] == [2, 2]


# Catalogs and leaders that are away


@pytest.mark.row("H3")
def test_with_one_catalog_down_nothing_is_noticed_and_it_takes_its_share_again() -> None:
    front = Front(cache_size=0)
    front.catalogs[0].unreachable = True
    for _ in range(6):
        assert result(front.look_up()).value.quantity == 100
    front.catalogs[0].unreachable = False
    front.pass_time(10)
    for _ in range(6):
        result(front.look_up())
    assert len(front.catalogs[0].asked) >= 3


def test_a_catalog_that_hangs_costs_one_reader_two_seconds() -> None:
    front = Front(cache_size=0)
    front.catalogs[0].hangs = True
    found: list[Any] = []
    front.look_up().addBoth(found.append)
    advance(front.clock, 2.0)
    assert found[0].value.quantity == 100
    assert result(front.look_up()).value.quantity == 100
    assert front.store.status()["catalogs"]["live"] == ["catalog-2"]


def test_with_every_catalog_down_buys_go_on_and_look_ups_are_503() -> None:
    front = Front()
    for catalog in front.catalogs:
        catalog.end_feed()
        catalog.unreachable = True
    assert isinstance(result(front.look_up()), Unavailable)
    assert result(front.buy()).done.order.number == 0


def test_with_the_order_service_down_look_ups_are_marked_with_their_age() -> None:
    front = Front()
    result(front.look_up())
    for catalog in front.catalogs:
        catalog.age = 7.0
    front.pass_time(4)
    found = result(front.look_up())
    assert (found.value.quantity, found.age) == (100, 7.0)
    for catalog in front.catalogs:
        catalog.age = None
    assert result(list_all(front)).age is None
    assert "no catalog that hears a leader is being followed" in front.store.ready()


def test_with_the_order_service_down_a_floor_that_no_catalog_has_reached_does_not_block() -> None:
    front = Front()
    front.catalogs[0].lags = front.catalogs[1].lags = True
    result(front.buy(quantity=3))
    for catalog in front.catalogs:
        catalog.age = 7.0
    front.pass_time(5)
    found = result(front.look_up())
    assert (found.value.quantity, found.age) == (100, 7.0)


def test_a_catalog_cut_off_from_the_leader_is_passed_over_while_another_hears_it() -> None:
    front = Front(cache_size=0)
    front.catalogs[0].age = 9.0
    for _ in range(4):
        assert result(front.look_up()).age == 0


def test_a_catalog_that_is_behind_is_not_believed_that_there_is_no_such_product() -> None:
    front = Front(catalogs=1)
    front.catalogs[0].lags = True
    result(ensureDeferred(front.store.change(PutProduct("Sphinx", 100), "r")))
    front.cache.clear()
    front.catalogs[0].age = 7.0
    front.pass_time(4)
    found: list[Any] = []
    front.look_up("Sphinx").addBoth(found.append)
    advance(front.clock, 5)
    assert isinstance(found[0].value, CatalogIsBehind)
