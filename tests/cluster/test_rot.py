"""Rows that rot under a running cluster: whoever comes upon one answers no more, and is filled from the others."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.cluster.conftest import Shop
from tests.simulation.cluster import Cluster, Process
from toystore.consensus.node import NodeConfig
from toystore.model import CancelOrder, Request
from toystore.replication.replicator import Alone, Pace
from toystore.storage.interface import Rotten


def rejoin(shop: Shop, process: Process, uuid: str) -> None:
    """It has ended, for this reason; it starts again, is filled, and counts."""
    shop.run_until(lambda: process.ended)
    assert process.failure is not None
    assert process.failure.check(Rotten)
    process.boot()
    assert "put aside" in " ".join(shop.status(process).reasons)
    shop.buy()
    shop.assert_equal()
    shop.run_until(lambda: not process.disk.put_aside)
    assert process.disk.uuid != uuid
    assert shop.status(process).put_aside == ""
    assert shop.status(process).reasons == ()


def test_a_follower_that_reads_a_broken_order_ends_and_is_filled(shop: Shop) -> None:
    orders = shop.buy(5)
    shop.settle()
    follower = shop.followers[0]
    uuid = follower.disk.uuid
    follower.disk.rot("orders", 2)
    with pytest.raises(Rotten):
        shop.read(follower, lambda reader: reader.order(2))
    rejoin(shop, follower, uuid)
    assert shop.orders(follower)[:5] == orders


def test_a_leader_that_applies_to_a_broken_order_tells_nobody(shop: Shop) -> None:
    shop.buy(3)
    shop.settle()
    old = shop.leading
    uuid = old.disk.uuid
    old.disk.rot("orders", 1)
    answer = shop.submit(Request("cancel", CancelOrder(1)), old)
    answer.addErrback(lambda failure: None)
    rejoin(shop, old, uuid)
    [result] = shop.wait(shop.submit(Request("cancel", CancelOrder(1))))
    assert result.outcome.order.number == 1


def test_a_catalog_is_filled_again(shop: Shop) -> None:
    shop.buy(30)
    shop.settle()
    catalog = shop.processes["catalog-1"]
    uuid = catalog.disk.uuid
    catalog.disk.rot("product", 1)
    catalog.kill()
    catalog.boot()
    assert catalog.disk.uuid != uuid
    shop.assert_equal()
    shop.run_until(lambda: not catalog.disk.put_aside)


def test_what_is_found_at_the_start_is_put_aside_there(shop: Shop) -> None:
    shop.buy(3)
    shop.settle()
    follower = shop.followers[0]
    follower.kill()
    follower.disk.rot("log", 2)
    shop.buy(30)
    follower.boot()
    assert follower.up
    shop.assert_equal()


def test_a_snapshot_from_a_broken_leader_reaches_nobody(shop: Shop) -> None:
    """It ends in reading it, another one leads, and fills both."""
    shop.buy(3)
    shop.settle()
    away, old = shop.followers[0], shop.leading
    away.kill()
    shop.run(1.5)
    shop.buy(5)
    old.disk.rot("orders", 5)
    for _ in range(100):
        if not old.ended:
            shop.submit(shop.request(), old).addErrback(lambda failure: None)
            shop.run(0.02)
    assert old.ended
    away.boot()
    old.boot()
    shop.buy()
    shop.assert_equal()


@pytest.mark.parametrize("election", ["raft", "appointed"])
def test_a_scrub_finds_a_row_that_nobody_reads(election: str) -> None:
    shop = Shop(election)
    shop.pace = evolve(shop.pace, scrub_every=1.0)
    shop.open()
    shop.buy(3)
    shop.settle()
    shop.run(2.0)
    follower = shop.followers[0]
    before = shop.status(follower).scrubbed
    assert before.passes >= 1
    assert before.rows
    uuid = follower.disk.uuid
    follower.disk.rot("orders", 1)
    rejoin(shop, follower, uuid)
    shop.run(2.5)
    assert shop.status(follower).scrubbed.passes >= 2


def test_where_all_are_put_aside_nobody_begins_anew(shop: Shop) -> None:
    shop.buy(3)
    shop.settle()
    for process in shop.voters:
        process.kill()
        process.disk.rot("log", 2)
    for process in shop.voters:
        process.boot()
    shop.run(10)
    assert shop.leader() is None
    for process in shop.voters:
        assert "it waits for a copy" in " ".join(shop.status(process).reasons)
        assert len(process.disk.quarantine) == 1


def test_one_that_is_put_back_saves_them_all(shop: Shop) -> None:
    """What `toystore quarantine put-back` does to a disk: broken as it is, it counts until the row is met."""
    orders = shop.buy(5)
    shop.settle()
    for process in shop.voters:
        process.kill()
    back, other, whole = shop.voters
    for process in (back, other):
        process.disk.rot("log", 2)
        process.boot()
    shop.run(3)
    assert shop.leader() is None
    back.kill()
    back.disk.uuid, back.disk.hard_state, back.disk.state = back.disk.quarantine.pop()
    back.disk.put_aside = ""
    back.disk.state.rotten = {("orders", 0)}  # what is broken is nothing that is met at once
    back.boot()
    whole.boot()
    assert shop.buy()[0].number == 5
    shop.settle()
    assert shop.orders(other)[:5] == shop.orders(whole)[:5] == orders
    uuid = back.disk.uuid
    with pytest.raises(Rotten):
        shop.read(back, lambda reader: reader.order(0))
    rejoin(shop, back, uuid)


def test_alone_it_does_not_start() -> None:
    one = Cluster(1, config=NodeConfig("", ()), pace=Pace())
    one.boot()
    [process] = one.voters
    one.run_until(lambda: process.leads)
    process.kill()
    process.disk.rot("log", 1)
    for _ in range(2):
        process.boot()
        one.run(0.1)
        assert not process.up
        assert process.failure is not None
        assert process.failure.check(Alone)
