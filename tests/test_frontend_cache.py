"""The cache: least recently used, and never staler than what it has heard of."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toystore.frontend.cache import Cache, CacheEvent, Emptied, Filled
from toystore.model import Position, Product


def product(name: str, quantity: int = 100, version: int = 1) -> Product:
    return Product(name, 1, 1599, quantity, "", version, 0)


def at(index: int, generation: int = 0) -> Position:
    return Position(generation, index)


def serving(capacity: int = 5, **options: object) -> Cache:
    cache = Cache(capacity, **options)  # type: ignore[arg-type]
    cache.renew(math.inf)
    return cache


@pytest.mark.row("K1")
def test_it_starts_empty_and_a_hit_moves_to_newest() -> None:
    cache = serving(2)
    assert cache.get("Tux", 0.0) is None
    cache.put(product("Tux"), at(1))
    cache.put(product("Fox"), at(1))
    assert cache.get("Tux", 0.0) is not None
    cache.put(product("Lego"), at(1))
    assert sorted(cache.contents().values()) == ["Lego", "Tux"]
    assert (cache.counters.hits, cache.counters.misses, cache.counters.evictions) == (1, 1, 1)


@pytest.mark.row("K7")
def test_it_tells_which_product_came_into_which_slot_and_what_it_replaced() -> None:
    events: list[CacheEvent] = []
    cache = serving(2, on_event=events.append)
    for name in ("Tux", "Fox", "Lego"):
        cache.put(product(name), at(1))
    cache.put(product("Lego", 99), at(2))
    cache.drop("Fox")
    cache.put(product("Whale"), at(2))
    assert events == [
        Filled(0, "Tux", None),
        Filled(1, "Fox", None),
        Filled(0, "Lego", "Tux"),
        Emptied(1, "Fox"),
        Filled(1, "Whale", None),
    ]


@pytest.mark.row("K3")
def test_capacity_zero_turns_it_off() -> None:
    cache = serving(0)
    assert not cache.put(product("Tux"), at(1))
    assert cache.get("Tux", 0.0) is None
    assert not cache.may_serve(0.0)


@pytest.mark.fault(7)
def test_a_read_overtaken_by_a_change_is_not_stored() -> None:
    cache = serving()
    cache.raise_floor("Tux", at(8))
    assert not cache.put(product("Tux"), at(7))
    assert cache.get("Tux", 0.0) is None
    assert cache.put(product("Tux"), at(8))
    assert cache.get("Tux", 0.0) is not None


def test_a_change_removes_what_it_made_old() -> None:
    cache = serving()
    cache.put(product("Tux"), at(5))
    cache.raise_floor("Tux", at(5))
    assert cache.get("Tux", 0.0) is not None
    cache.raise_floor("Tux", at(6))
    assert cache.get("Tux", 0.0) is None


def test_an_older_read_does_not_replace_a_newer_one() -> None:
    cache = serving()
    cache.put(product("Tux", 90), at(6))
    assert not cache.put(product("Tux", 100), at(5))
    entry = cache.get("Tux", 0.0)
    assert entry is not None
    assert entry.product.quantity == 90


def test_a_floor_that_is_dropped_counts_for_all() -> None:
    cache = serving(max_floors=2)
    cache.put(product("Whale"), at(3))
    for index, name in ((4, "Tux"), (5, "Fox"), (6, "Lego")):
        cache.raise_floor(name, at(index))
    assert cache.floor_all == at(4)
    assert cache.needed("Tux") == at(4)
    assert cache.get("Whale", 0.0) is None


def test_without_a_lease_nothing_is_served() -> None:
    cache = Cache(5)
    cache.put(product("Tux"), at(1))
    assert cache.get("Tux", 0.0) is None
    cache.renew(3.0)
    assert cache.get("Tux", 3.0) is not None
    assert cache.get("Tux", 3.1) is None
    cache.renew(9.0)
    cache.suspend()
    assert cache.get("Tux", 3.0) is None


def test_a_reader_who_has_seen_more_is_not_served() -> None:
    cache = serving()
    cache.put(product("Tux"), at(4))
    assert cache.get("Tux", 0.0, at(5)) is None
    assert cache.get("Tux", 0.0, at(4)) is not None


def test_a_new_generation_clears_everything() -> None:
    cache = serving()
    cache.put(product("Tux"), at(50))
    cache.raise_floor("Fox", at(60))
    cache.raise_floor("Lego", at(3, generation=1))
    assert len(cache) == 0
    assert cache.needed("Fox") == at(0, generation=1)
    assert not cache.put(product("Fox"), at(99))
    cache.raise_floor("Fox", at(70))
    assert cache.needed("Fox") == at(0, generation=1)
    assert cache.put(product("Fox"), at(2, generation=1))


names = st.sampled_from(["Tux", "Fox", "Lego", "Whale"])
steps = st.one_of(
    st.tuples(st.just("change"), names),
    st.tuples(st.just("read"), names),
    st.tuples(st.just("arrive"), st.integers(0, 5)),
    st.tuples(st.just("get"), names),
)


@pytest.mark.fault(7)
@given(st.lists(steps, max_size=60), st.integers(0, 3), st.integers(1, 3))
def test_whatever_the_order_no_reader_sees_less_than_was_heard(
    script: list[tuple[str, object]], capacity: int, max_floors: int
) -> None:
    cache = serving(capacity, max_floors=max_floors)
    index, changed = 1, {"Tux": 1, "Fox": 1, "Lego": 1, "Whale": 1}
    on_the_way: list[tuple[Product, Position]] = []
    for step, argument in script:
        if step == "change":
            index += 1
            changed[str(argument)] = index
            cache.raise_floor(str(argument), at(index))
        elif step == "read":
            on_the_way.append((product(str(argument), version=changed[str(argument)]), at(index)))
        elif step == "arrive" and on_the_way:
            cache.put(*on_the_way.pop(int(str(argument)) % len(on_the_way)))
        elif step == "get":
            entry = cache.get(str(argument), 0.0)
            assert entry is None or entry.product.version == changed[str(argument)]
        assert len(cache) <= capacity
        assert len(set(cache.contents())) == len(cache)
