"""A replica that was away, with its disk or without, gets all that it lacks."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import Shop
from toystore.consensus.node import NodeConfig
from toystore.replication.replicator import ModeMismatch


@pytest.mark.row("P7", "P2", "P3", "T3")
def test_by_the_log(shop: Shop) -> None:
    shop.buy(2)
    away = shop.followers[0]
    away.kill()
    shop.buy(5)
    away.boot()
    shop.run(0.3)
    assert away.disk.state.base_index == 0
    shop.assert_equal()


@pytest.mark.row("P7", "P5")
def test_by_a_snapshot(shop: Shop) -> None:
    shop.buy(2)
    away = shop.followers[0]
    away.kill()
    shop.buy(60)
    away.boot()
    shop.run(0.3)
    assert away.disk.state.base_index > 0
    shop.assert_equal()
    assert len(shop.orders(away)) == 62


@pytest.mark.row("P2")
@pytest.mark.fault(2)
@pytest.mark.parametrize("orders", [1, 2, 40])
def test_with_an_empty_disk_not_even_order_0_is_lost(shop: Shop, orders: int) -> None:
    placed = shop.buy(orders)
    away = shop.followers[0]
    away.kill()
    away.disk.wipe()
    away.boot()
    shop.run(0.3)
    shop.assert_equal()
    assert shop.orders(away) == placed


def test_a_wiped_replica_counts_again_once_it_is_named(shop: Shop) -> None:
    """With the new one alone the leader would have nobody: it must be named before it counts."""
    shop.buy()
    wiped, other = shop.followers
    wiped.kill()
    wiped.disk.wipe()
    wiped.boot()
    shop.settle()
    assert wiped.replica.node.uuid == wiped.disk.uuid
    assert wiped.replica.node.named
    other.kill()
    [order] = shop.buy()
    assert order.number == 1


@pytest.mark.row("P6")
def test_a_learner_follows(shop: Shop) -> None:
    catalog = shop.processes["catalog-1"]
    shop.buy(3)
    shop.settle()
    assert len(shop.orders(catalog)) == 3
    catalog.kill()
    shop.buy(50)
    catalog.boot()
    shop.run(0.3)
    shop.assert_equal()
    assert shop.status(catalog).state == "learner"


@pytest.mark.row("O13")
def test_numbers_go_on_after_all_have_been_away(shop: Shop) -> None:
    placed = shop.buy(3)
    for process in shop.processes.values():
        process.kill()
    for process in shop.processes.values():
        process.boot()
    [order] = shop.buy()
    assert order.number == 3
    shop.assert_equal()
    assert shop.orders(shop.leading) == [*placed, order]


def test_another_election_mode_is_refused(shop: Shop) -> None:
    shop.settle()
    process = shop.followers[0]
    process.kill()
    founded = shop.config.election
    other = {"raft": "appointed", "appointed": "raft"}[founded]
    shop.config = NodeConfig("", shop.config.voters, shop.config.learners, election=other)
    process.boot()
    shop.run(0.01)
    assert not process.up
    assert process.failure is not None
    assert process.failure.check(ModeMismatch)
    assert f"founded with election = '{founded}'" in process.failure.getErrorMessage()


def test_a_leader_whose_only_follower_needs_a_snapshot_waits_for_it() -> None:
    """A slow transfer takes longer than an election timeout; the leader is in contact with a majority all the time."""
    shop = Shop("raft", keep_entries=4, snapshot_chunk=300).open()
    away, other = shop.followers
    whole = shop.leading
    away.kill()
    shop.buy(60)
    other.kill()
    whole.kill()
    shop.network.fate = lambda message: [0.05]
    whole.boot()
    away.boot()
    shop.run(20.0)
    assert whole.leads
    [answer] = shop.wait(shop.submit(shop.request(), whole))
    assert answer.outcome.order.number == 60
    other.boot()
    shop.assert_equal()
