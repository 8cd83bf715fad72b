"""Whole clusters whose leader is appointed: what holds there and not where leaders are elected (design 3.1)."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import Shop
from tests.simulation.cluster import Process, Registrar
from toystore.consensus.messages import Message
from toystore.consensus.node import NodeConfig
from toystore.consensus.register import CannotAppoint
from toystore.consensus.views import View
from toystore.replication.interface import NotLeader, TurnedAway
from toystore.replication.loopback import prompt


@pytest.fixture
def shop() -> Shop:
    return Shop("appointed").open()


def registrar(shop: Shop) -> Registrar:
    assert shop.registrar is not None
    return shop.registrar


def view(shop: Shop) -> View:
    stored = registrar(shop).store.view
    assert stored is not None
    return stored


def order(shop: Shop, id_: int) -> Process:
    return shop.processes[f"order-{id_}"]


def cut_off(shop: Shop, *nodes: str) -> None:
    """They hear nobody, and nobody hears them."""

    def fate(message: Message) -> list[float]:
        return [] if (message.sender in nodes) != (message.to in nodes) else prompt(message)

    shop.network.fate = fate


@pytest.mark.row("E1")
def test_the_highest_id_leads_and_all_are_told(shop: Shop) -> None:
    assert shop.leading.id == "order-3"
    shop.settle()
    assert {process.replica.node.leader for process in shop.processes.values()} == {"order-3"}


@pytest.mark.row("E1", "E3", "X9")
def test_the_next_highest_takes_over_and_a_rejoin_changes_nothing(shop: Shop) -> None:
    placed = shop.buy(3)
    order(shop, 3).kill()
    assert shop.leading.id == "order-2"
    placed += shop.buy(2)
    order(shop, 3).boot()
    shop.settle()
    assert shop.leading.id == "order-2"
    assert shop.orders(order(shop, 3)) == placed


@pytest.mark.row("E3")
def test_a_leader_that_dies_without_any_customer_is_replaced(shop: Shop) -> None:
    """No request is needed to notice it."""
    order(shop, 3).kill()
    began = shop.timeline.now
    shop.run_until(lambda: order(shop, 2).leads)
    assert shop.timeline.now - began < 0.3


@pytest.mark.row("E4")
def test_it_serves_with_one_of_three(shop: Shop) -> None:
    shop.buy()
    for id_ in (3, 2):
        order(shop, id_).kill()
        assert shop.leading
        shop.buy()
    assert shop.leading.id == "order-1"
    assert set(view(shop).in_sync) == {"order-1"}
    order(shop, 2).boot()
    order(shop, 3).boot()
    shop.assert_equal()
    assert [found.number for found in shop.orders(order(shop, 3))] == [0, 1, 2]


@pytest.mark.row("P1", "P4")
def test_a_dead_follower_does_not_stop_an_order_and_is_taken_in_again(shop: Shop) -> None:
    order(shop, 1).kill()
    began = shop.timeline.now
    placed = shop.buy(2)
    assert shop.timeline.now - began < 0.3, "a refused connection need not wait for suspect_after"
    assert "order-1" not in view(shop).in_sync
    order(shop, 1).boot()
    shop.settle()
    assert "order-1" in view(shop).in_sync
    assert shop.orders(order(shop, 1)) == placed


def test_a_follower_that_hears_nothing_is_waited_for_no_longer_than_suspect_after(shop: Shop) -> None:
    cut_off(shop, "order-1")
    began = shop.timeline.now
    shop.run(0.5)
    assert shop.status(order(shop, 3)).reasons == ("it leads, and those it waits for do not answer",)
    shop.buy()
    assert 0.9 < shop.timeline.now - began < 1.3


def test_only_out_of_sync_replicas_are_alive(shop: Shop) -> None:
    """Nothing is accepted, and it is said whom everything waits for."""
    order(shop, 1).kill()
    shop.buy()
    order(shop, 2).kill()
    placed = shop.buy()
    order(shop, 3).kill()
    order(shop, 1).boot()
    order(shop, 2).boot()
    shop.run(5.0)
    assert shop.leader() is None
    with pytest.raises(NotLeader):
        shop.wait(shop.submit(shop.request(), order(shop, 1)))
    assert shop.status(order(shop, 1)).reasons == ("no leader", "it is not in sync yet")
    waits = registrar(shop).appointer.waits_for()
    assert waits.startswith("waiting for order-3, which has every acknowledged order; order-1 and order-2")
    order(shop, 3).boot()
    shop.assert_equal()
    assert shop.orders(order(shop, 1))[-1:] == placed


class TestALossIsAccepted:
    def test_whoever_holds_the_older_history_takes_a_new_state(self, shop: Shop) -> None:
        """Order 1 is lost, by name; who has it takes the whole state of the one that was named, catalogs too."""
        kept = shop.buy()
        order(shop, 1).kill()
        shop.buy(30)
        shop.run(0.1)
        order(shop, 2).kill()
        order(shop, 3).kill()
        order(shop, 1).boot()
        shop.run(2.0)
        assert shop.leader() is None
        catalog = shop.processes["catalog-1"]
        assert len(shop.orders(catalog)) == 31
        shop.wait(registrar(shop).appointer.appoint("order-1", accept_loss=True))
        assert shop.leading.id == "order-1"
        assert shop.leading.replica.position().generation == 1
        placed = [*kept, *shop.buy(2)]
        order(shop, 2).boot()
        order(shop, 3).boot()
        shop.assert_equal()
        for process in shop.processes.values():
            assert shop.orders(process) == placed
            assert process.replica.position().generation == 1
        assert set(view(shop).in_sync) == {"order-1", "order-2", "order-3"}

    def test_it_stays_so_after_all_have_been_away(self, shop: Shop) -> None:
        order(shop, 1).kill()
        shop.buy()
        for id_ in (2, 3):
            order(shop, id_).kill()
            order(shop, id_).disk.wipe()
        order(shop, 1).boot()
        shop.run(1.0)
        assert shop.leader() is None
        shop.wait(registrar(shop).appointer.appoint("order-1", accept_loss=True))
        placed = shop.buy()
        for process in shop.processes.values():
            if process.up:
                process.kill()
            process.boot()
        shop.assert_equal()
        assert shop.orders(order(shop, 3))[-1:] == placed
        assert shop.leading.replica.position().generation == 1

    def test_nothing_is_lost_where_nothing_need_be(self, shop: Shop) -> None:
        order(shop, 1).kill()
        shop.buy()
        order(shop, 1).boot()
        shop.settle()
        with pytest.raises(CannotAppoint, match="order-1, order-2 and order-3 have everything"):
            registrar(shop).appointer.appoint("order-1", accept_loss=True)

    def test_one_that_does_not_answer_can_not_be_named(self, shop: Shop) -> None:
        order(shop, 1).kill()
        shop.run(1.0)
        with pytest.raises(CannotAppoint, match="order-1 does not answer"):
            registrar(shop).appointer.appoint("order-1", accept_loss=False)


class TestTheRegister:
    def test_while_it_is_away_buys_and_reads_go_on(self, shop: Shop) -> None:
        registrar(shop).kill()
        shop.buy(2)
        assert shop.wait(shop.leading.replica.read_linearizable(lambda reader: reader.next_order_number()))[0] == 2
        shop.leading.kill()
        shop.run(5.0)
        assert shop.leader() is None
        registrar(shop).boot()
        assert shop.leading.id == "order-2"
        assert len(shop.buy()) == 1

    def test_one_that_lost_its_disk_goes_on_with_what_the_replicas_remember(self, shop: Shop) -> None:
        shop.buy()
        registrar(shop).lose()
        registrar(shop).boot()
        shop.run(1.0)
        assert view(shop).taken_over == ("register:1",)
        shop.buy()
        shop.assert_equal()

    def test_all_at_once_come_back(self, shop: Shop) -> None:
        placed = shop.buy(2)
        for process in shop.processes.values():
            process.kill()
        registrar(shop).kill()
        registrar(shop).boot()
        shop.run(0.2)
        for process in shop.processes.values():
            process.boot()
        assert shop.leading.id == "order-3"
        assert shop.orders(shop.leading) == placed
        assert set(view(shop).in_sync) == {"order-1", "order-2", "order-3"}


@pytest.mark.row("E2")
def test_highest_takes_over_again_after_it_has_rejoined() -> None:
    shop = Shop("appointed")
    shop.config = NodeConfig(
        "", shop.config.voters, shop.config.learners, election="appointed", register=shop.config.register, hand_over_ticks=0
    )
    shop.open()
    placed = shop.buy()
    order(shop, 3).kill()
    assert shop.leading.id == "order-2"
    placed += shop.buy()
    order(shop, 3).boot()
    shop.run_until(lambda: order(shop, 3).leads)
    shop.settle()
    placed += shop.buy()
    shop.assert_equal()
    assert shop.orders(order(shop, 3)) == placed


def test_a_hand_over_loses_no_order(shop: Shop) -> None:
    """What comes while it is under way is turned away, and what was accepted is carried out."""
    shop.buy()
    results = [shop.submit(shop.request(f"r{n}")) for n in range(5)]
    shop.leading.replica.node.transfer()
    late = shop.submit(shop.request("late"))
    shop.run(0.5)
    assert [type(result).__name__ for result in shop.wait(late)] == [TurnedAway.__name__]
    for result in results:
        shop.wait(result)
    assert shop.leading.id == "order-2"
    shop.assert_equal()
    assert len(shop.orders(shop.leading)) == 6
