"""Disks that fill up, stall and fail."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import pytest
from twisted.internet.defer import Deferred, fail

from tests.cluster.conftest import Shop
from tests.simulation.cluster import Cluster, Process
from toystore.consensus.messages import Entry
from toystore.replication.interface import NotLeader, Unsure
from toystore.storage.interface import Applied, DiskFull
from toystore.storage.memory import MemoryStorage


def test_a_full_disk_demotes_its_leader_which_recovers_by_itself(shop: Shop) -> None:
    old = shop.leading
    old.disk.full = True
    answer = shop.submit(shop.request("unsure"), old)
    shop.run_until(lambda: not old.leads)
    [result] = shop.wait(answer)
    assert isinstance(result, Unsure)
    assert shop.status(old).reasons == ("no leader", "the disk is full")
    shop.buy(3)
    assert not old.leads
    with pytest.raises(NotLeader):
        shop.wait(shop.submit(shop.request(), old))
    old.disk.full = False
    shop.run(0.5)
    shop.assert_equal()
    assert shop.status(old).reasons == ()


@pytest.mark.row("P3")
def test_a_follower_with_a_full_disk_does_not_stop_the_others(shop: Shop) -> None:
    full = shop.followers[0]
    full.disk.full = True
    shop.buy(3)
    full.disk.full = False
    shop.run(0.5)
    shop.assert_equal()


def test_a_leader_whose_disk_stalls_is_replaced(shop: Shop) -> None:
    old = shop.leading
    old.disk.stall()
    shop.submit(shop.request())
    shop.run(1.5)
    assert not old.leads
    shop.buy()
    old.release()
    shop.run(0.5)
    shop.assert_equal()


def test_a_failed_save_ends_the_process_which_comes_back_under_a_new_uuid(shop: Shop) -> None:
    [order] = shop.buy()
    failing, uuid = shop.followers[0], shop.followers[0].disk.uuid
    failing.disk.fail_next_save()
    shop.buy()
    shop.run_until(lambda: failing.ended)
    assert failing.failure is not None
    assert "failed to sync" in failing.failure.getErrorMessage()
    failing.boot()
    shop.run(0.5)
    assert failing.disk.uuid != uuid
    assert failing.replica.node.named
    shop.assert_equal()
    assert shop.orders(failing)[0] == order


def test_a_leader_whose_save_fails_has_acknowledged_nothing(shop: Shop) -> None:
    """Its own copy counts once it is on its disk: with both followers' disks stalled too, nobody was told anything."""
    leader = shop.leading
    for follower in shop.followers:
        follower.disk.stall()
    leader.disk.fail_next_save()
    [result] = shop.wait(shop.submit(shop.request("lost"), leader))
    assert isinstance(result, Unsure)
    shop.run(0.01)
    assert leader.ended


def go_back(shop: Shop, process: Process) -> None:
    """The process dies, and its disk holds what it held three orders ago, under the same uuid."""
    shop.settle()
    hard_state, state = process.disk.hard_state, deepcopy(process.disk.state)
    shop.buy(3)
    shop.settle()
    process.kill()
    process.disk.hard_state, process.disk.state = hard_state, state
    state.undo_unsynced()


def test_a_disk_that_has_less_than_it_acknowledged_is_named_anew(shop: Shop) -> None:
    liar = shop.followers[0]
    uuid = liar.disk.uuid
    go_back(shop, liar)
    liar.boot()
    shop.run(0.5)
    assert liar.disk.uuid != uuid
    assert liar.replica.node.named
    shop.assert_equal()


def test_it_is_named_anew_once_there_is_room(shop: Shop) -> None:
    liar = shop.followers[0]
    uuid = liar.disk.uuid
    go_back(shop, liar)
    liar.disk.full = True
    liar.boot()
    shop.run(0.5)
    assert (liar.up, liar.ended, liar.disk.uuid) == (True, False, uuid)
    assert "the disk is full" in shop.status(liar).reasons
    liar.disk.full = False
    shop.run(0.5)
    assert liar.disk.uuid != uuid
    shop.assert_equal()


class CrampedStorage(MemoryStorage):
    """Finds no room to apply either, once its disk is full; what it saves still fits."""

    cramped = False

    def apply(self, entries: Sequence[Entry]) -> Deferred[list[Applied]]:
        return fail(DiskFull("no room to apply")) if self.cramped else super().apply(entries)


def test_a_replica_that_could_not_apply_for_want_of_room_leads_again() -> None:
    """Alone, it has nothing to save before it leads: that the apply has gone through must be enough."""

    class Alone(Cluster):
        def open_storage(self, process: Process) -> MemoryStorage:
            self.storage = CrampedStorage(process.disk, process.clock)
            return self.storage

    alone = Alone(1)
    alone.boot()
    [process] = alone.voters
    alone.run_until(lambda: process.leads)
    alone.storage.cramped = True
    process.replica.submit([Shop().request()])
    alone.run(0.5)
    assert not process.leads
    alone.storage.cramped = False
    alone.run_until(lambda: process.leads)
