"""The one feed of a front end, and the lease it gives to the cache."""

from __future__ import annotations

import pytest

from tests.support.front import Front, advance
from toystore.model import Position, Product
from toystore.web.interface import FeedBeat, FeedChange, FeedReset, FeedStart

FOX = Product("Fox", 2, 1299, 100, "", 1, 0)


def hits(front: Front) -> bool:
    return front.cache.get("Fox", front.clock.seconds()) is not None


def filled(**options: int) -> Front:
    front = Front(**options)  # type: ignore[arg-type]
    front.cache.put(FOX, Position(0, 1))
    assert hits(front)
    return front


def test_it_follows_one_catalog() -> None:
    front = Front()
    assert [catalog.followed for catalog in front.catalogs] == [True, False]
    assert front.feed.node == "catalog-1"


def test_the_start_of_a_feed_raises_all_floors() -> None:
    front = filled()
    front.catalogs[0].tell(FeedStart(Position(0, 4)))
    assert not hits(front)
    assert front.cache.floor_all == Position(0, 4)


@pytest.mark.row("K2", "K5")
def test_a_line_drops_what_it_names() -> None:
    front = filled()
    front.catalogs[0].tell(FeedChange(Position(0, 2), ("Tux",)))
    assert hits(front)
    front.catalogs[0].tell(FeedChange(Position(0, 3), ("Tux", "Fox")))
    assert not hits(front)


def test_a_reset_clears_all() -> None:
    front = filled()
    front.catalogs[0].tell(FeedReset(Position(0, 9)))
    assert len(front.cache) == 0
    assert front.cache.floor_all == Position(0, 9)


@pytest.mark.row("K5")
def test_a_stream_that_breaks_means_no_hits_until_another_catalog_is_followed() -> None:
    front = filled()
    front.catalogs[0].end_feed()
    assert not hits(front)
    assert not front.feed.fresh()
    advance(front.clock, 0.1)
    assert front.catalogs[1].followed
    assert hits(front)


def test_the_lease_ends_when_the_last_news_is_three_seconds_old() -> None:
    front = filled(catalogs=1)
    advance(front.clock, 1.0)
    front.catalogs[0].tell(FeedBeat(0.5))
    advance(front.clock, 2.5)
    assert hits(front)
    advance(front.clock, 0.01)
    assert not hits(front)


def test_a_stream_that_falls_silent_is_left() -> None:
    front = filled()
    front.catalogs[0].mute = True
    advance(front.clock, 3.0)
    assert not front.catalogs[0].followed
    advance(front.clock, 0.1)
    assert front.catalogs[1].followed


@pytest.mark.parametrize("age", [None, 3.1])
def test_a_catalog_that_hears_no_leader_is_left_for_another_one(age: float | None) -> None:
    front = filled()
    front.catalogs[0].age = age
    front.catalogs[0].beat()
    assert not hits(front)
    assert not front.feed.degraded
    advance(front.clock, 0.1)
    assert front.catalogs[1].followed
    assert hits(front)


def test_with_no_catalog_that_hears_a_leader_it_is_degraded_until_one_does() -> None:
    front = filled()
    for catalog in front.catalogs:
        catalog.age = None
    front.pass_time(2)
    assert front.feed.degraded
    front.catalogs[0].age = 0.1
    front.pass_time(3)
    assert not front.feed.degraded
    assert hits(front)


def test_the_only_catalog_is_kept_though_it_hears_no_leader() -> None:
    front = filled(catalogs=1)
    front.catalogs[0].age = None
    front.catalogs[0].beat()
    assert front.feed.degraded
    assert front.catalogs[0].followed
    front.catalogs[0].age = 0.0
    front.catalogs[0].beat()
    assert hits(front)


def test_catalogs_that_can_not_be_reached_are_tried_at_growing_intervals() -> None:
    front = filled()
    for catalog in front.catalogs:
        catalog.unreachable = True
        catalog.end_feed()
    advance(front.clock, 30)
    assert 30 <= front.feed._turn <= 80
    front.catalogs[1].unreachable = False
    advance(front.clock, 2.0)
    assert front.catalogs[1].followed


def test_lines_of_a_stream_that_was_left_count_for_nothing() -> None:
    front = filled()
    stale = front.catalogs[0]._listeners[0][0]
    front.catalogs[0].end_feed()
    stale(FeedBeat(0.0))
    assert not front.feed.fresh()
