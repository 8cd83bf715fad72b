"""A leader that dies, is cut off, sleeps or is told to stop."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from tests.cluster.conftest import Shop
from toystore.consensus.messages import Message
from toystore.model import Done
from toystore.replication.interface import Answer, NotLeader, Unsure
from toystore.replication.loopback import prompt


@pytest.mark.row("G5")
def test_an_order_is_found_after_its_leader_has_died(shop: Shop) -> None:
    [order] = shop.buy()
    shop.leading.kill()
    found, _ = shop.wait(shop.leading.replica.read_linearizable(lambda reader: reader.order(order.number)))
    assert found == order


def test_a_new_leader_serves_within_a_second(shop: Shop) -> None:
    shop.buy()
    dead, began = shop.leading, shop.timeline.now
    dead.kill()
    assert shop.leading is not dead
    assert shop.timeline.now - began < 1.0


@pytest.mark.fault(1)
def test_an_order_in_flight_when_the_leader_dies_is_carried_out_once(shop: Shop) -> None:
    """It reached the followers, and nobody was told: sent again under its request id, it gets its one order."""
    before = shop.read(shop.leading, lambda reader: reader.product("Tux").quantity)
    leader, request = shop.leading, shop.request()
    shop.submit(request)
    shop.run_until(lambda: all(p.disk.state.last_index() > leader.replica.position().index for p in shop.followers))
    leader.kill()
    [answer] = shop.wait(shop.submit(request))
    assert isinstance(answer.outcome, Done)
    leader.boot()
    shop.settle()
    shop.assert_equal()
    assert [order.key for order in shop.orders(leader)] == [request.request_id]
    assert shop.read(leader, lambda reader: reader.product("Tux").quantity) == before - 1


@pytest.mark.row("T3")
@pytest.mark.fault(1)
def test_an_order_that_only_the_dead_leader_had_has_left_no_trace(shop: Shop) -> None:
    leader, request = shop.leading, shop.request()
    shop.network.fate = lambda message: []
    shop.submit(request)
    shop.run(0.05)
    leader.kill(keep=1)
    shop.network.fate = prompt
    shop.buy()
    leader.boot()
    shop.run(0.1)
    shop.assert_equal()
    assert request.request_id not in [order.key for order in shop.orders(leader)]
    assert shop.read(leader, lambda reader: reader.product("Tux").quantity) == 9_999


@pytest.mark.fault(6)
def test_a_leader_that_slept_through_its_succession_acts_no_more(shop: Shop) -> None:
    old = shop.leading
    old.clock.pause()
    shop.run_until(lambda: shop.leader() is not old)
    shop.buy(3)
    shop.run(10)
    old.clock.resume()
    assert old.leads  # it knows of nothing yet
    order = shop.submit(shop.request("late"), old)
    read = old.replica.read_linearizable(lambda reader: reader.next_order_number())
    assert not read.called
    [result] = shop.wait(order)
    assert isinstance(result, Unsure)
    with pytest.raises(NotLeader):
        shop.wait(read)
    assert not old.leads
    shop.run(0.5)
    shop.assert_equal()
    assert "late" not in [order.key for order in shop.orders(old)]


def test_a_leader_without_a_quorum_steps_down() -> None:
    """By itself, where nobody appoints another."""
    shop = Shop("raft").open()
    old = shop.leading

    def cut(message: Message) -> list[float]:
        return [] if old.id in (message.sender, message.to) else prompt(message)

    shop.network.fate = cut
    shop.run(1.0)
    assert not old.leads
    with pytest.raises(NotLeader):
        shop.wait(shop.submit(shop.request(), old))
    shop.buy()
    shop.network.fate = prompt
    shop.run(0.5)
    shop.assert_equal()


def test_a_leader_that_is_told_to_stop_hands_over_first(shop: Shop) -> None:
    shop.buy()
    old, began = shop.leading, shop.timeline.now
    stopped = Deferred.fromCoroutine(old.replica.stop())
    shop.run_until(lambda: any(process.leads for process in shop.voters if process is not old))
    assert shop.timeline.now - began < 0.1  # no election timeout had to pass
    shop.wait(stopped)
    old.kill()
    [order] = shop.buy()
    assert order.number == 1
    old.boot()
    shop.run(0.1)
    shop.assert_equal()


@pytest.mark.row("P1", "T1", "T2")
def test_two_of_three_are_enough_and_one_is_not() -> None:
    shop = Shop("raft").open()
    first, second = shop.followers
    first.kill()
    shop.buy()
    second.kill()
    [answer] = shop.wait(shop.submit(shop.request("unsure")))
    assert isinstance(answer, Unsure)
    second.boot()
    [answer] = shop.wait(shop.submit(shop.request("unsure")))
    assert isinstance(answer, Answer)
    assert len(shop.orders(shop.leading)) == 2
