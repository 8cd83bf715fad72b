"""The client of the leader: batches, changes of leader, and what it tells at a deadline."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.support.front import advance
from tests.support.replica import TOYS
from tests.support.services import FakeLedger, FakeOrderService
from toystore.frontend.leader import LeaderClient
from toystore.model import CatalogRow, Done, Line, PlaceOrder, Request
from toystore.replication.interface import Answer
from toystore.web.errors import OutcomeUnknown, Unavailable


class Cluster:
    """Three replicas and a client that has started; `leader` (1..3, or 0) leads in term 1."""

    def __init__(self, leader: int = 3, rows: tuple[CatalogRow, ...] = TOYS, **options: Any) -> None:
        self.clock = Clock()
        self.ledger = FakeLedger(rows)
        self.nodes = [FakeOrderService(f"order-{i}", self.ledger, self.clock) for i in (1, 2, 3)]
        self.client = LeaderClient(self.nodes, self.clock, Random(7), **options)
        self.results: dict[str, Any] = {}
        if leader:
            self.lead(leader, 1)
        self.client.start()

    def __getitem__(self, number: int) -> FakeOrderService:
        return self.nodes[number - 1]

    def lead(self, number: int, term: int) -> None:
        for node in self.nodes:
            node.leads = False
        self[number].leads, self[number].term = True, term

    def buy(self, name: str, deadline: float | None = None) -> Deferred[Answer]:
        """Send an order whose request id and key are `name`; what comes of it is in `results`."""
        request = Request(name, PlaceOrder("buy", (Line("Fox", 1),), name))
        waiter = self.client.submit(request, deadline)

        def keep(result: Answer | Failure) -> None:
            assert name not in self.results, "told twice"
            self.results[name] = result.value if isinstance(result, Failure) else result.outcome

        waiter.addBoth(keep)
        return waiter

    def placed(self) -> list[str]:
        return [order.key for order in self.ledger.orders()]

    def sent(self, name: str) -> int:
        return sum(request.request_id == name for node in self.nodes for batch in node.batches for request in batch)


# Batches


def test_an_order_alone_is_sent_at_once() -> None:
    cluster = Cluster()
    cluster.buy("a")
    assert isinstance(cluster.results["a"], Done)
    assert [len(batch) for batch in cluster[3].batches] == [1]


def test_what_gathers_during_a_request_is_the_next_batch() -> None:
    cluster = Cluster()
    cluster[3].delay = 0.01
    for name in "abcde":
        cluster.buy(name)
    advance(cluster.clock, 0.01)
    assert list(cluster.results) == ["a"]
    advance(cluster.clock, 0.01)
    assert [len(batch) for batch in cluster[3].batches] == [1, 4]
    assert cluster.placed() == list("abcde")


def test_batches_are_capped_in_commands_and_in_bytes() -> None:
    cluster = Cluster(max_entries=3)
    cluster[3].delay = 0.01
    for number in range(8):
        cluster.buy(str(number))
    advance(cluster.clock, 0.1)
    assert [len(batch) for batch in cluster[3].batches] == [1, 3, 3, 1]

    small = Cluster(max_bytes=10)
    small[3].delay = 0.01
    for number in range(3):
        small.buy(str(number))
    advance(small.clock, 0.1)
    assert [len(batch) for batch in small[3].batches] == [1, 1, 1]


def test_the_window_bounds_how_many_batches_are_in_flight() -> None:
    cluster = Cluster(window=2, max_entries=1)
    cluster[3].delay = 0.01
    for name in "abcd":
        cluster.buy(name)
    assert len(cluster[3].batches) == 2
    advance(cluster.clock, 0.02)
    assert cluster[3].most_in_flight == 2
    assert len(cluster.results) == 4


@pytest.mark.row("E2")
@pytest.mark.fault(8)
def test_there_is_no_check_in_front_of_each_order_and_each_query() -> None:
    cluster = Cluster()
    before = sum(node.probes for node in cluster.nodes)
    for number in range(100):
        cluster.buy(str(number))
        ensureDeferred(cluster.client.order(number))
    assert sum(node.probes for node in cluster.nodes) == before
    assert [len(node.batches) for node in cluster.nodes] == [0, 0, 100]
    assert [node.reads for node in cluster.nodes] == [0, 0, 100]


# Changes of leader


@pytest.mark.row("E4", "X4")
@pytest.mark.fault(1)
def test_the_same_request_goes_to_the_next_leader_and_is_carried_out_once() -> None:
    cluster = Cluster()
    cluster[3].loses_answers = True
    cluster.buy("a")
    assert cluster.placed() == ["a"]  # carried out, and nobody knows
    cluster[3].unreachable = True
    cluster.lead(2, 2)
    advance(cluster.clock, 0.2)
    assert isinstance(cluster.results["a"], Done)
    assert cluster.placed() == ["a"]
    assert cluster.sent("a") == 2
    assert cluster.ledger.product("Fox").quantity == 99


def test_a_replica_that_does_not_lead_names_the_one_that_does() -> None:
    cluster = Cluster()
    cluster.lead(1, 2)
    cluster[3].hint = "order-1"
    probes = sum(node.probes for node in cluster.nodes)
    cluster.buy("a")
    assert isinstance(cluster.results["a"], Done)
    assert sum(node.probes for node in cluster.nodes) == probes


def test_two_that_name_each_other_are_not_asked_for_ever() -> None:
    cluster = Cluster()
    cluster[3].leads = False
    cluster[3].hint, cluster[1].hint = "order-1", "order-3"
    cluster.buy("a")
    advance(cluster.clock, 1.0)
    assert cluster.sent("a") <= 2
    cluster.lead(2, 2)
    advance(cluster.clock, 0.1)
    assert isinstance(cluster.results["a"], Done)


def test_a_new_leader_is_found_within_100_ms_of_its_election() -> None:
    cluster = Cluster()
    cluster[3].unreachable = True
    cluster[3].leads = False
    cluster.buy("a")
    for number in range(20):
        advance(cluster.clock, 0.5 + number / 100)
        cluster.lead(1 + number % 2, number + 2)
        cluster[2 - number % 2].unreachable = True
        cluster[1 + number % 2].unreachable = False
        advance(cluster.clock, 0.1)
        assert cluster.client.search.leader is cluster[1 + number % 2]
        cluster.lead(1 + number % 2, number + 2)
        cluster[1 + number % 2].leads = False
        cluster.buy(f"lost-{number}")
    assert isinstance(cluster.results["a"], Done)


def test_a_leader_that_hangs_is_left_once_another_one_leads_in_a_higher_term() -> None:
    cluster = Cluster()
    cluster[3].hangs = True
    cluster.buy("a")
    advance(cluster.clock, 0.6)
    assert not cluster.results
    assert len(cluster[3].batches) == 1, "two copies in flight to one replica"
    cluster.lead(2, 2)
    cluster[3].leads = True  # it does not know yet
    advance(cluster.clock, 0.15)
    assert isinstance(cluster.results["a"], Done)
    cluster[3].wake()
    assert cluster.placed() == ["a"]


def test_a_slow_leader_is_kept_while_no_other_one_leads() -> None:
    cluster = Cluster()
    cluster[3].delay = 1.0
    cluster.buy("a")
    advance(cluster.clock, 1.0)
    assert isinstance(cluster.results["a"], Done)
    assert cluster.sent("a") == 1


def test_one_that_claims_to_lead_in_an_older_term_is_not_followed() -> None:
    cluster = Cluster()
    cluster.lead(2, 5)
    cluster[3].leads = False
    cluster.buy("a")
    advance(cluster.clock, 0.2)
    assert cluster.client.search.leader is cluster[2]
    cluster[2].hangs = True
    cluster[3].leads, cluster[3].term = True, 1
    cluster.buy("b")
    advance(cluster.clock, 1.0)
    assert cluster.client.search.leader is cluster[2]
    assert "b" not in cluster.results


@pytest.mark.row("E3")
def test_a_change_of_leader_is_noticed_without_customers() -> None:
    cluster = Cluster()
    cluster[3].unreachable = True
    cluster.lead(2, 2)
    advance(cluster.clock, 1.2)
    assert cluster.client.search.leader is cluster[2]


def test_a_batch_turned_away_is_sent_again_after_a_pause() -> None:
    cluster = Cluster()
    cluster[3].full = True
    cluster.buy("a")
    assert cluster.sent("a") == 1
    advance(cluster.clock, 0.5)
    assert 5 <= cluster.sent("a") <= 15
    cluster[3].full = False
    advance(cluster.clock, 0.1)
    assert isinstance(cluster.results["a"], Done)


# What is told, and when


@pytest.mark.row("O4")
def test_503_after_two_seconds_while_no_replica_can_be_reached() -> None:
    cluster = Cluster()
    for node in cluster.nodes:
        node.unreachable = True
    cluster.buy("a")
    advance(cluster.clock, 1.8)
    assert not cluster.results
    advance(cluster.clock, 0.4)
    assert isinstance(cluster.results["a"], Unavailable)
    cluster.buy("b")
    advance(cluster.clock, 0.2)
    assert isinstance(cluster.results["b"], Unavailable)
    for node in cluster.nodes:
        node.unreachable = False
    advance(cluster.clock, 20)
    assert cluster.placed() == []


def test_what_may_have_been_carried_out_is_not_given_up_while_nobody_can_be_reached() -> None:
    cluster = Cluster()
    cluster[3].loses_answers = True
    cluster.buy("a")
    for node in cluster.nodes:
        node.unreachable = True
    advance(cluster.clock, 5.0)
    assert not cluster.results
    for node in cluster.nodes:
        node.unreachable = node.loses_answers = False
    advance(cluster.clock, 0.2)
    assert isinstance(cluster.results["a"], Done)
    assert cluster.placed() == ["a"]


def test_503_at_the_deadline_where_every_attempt_was_turned_away() -> None:
    cluster = Cluster()
    cluster[3].full = True
    cluster.buy("a", deadline=1.0)
    advance(cluster.clock, 1.0)
    assert isinstance(cluster.results["a"], Unavailable)
    cluster[3].full = False
    advance(cluster.clock, 5.0)
    assert cluster.placed() == []


def test_503_at_the_deadline_where_nobody_leads() -> None:
    cluster = Cluster(leader=0)
    cluster.buy("a")
    advance(cluster.clock, 9.9)
    assert not cluster.results
    advance(cluster.clock, 0.1)
    assert isinstance(cluster.results["a"], Unavailable)
    cluster.lead(1, 1)
    advance(cluster.clock, 1.0)
    assert cluster.sent("a") == 0


@pytest.mark.parametrize("fault", ["loses_requests", "loses_answers", "unsure", "hangs"])
def test_504_where_an_attempt_may_have_been_carried_out(fault: str) -> None:
    cluster = Cluster()
    setattr(cluster[3], fault, True)
    cluster.buy("a", deadline=1.0)
    advance(cluster.clock, 0.1)
    cluster[3].unreachable = True  # later attempts are certain; that does not help
    cluster[3].hangs = fault == "hangs"
    advance(cluster.clock, 0.9)
    error = cluster.results["a"]
    assert isinstance(error, OutcomeUnknown)
    assert error.key == "a"
    sent = cluster.sent("a")
    cluster[3].unreachable = cluster[3].loses_requests = cluster[3].loses_answers = cluster[3].unsure = False
    advance(cluster.clock, 10)
    assert cluster.sent("a") == sent, "sent after its deadline"


def test_too_many_commands_are_refused_at_once() -> None:
    cluster = Cluster(leader=0, max_queued=2)
    for name in "abc":
        cluster.buy(name)
    assert list(cluster.results) == ["c"]
    assert isinstance(cluster.results["c"], Unavailable)
    cluster.lead(1, 1)
    advance(cluster.clock, 0.2)
    assert cluster.placed() == ["a", "b"]


def test_a_customer_who_hangs_up_does_not_stop_the_order() -> None:
    cluster = Cluster(leader=0)
    waiter = cluster.buy("a")
    waiter.cancel()
    cluster.lead(1, 1)
    advance(cluster.clock, 0.2)
    assert cluster.placed() == ["a"]


def test_stopping_tells_everyone_and_sends_nothing_more() -> None:
    cluster = Cluster()
    cluster[3].hangs = True
    cluster.buy("sent")
    cluster.buy("waiting")
    cluster.client.stop()
    assert isinstance(cluster.results["sent"], OutcomeUnknown)
    assert isinstance(cluster.results["waiting"], Unavailable)
    cluster.buy("late")
    assert isinstance(cluster.results["late"], Unavailable)
    cluster[3].wake()
    advance(cluster.clock, 20)
    assert cluster.placed() == ["sent"]
    assert not cluster.clock.getDelayedCalls()


# Reads


@pytest.mark.row("G5")
def test_a_read_survives_a_change_of_leader() -> None:
    cluster = Cluster()
    cluster.buy("a")
    cluster[3].unreachable = True
    cluster[3].leads = False
    found: list[Any] = []
    ensureDeferred(cluster.client.order(0)).addBoth(found.append)
    advance(cluster.clock, 0.5)
    assert not found
    cluster.lead(1, 2)
    advance(cluster.clock, 0.1)
    assert found[0].value.key == "a"


def test_a_read_leaves_a_leader_that_hangs() -> None:
    cluster = Cluster()
    cluster.buy("a")
    cluster[3].hangs = True
    found: list[Any] = []
    ensureDeferred(cluster.client.order(0)).addBoth(found.append)
    cluster[1].leads, cluster[1].term = True, 2
    advance(cluster.clock, 0.35)
    assert found[0].value.key == "a"


def test_a_read_fails_with_503_when_nobody_can_be_reached() -> None:
    cluster = Cluster()
    for node in cluster.nodes:
        node.unreachable = True
    found: list[Any] = []
    ensureDeferred(cluster.client.order(0)).addBoth(found.append)
    advance(cluster.clock, 2.3)
    assert found[0].check(Unavailable)


def test_a_read_given_up_by_the_customer_is_not_repeated() -> None:
    cluster = Cluster()
    cluster[3].hangs = True
    read = ensureDeferred(cluster.client.order(0))
    read.addErrback(lambda _: None)
    read.cancel()
    advance(cluster.clock, 20)
    assert cluster[3].reads == 1


# Whatever happens

FAULTS = ("unreachable", "loses_requests", "loses_answers", "hangs", "full", "unsure")
PLENTY = (CatalogRow("Fox", 1299, 1_000_000),)


@pytest.mark.fault(1)
@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_in_any_weather_the_customer_is_told_the_truth(seed: int, window: int) -> None:
    """Random faults, leaders, delays and hang-ups; then: what was answered is in the ledger once, what was answered
    with 503 is not there and never comes."""
    random = Random(seed)
    cluster = Cluster(rows=PLENTY, window=window, max_entries=3, deadline=2.0, max_queued=20)
    term = 1
    for number in range(60):
        cluster.buy(f"{number}")
        if random.random() < 0.3:
            node = random.choice(cluster.nodes)
            fault = random.choice(FAULTS)
            if fault == "hangs" and node.hangs:
                node.wake()
            else:
                setattr(node, fault, not getattr(node, fault))
            node.delay = random.choice((0.0, 0.001, 0.05, 0.4))
        if random.random() < 0.1:
            term += 1
            cluster.lead(random.randint(1, 3), term)
        advance(cluster.clock, random.choice((0.0, 0.002, 0.05, 0.3)))
    advance(cluster.clock, 5.0)
    assert len(cluster.results) == 60, "somebody was never told"
    for node in cluster.nodes:
        node.unreachable = node.loses_requests = node.loses_answers = node.full = node.unsure = False
        node.wake()
    advance(cluster.clock, 5.0)
    placed = cluster.placed()
    assert len(set(placed)) == len(placed), "placed twice"
    assert cluster.ledger.product("Fox").quantity == 1_000_000 - len(placed)
    for name, result in cluster.results.items():
        if isinstance(result, Done):
            assert placed.count(name) == 1
        elif isinstance(result, Unavailable):
            assert name not in placed, f"{name} was answered with 503 and is in the ledger"
        else:
            assert isinstance(result, OutcomeUnknown)
    assert all(node.most_in_flight <= window for node in cluster.nodes)
