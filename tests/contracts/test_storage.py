"""The promises of toystore/storage/interface.py, kept by every storage."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from tests.contracts.storage_worlds import (
    TOYS,
    Log,
    MemoryWorld,
    SqliteWorld,
    World,
    everything,
    result_of,
    save_and_apply,
    state_hash,
    stocked,
)
from toystore.consensus.messages import HardState, Member
from toystore.consensus.views import View
from toystore.ledger import EMPTY_DIGEST
from toystore.model import (
    CancelOrder,
    Done,
    Line,
    OrderStatus,
    PlaceOrder,
    Refusal,
    Refused,
    RestockEmpty,
    SetPrice,
)
from toystore.storage.interface import DiskFull, StorageError

# The log and the hard state


def test_a_fresh_storage_is_empty_and_has_a_uuid(world: World) -> None:
    recovered = world.crash()
    assert recovered.uuid
    assert (recovered.hard_state, recovered.base_index, recovered.entries) == (HardState(), 0, ())
    assert (recovered.applied, recovered.members, recovered.election) == (0, {}, "")
    assert result_of(world.storage.read(lambda r: (r.digest(), r.next_order_number()))) == (EMPTY_DIGEST, 0)


@pytest.mark.fault(11)
def test_what_was_saved_survives_a_crash(world: World, log: Log) -> None:
    uuid = world.crash().uuid
    entries = (log.noop(), log.command(TOYS))
    result_of(world.storage.save(HardState(3, "order-2"), entries))
    recovered = world.crash()
    assert (recovered.uuid, recovered.hard_state, recovered.entries) == (
        uuid,
        HardState(3, "order-2"),
        entries,
    )


def test_a_view_and_a_promise_survive_a_crash(world: World) -> None:
    view = View("R", 1, 5, 2, "order-1", {"order-1": "u1"}, ("Q",))
    result_of(world.storage.save(HardState(2, None, view, (3, "S")), ()))
    assert world.crash().hard_state == HardState(2, None, view, (3, "S"))


def test_entries_replace_everything_from_the_first_on(world: World, log: Log) -> None:
    old = [log.noop() for _ in range(5)]
    result_of(world.storage.save(None, old))
    newer = Log(term=2)
    newer.last = 2
    result_of(world.storage.save(HardState(2), [newer.noop()]))
    assert world.crash().entries == (*old[:2], evolve(old[2], term=2))


@pytest.mark.parametrize("index", [0, 1, 2, 5])
def test_entries_that_do_not_fit_the_log_are_an_error(world: World, log: Log, index: int) -> None:
    save_and_apply(world, [log.noop(), log.noop()])
    result_of(world.storage.save(None, [log.noop()]))
    with pytest.raises(StorageError):
        result_of(world.storage.save(None, [evolve(log.noop(), index=index)]))


def test_entries_with_gaps_are_an_error(world: World, log: Log) -> None:
    with pytest.raises(StorageError, match="gaps"):
        result_of(world.storage.save(None, [log.noop(), evolve(log.noop(), index=3)]))


def test_only_the_next_logged_entry_is_applied(world: World, log: Log) -> None:
    entries = [log.noop(), log.noop(), log.noop()]
    result_of(world.storage.save(None, entries[:2]))
    with pytest.raises(StorageError, match="can not be applied"):
        result_of(world.storage.apply(entries))


def test_the_log_is_dropped_up_to_an_index(world: World, log: Log) -> None:
    stocked(world, log)
    result_of(world.storage.compact(4))
    result_of(world.storage.flush())
    recovered = world.crash()
    assert (recovered.base_index, recovered.base_term, recovered.applied) == (4, 1, 6)
    assert [entry.index for entry in recovered.entries] == [5, 6]
    rows = result_of(world.storage.read(lambda r: r.log_from(0, 9)))
    assert [row.entry.index for row in rows] == [5, 6]
    assert result_of(world.storage.read(lambda r: r.digest_at(4))) is None
    assert save_and_apply(world, [log.buy("Tux", 1)])[0].order.number == 3


def test_what_is_not_applied_stays_in_the_log(world: World, log: Log) -> None:
    result_of(world.storage.save(None, [log.noop(), log.noop()]))
    with pytest.raises(StorageError, match="applied is 0"):
        result_of(world.storage.compact(1))


# Applying


def test_a_buy_moves_stock_and_places_an_order_in_one(world: World, log: Log) -> None:
    save_and_apply(world, [log.noop(), log.command(TOYS)])
    (outcome,) = save_and_apply(world, [log.buy("Fox", 7)])
    assert isinstance(outcome, Done)
    assert result_of(world.storage.read(lambda r: r.product("Fox"))) == outcome.products[0]
    assert outcome.products[0].quantity == 93
    assert result_of(world.storage.read(lambda r: r.order(0))) == outcome.order


def test_outcomes_name_their_entry_and_request(world: World, log: Log) -> None:
    entries = [log.noop(), log.command(TOYS, "load")]
    result_of(world.storage.save(None, entries))
    noop, load = result_of(world.storage.apply(entries))
    assert (noop.index, noop.term, noop.request_id, noop.outcome) == (1, 1, None, None)
    assert (load.index, load.request_id, load.outcome.index) == (2, "load", 2)


def test_what_was_applied_is_durable_with_the_next_save(world: World, log: Log) -> None:
    stocked(world, log)
    result_of(world.storage.save(HardState(4), ()))
    before = everything(world)
    assert world.crash().applied == 6
    assert everything(world) == before


def test_applied_effects_that_were_lost_are_applied_again(world: World, log: Log) -> None:
    stocked(world, log)
    before, hashed = everything(world), state_hash_unsynced(world)
    recovered = world.crash()
    result_of(world.storage.apply(recovered.entries[recovered.applied :]))
    assert everything(world) == before
    if hashed is not None:
        assert state_hash(world) == hashed


def state_hash_unsynced(world: World) -> str | None:
    """Hashing writes what waits in SQLite, and would spoil a test about what is not written."""
    return state_hash(world) if isinstance(world, MemoryWorld) else None


def test_a_crash_loses_only_what_came_after_the_last_save(world: World, log: Log) -> None:
    stocked(world, log)
    later = [
        log.buy("Fox", 10),
        log.command(CancelOrder(0)),
        log.command(SetPrice("Tux", 1)),
        log.members("raft", a="u"),
    ]
    result_of(world.storage.save(None, later))
    before = everything(world)
    result_of(world.storage.apply(later))
    assert everything(world)["head"] != before["head"]
    recovered = world.crash()
    assert (recovered.applied, recovered.members) == (6, {})
    assert everything(world) == before


@pytest.mark.row("O13")
def test_order_numbers_go_on_after_a_restart(world: World, log: Log) -> None:
    stocked(world, log)
    result_of(world.storage.flush())
    world.crash()
    (outcome,) = save_and_apply(world, [log.buy("Tux", 1)])
    assert outcome.order.number == 3


@pytest.mark.fault(2, 3)
def test_the_very_first_order_is_found_after_a_restart(world: World, log: Log) -> None:
    stocked(world, log)
    result_of(world.storage.flush())
    world.crash()
    first = result_of(world.storage.read(lambda r: r.order(0)))
    assert (first.number, first.lines[0].name, first.lines[0].quantity) == (0, "Fox", 3)
    assert [o.number for o in result_of(world.storage.read(lambda r: r.orders(None, 9)))] == [2, 1, 0]


@pytest.mark.parametrize("restart", [False, True])
def test_a_repeated_request_gets_the_same_outcome_and_changes_nothing(world: World, log: Log, restart: bool) -> None:
    buy = PlaceOrder("buy", (Line("Fox", 3),), "k")
    first = save_and_apply(world, [log.command(TOYS), log.command(buy, "r"), log.command(PlaceOrder("x", (), ""), "s")])
    if restart:
        result_of(world.storage.flush())
        world.crash()
    before = everything(world)
    again = save_and_apply(world, [log.command(buy, "r"), log.command(buy, "s")])
    assert again == first[1:]
    after = everything(world)
    assert (after["products"], after["orders"]) == (before["products"], before["orders"])
    assert after["head"][1] != before["head"][1]


@pytest.mark.parametrize("restart", [False, True])
def test_a_key_stands_for_its_order_for_ever(world: World, log: Log, restart: bool) -> None:
    save_and_apply(world, [log.command(TOYS), log.buy("Fox", 3, "mine")])
    if restart:
        result_of(world.storage.flush())
        world.crash()
    same, other = save_and_apply(world, [log.buy("Fox", 3, "mine"), log.buy("Fox", 4, "mine")])
    assert (same.replayed, same.order.number) == (True, 0)
    assert (other.refusal, result_of(world.storage.read(lambda r: r.product("Fox"))).quantity) == (
        Refusal.KEY_REUSED,
        97,
    )


def test_a_key_is_known_within_its_batch(world: World, log: Log) -> None:
    entries = [
        log.command(TOYS),
        log.buy("Fox", 3, "k"),
        log.buy("Fox", 3, "k"),
        log.command(CancelOrder(0)),
        log.command(CancelOrder(0)),
    ]
    _, placed, replayed, cancelled, again = save_and_apply(world, entries)
    assert (placed.order, replayed.replayed) == (replayed.order, True)
    assert cancelled.order.status is OrderStatus.CANCELLED
    assert (again.replayed, again.order) == (True, cancelled.order)


def test_a_name_or_key_may_hold_anything(world: World, log: Log) -> None:
    odd = "a\0b\"'\\ \u20ac \U0001f98a"
    save_and_apply(
        world,
        [
            log.command(TOYS),
            log.buy("Fox", 1, odd),
            log.buy("Fox", 1, "a"),
            log.command(SetPrice("Fox", 2), odd),
        ],
    )
    result_of(world.storage.flush())
    world.crash()
    assert result_of(world.storage.read(lambda r: r.order_with_key(odd).number)) == 0
    (again,) = save_and_apply(world, [log.buy("Fox", 1, odd)])
    assert (again.replayed, again.order.number) == (True, 0)


def test_an_absurd_number_is_only_an_unknown_order(world: World, log: Log) -> None:
    outcomes = save_and_apply(world, [log.command(CancelOrder(number)) for number in (-1, 0, 2**53, 10**30)])
    assert all(isinstance(outcome, Refused) for outcome in outcomes)
    assert result_of(world.storage.read(lambda r: (r.order(10**30), r.order(-1)))) == (None, None)


def test_outcomes_are_forgotten_after_a_stretch_of_the_log(world: World, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toystore.ledger.REMEMBERED", 3)
    save_and_apply(world, [log.command(TOYS, "load"), log.buy("Fox", 1), log.buy("Fox", 1)])
    assert result_of(world.storage.read(lambda r: r.remembered("load")))
    save_and_apply(world, [log.buy("Fox", 1)])
    for _ in range(2):
        assert result_of(world.storage.read(lambda r: r.remembered("load"))) is None
        assert result_of(world.storage.read(lambda r: r.remembered("request-2")))
        result_of(world.storage.flush())
        world.crash()


def test_members_are_named_by_the_entry_that_changed_them(world: World, log: Log) -> None:
    save_and_apply(world, [log.members("raft", a="1", b="2"), log.noop(), log.members("raft", a="1", b="3")])
    result_of(world.storage.flush())
    recovered = world.crash()
    assert (recovered.election, recovered.members) == ("raft", {"a": Member("1", 1), "b": Member("3", 3)})


def test_both_storages_come_to_the_same_digest(tmp_path: Path) -> None:
    states = []
    for world in (MemoryWorld(tmp_path), SqliteWorld(tmp_path)):
        world.open()
        log = Log()
        stocked(world, log)
        save_and_apply(
            world,
            [log.command(CancelOrder(1)), log.command(RestockEmpty(100, 0)), log.members("raft", a="u")],
        )
        states.append((everything(world), state_hash(world)))
    assert states[0] == states[1]


# A disk in trouble


@pytest.mark.fault(11)
def test_a_full_disk_refuses_and_recovers(world: World, log: Log) -> None:
    stocked(world, log)
    result_of(world.storage.flush())
    more = [log.buy("Fox", 1, f"key-{n}" + "x" * 100) for n in range(200)]
    result_of(world.storage.save(None, more))
    outcomes = result_of(world.storage.apply(more))
    world.fill_up()
    last = [log.buy("Tux", 1, "y" * 5000)]
    with pytest.raises(DiskFull):
        result_of(world.storage.save(HardState(9, "a"), last))
    told = everything(world)
    assert len(told["log"]) == 206
    world.make_room()
    result_of(world.storage.save(None, last))
    recovered = world.crash()
    assert (recovered.hard_state, recovered.applied, recovered.entries[-1]) == (HardState(), 206, last[0])
    after = everything(world)
    assert (after["orders"], after["products"]) == (told["orders"], told["products"])
    assert [a.outcome.order.number for a in outcomes if isinstance(a.outcome, Done)] == list(range(3, 99))
    assert len(after["orders"]) == 99


@pytest.mark.fault(11)
def test_after_a_failed_sync_nothing_works_and_the_uuid_is_another(world: World, log: Log) -> None:
    uuid = world.crash().uuid
    stocked(world, log)
    world.break_next_sync()
    with pytest.raises(StorageError):
        result_of(world.storage.save(HardState(2), ()))
    with pytest.raises(StorageError):
        result_of(world.storage.read(lambda r: r.applied()))
    recovered = world.crash()
    assert recovered.uuid not in ("", uuid)
    assert world.crash().uuid == recovered.uuid


def test_a_new_uuid_is_durable(world: World) -> None:
    uuid = result_of(world.storage.renew_uuid())
    assert world.crash().uuid == uuid


def test_close_makes_durable(world: World, log: Log) -> None:
    stocked(world, log)
    result_of(world.storage.close())
    assert world.crash().applied == 6
