"""A row that is not what was written: whoever comes upon it, the database is put aside, in every storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from tests.contracts.storage_worlds import (
    TOYS,
    Log,
    MemoryWorld,
    World,
    everything,
    result_of,
    save_and_apply,
    state_hash,
    stocked,
)
from toystore.consensus.messages import HardState
from toystore.model import AdjustStock, CancelOrder
from toystore.storage.interface import Rotten

pytestmark = pytest.mark.usefixtures("without_syncs")


def at_once() -> Deferred[None]:
    return succeed(None)


def scrub(world: World) -> int:
    return result_of(world.storage.scrub(at_once))


@pytest.fixture
def filled(world: World, log: Log) -> World:
    """Three orders and a change; the entries up to 3 are no longer in the log."""
    stocked(world, log)
    save_and_apply(world, [log.command(AdjustStock("Fox", 1))])
    result_of(world.storage.save(HardState(2, "a"), ()))
    result_of(world.storage.compact(3))
    result_of(world.storage.flush())
    return world


ROWS = [
    ("meta", "hard_state"), ("meta", "uuid"), ("meta", "base"), ("meta", "head"), ("meta", "counts"), ("log", 4),
    ("digest", 5), ("product", 2), ("orders", 0), ("orders", 2), ("outcome", 4), ("change", 7),
]  # fmt: skip
BY_NAME = pytest.mark.parametrize(("table", "key"), ROWS, ids=str)


def test_a_scrub_finds_nothing_in_what_was_written(filled: World) -> None:
    rows = scrub(filled)
    assert scrub(filled) == rows > 20
    result_of(filled.storage.flush())
    assert filled.crash().put_aside == ""


def test_a_scrub_of_nothing(world: World) -> None:
    assert scrub(world) == 5


@BY_NAME
def test_a_scrub_finds_a_broken_row_of_any_table(filled: World, table: str, key: int | str) -> None:
    filled.rot(table, key)
    with pytest.raises(Rotten):
        scrub(filled)


@BY_NAME
def test_what_was_found_is_put_aside_and_the_next_begins_empty(filled: World, table: str, key: int | str) -> None:
    uuid = filled.crash().uuid
    filled.rot(table, key)
    with pytest.raises(Rotten):
        scrub(filled)
    recovered = filled.crash()
    assert "its database was put aside" in recovered.put_aside
    assert table in recovered.put_aside
    assert (recovered.applied, recovered.entries, recovered.members) == (0, (), {})
    assert recovered.hard_state == HardState()
    assert recovered.uuid not in ("", uuid)
    assert filled.kept_aside() == 1
    assert scrub(filled) == 5


OPENED = [row for row in ROWS if row[0] not in ("digest", "change") and row != ("orders", 0)]


@pytest.mark.parametrize(("table", "key"), OPENED, ids=str)
def test_what_is_read_at_opening_is_put_aside_there(filled: World, table: str, key: int | str) -> None:
    filled.rot(table, key)
    recovered = filled.crash()
    assert f"row {key} of {table}" in recovered.put_aside
    assert recovered.applied == 0


QUERIES: dict[str, tuple[str, int, Callable[[Any], Any]]] = {
    "order": ("orders", 0, lambda reader: reader.order(0)),
    "key": ("orders", 0, lambda reader: reader.order_with_key("key-3")),
    "newest": ("orders", 0, lambda reader: reader.orders(None, 9)),
    "orders": ("orders", 0, lambda reader: reader.orders_from(0, 9)),
    "log": ("log", 5, lambda reader: reader.log_from(0, 9)),
    "digest": ("digest", 5, lambda reader: reader.digest_at(5)),
    "change": ("change", 7, lambda reader: reader.changes_from(0, 0, 9)),
    "outcome": ("outcome", 4, lambda reader: reader.remembered("request-4")),
}


@pytest.mark.parametrize(("table", "key", "query"), QUERIES.values(), ids=QUERIES)
def test_a_read_that_comes_upon_it_fails_and_so_does_everything_after(
    filled: World, log: Log, table: str, key: int, query: Callable[[Any], Any]
) -> None:
    filled.rot(table, key)
    assert result_of(filled.storage.read(lambda reader: reader.product("Fox"))) is not None
    with pytest.raises(Rotten):
        result_of(filled.storage.read(query))
    for call in (
        lambda: filled.storage.read(lambda reader: reader.product("Fox")),
        lambda: filled.storage.save(None, [log.noop()]),
        filled.storage.flush,
        lambda: filled.storage.spool(0),
    ):
        with pytest.raises(Rotten):
            result_of(call())
    assert filled.crash().put_aside


def test_applying_comes_upon_it(filled: World, log: Log) -> None:
    filled.rot("orders", 0)
    cancel = log.command(CancelOrder(0))
    result_of(filled.storage.save(None, [cancel]))
    with pytest.raises(Rotten):
        result_of(filled.storage.apply([cancel]))
    assert filled.crash().applied == 0


@pytest.mark.parametrize(("table", "key"), [("orders", 0), ("change", 7), ("outcome", 4)])
def test_a_snapshot_and_a_hash_come_upon_it(filled: World, table: str, key: int) -> None:
    filled.rot(table, key)
    with pytest.raises(Rotten):
        result_of(filled.storage.spool(0))
    assert filled.crash().put_aside


@pytest.mark.parametrize(("table", "key"), [("orders", 0), ("change", 7), ("outcome", 4)])
def test_a_hash_comes_upon_it(filled: World, table: str, key: int) -> None:
    filled.rot(table, key)
    with pytest.raises(Rotten):
        state_hash(filled)


def test_it_stays_so_until_it_has_been_filled(filled: World, log: Log, receiver: World) -> None:
    """`receiver` has the good copy."""
    copied, spool = result_of(filled.storage.spool(0))
    result_of(receiver.storage.install(copied, spool))
    before = everything(filled)
    filled.rot("orders", 0)
    with pytest.raises(Rotten):
        scrub(filled)
    assert filled.crash().put_aside
    assert filled.crash().put_aside
    info, whole = result_of(receiver.storage.spool(0))
    assert result_of(filled.storage.install(info, whole)).put_aside
    assert filled.crash().put_aside
    result_of(filled.storage.refilled())
    assert filled.crash().put_aside == ""
    after = everything(filled)
    assert [after[name] for name in ("head", "orders", "changes")] == [before[n] for n in ("head", "orders", "changes")]
    scrub(filled)


def test_no_more_than_two_are_kept(world: World) -> None:
    for life in range(4):
        log = Log()
        save_and_apply(world, [log.command(TOYS), log.buy("Fox", life + 1)])
        result_of(world.storage.flush())
        world.rot("orders", 0)
        assert "orders" in world.crash().put_aside
        assert world.kept_aside() == min(life + 1, 2)
        result_of(world.storage.refilled())


def test_one_that_was_not_filled_again_takes_the_place_of_none(world: World) -> None:
    """What was put aside first may be the only copy."""
    for _ in range(4):
        log = Log()
        save_and_apply(world, [log.command(TOYS), log.buy("Fox", 1)])
        result_of(world.storage.flush())
        world.rot("orders", 0)
        assert world.crash().put_aside
    assert world.kept_aside() == (1 if isinstance(world, MemoryWorld) else 3)


def test_a_row_that_has_rotted_and_is_gone_is_forgotten(filled: World) -> None:
    filled.rot("log", 4)
    result_of(filled.storage.compact(5))
    result_of(filled.storage.flush())
    scrub(filled)
    assert filled.crash().put_aside == ""
