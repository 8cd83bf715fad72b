"""The promises about whole states (hashes, snapshots) and about reading, kept by every storage."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.contracts.storage_worlds import (
    TOYS,
    Log,
    World,
    everything,
    result_of,
    save_and_apply,
    state_hash,
    stocked,
)
from toystore.consensus.messages import HardState, Member
from toystore.model import (
    AdjustStock,
    CancelOrder,
    OrderStatus,
    SetPrice,
)
from toystore.storage.interface import IndexPassed, StorageError

# Whole states


def test_the_hash_of_a_state_waits_for_its_index(world: World, log: Log) -> None:
    stocked(world, log)
    here = state_hash(world)
    entries = [
        log.buy("Fox", 1),
        log.command(CancelOrder(0)),
        log.command(AdjustStock("Tux", 5)),
        log.buy("Tux", 1),
    ]
    result_of(world.storage.save(None, entries))
    waiting = [world.storage.state_hash(index) for index in (7, 8, 9)]
    result_of(world.storage.apply(entries))
    hashes = [result_of(each) for each in waiting]
    assert len({here, *hashes, state_hash(world)}) == 5
    with pytest.raises(IndexPassed):
        result_of(world.storage.state_hash(9))


def test_the_hash_does_not_depend_on_batches_or_restarts(world: World, receiver: World) -> None:
    logs = Log(), Log()
    for each, log in zip((world, receiver), logs, strict=True):
        stocked(each, log)
    one_by_one = [logs[0].buy("Fox", 1), logs[0].command(CancelOrder(0)), logs[0].buy("Tux", 1)]
    for entry in one_by_one:
        save_and_apply(world, [entry])
        result_of(world.storage.flush())
        world.crash()
    result_of(receiver.storage.save(None, one_by_one))
    hashed = receiver.storage.state_hash(8)
    result_of(receiver.storage.apply(one_by_one))
    assert state_hash(world) == state_hash(receiver)
    assert result_of(hashed) != state_hash(receiver)


def transfer(sender: World, receiver: World, since: int) -> None:
    info, spool = result_of(sender.storage.spool(since))
    arriving = receiver.storage.new_spool()
    for offset in range(0, info.size, 700):
        arriving.append(spool.read(offset, 700))
    recovered = result_of(receiver.storage.install(info, arriving))
    assert (recovered.base_index, recovered.applied, recovered.entries) == (
        info.meta.index,
        info.meta.index,
        (),
    )
    spool.close()
    arriving.close()


def without_log(shown: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in shown.items() if name not in ("log", "digests")}


def test_a_snapshot_makes_an_empty_replica_the_same(world: World, receiver: World, log: Log) -> None:
    stocked(world, log)
    save_and_apply(world, [log.members("raft", a="u"), log.command(CancelOrder(1)), log.command(AdjustStock("Élan", 3))])
    uuid = receiver.crash().uuid
    result_of(receiver.storage.save(HardState(7, "b"), [Log().noop()]))
    transfer(world, receiver, since=0)
    assert state_hash(receiver) == state_hash(world)
    recovered = receiver.crash()
    assert (recovered.uuid, recovered.hard_state, recovered.base_term) == (uuid, HardState(7, "b"), 1)
    assert (recovered.election, recovered.members) == ("raft", {"a": Member("u", 7)})
    assert without_log(everything(receiver)) == without_log(everything(world))
    entry = log.buy("Fox", 1)
    assert save_and_apply(receiver, [entry]) == save_and_apply(world, [entry])
    assert state_hash(receiver) == state_hash(world)


@pytest.mark.parametrize("since", [4, 6])
def test_a_snapshot_brings_what_changed_also_to_old_orders(world: World, receiver: World, log: Log, since: int) -> None:
    stocked(world, log)
    stocked(receiver, Log())
    save_and_apply(
        world,
        [log.command(CancelOrder(0)), log.buy("Tux", 2), log.command(SetPrice("Fox", 9)), log.buy("Fox", 1)],
    )
    save_and_apply(world, [log.command(CancelOrder(3))])
    transfer(world, receiver, since)
    assert receiver.crash().applied == 11
    assert without_log(everything(receiver)) == without_log(everything(world))
    assert state_hash(receiver) == state_hash(world)


def test_a_whole_snapshot_of_a_later_generation_takes_the_place_of_everything(
    world: World, receiver: World, log: Log
) -> None:
    """Of an earlier index too: an operator has accepted the loss of what the receiver has."""
    save_and_apply(world, [log.noop(), log.command(TOYS), log.members("appointed", generation=1, a="u")])
    stocked(receiver, Log())
    transfer(world, receiver, since=0)
    recovered = receiver.crash()
    assert (recovered.applied, recovered.generation) == (3, 1)
    assert without_log(everything(receiver)) == without_log(everything(world))


def test_a_snapshot_of_an_earlier_generation_or_a_part_of_a_later_one_does_not_fit(
    world: World, receiver: World, log: Log
) -> None:
    stocked(world, log)
    save_and_apply(receiver, [Log().members("appointed", generation=1, a="u")])
    with pytest.raises(StorageError, match="does not fit a state at 1 of generation 1"):
        result_of(receiver.storage.install(*result_of(world.storage.spool(0))))
    save_and_apply(world, [log.members("appointed", generation=2, a="u")])
    with pytest.raises(StorageError, match="does not fit"):
        result_of(receiver.storage.install(*result_of(world.storage.spool(1))))


def test_a_snapshot_that_does_not_fit_changes_nothing(world: World, receiver: World, log: Log) -> None:
    stocked(world, log)
    save_and_apply(receiver, [Log().noop()])
    before = everything(receiver)
    info, spool = result_of(world.storage.spool(2))
    with pytest.raises(StorageError, match="does not fit"):
        result_of(receiver.storage.install(info, spool))
    with pytest.raises(StorageError, match="does not fit"):
        result_of(world.storage.install(*result_of(world.storage.spool(0))))
    assert everything(receiver) == before


@pytest.mark.parametrize("damage", ["cut", "byte", "other", "contents"])
def test_a_damaged_snapshot_changes_nothing(world: World, receiver: World, log: Log, damage: str) -> None:
    stocked(world, log)
    theirs = Log()
    save_and_apply(receiver, [theirs.noop(), theirs.command(TOYS), theirs.buy("Tux", 9)])
    result_of(receiver.storage.flush())
    before = everything(receiver)
    info, spool = result_of(world.storage.spool(0))
    data = spool.read(0, info.size)
    arrived = receiver.storage.new_spool()
    if damage == "other":
        info = evolve(info, meta=evolve(info.meta, index=99))
    elif damage == "contents":
        data = data.replace(b"placed", b"plaxed")
    arrived.append({"cut": data[:-30], "byte": data.replace(b"Tux", b"Tax", 1)}.get(damage, data))
    if damage == "contents":
        info = evolve(info, sha256=arrived.sha256())
    with pytest.raises(StorageError):
        result_of(receiver.storage.install(info, arrived))
    assert everything(receiver) == before
    receiver.crash()
    assert everything(receiver) == before
    transfer(world, receiver, since=0)
    assert state_hash(receiver) == state_hash(world)


# Reading


def test_a_reader_finds_products(world: World, log: Log) -> None:
    stocked(world, log)

    def names(**wanted: object) -> list[str]:
        return [p.name for p in result_of(world.storage.read(lambda r: r.products(**{"after": 0, "limit": 9} | wanted)))]

    assert names() == ["Tux", "Fox", "Élan"]
    assert (names(after=1), names(limit=1), names(limit=0)) == (["Fox", "Élan"], ["Tux"], [])
    assert (names(text="X"), names(text="éL"), names(topic="ski"), names(topic="sk")) == (
        ["Tux", "Fox"],
        ["Élan"],
        ["Élan"],
        [],
    )
    assert result_of(world.storage.read(lambda r: r.product_with_number(7))).name == "Élan"
    assert result_of(world.storage.read(lambda r: r.product_with_number(3))) is None
    assert result_of(world.storage.read(lambda r: r.highest_product_number())) == 7


@pytest.mark.parametrize("flushed", [False, True])
def test_a_reader_pages_through_orders(world: World, log: Log, flushed: bool) -> None:
    save_and_apply(world, [log.command(TOYS), *(log.buy("Fox", 1) for _ in range(5))])
    result_of(world.storage.flush())
    save_and_apply(world, [log.command(CancelOrder(2)), log.buy("Fox", 1)])
    if flushed:
        result_of(world.storage.flush())
    read = world.storage.read
    assert [o.number for o in result_of(read(lambda r: r.orders(None, 3)))] == [5, 4, 3]
    assert [o.number for o in result_of(read(lambda r: r.orders(3, 9)))] == [2, 1, 0]
    assert [o.number for o in result_of(read(lambda r: r.orders_from(4, 9)))] == [4, 5]
    assert [o.number for o in result_of(read(lambda r: r.orders_from(0, 2)))] == [0, 1]
    assert result_of(read(lambda r: r.orders_from(2, 1)))[0].status is OrderStatus.CANCELLED
    assert result_of(read(lambda r: (r.orders(0, 5), r.orders_from(6, 5), r.orders_from(10**30, 5)))) == (
        [],
        [],
        [],
    )


def test_a_query_that_fails_breaks_nothing(world: World) -> None:
    with pytest.raises(ZeroDivisionError):
        result_of(world.storage.read(lambda r: 1 // r.applied()))
    assert result_of(world.storage.read(lambda r: r.applied())) == 0
