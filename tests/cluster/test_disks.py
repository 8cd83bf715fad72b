"""Disks that fill up, stall and fail."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import Shop
from toystore.replication.interface import NotLeader, Unsure


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
