"""How old what a follower has applied may be, by what it knows (design 1.3): hearing the leader is not enough."""

from __future__ import annotations

from random import Random

from toystore.consensus.messages import Append, Entry, Heartbeat, Kind
from toystore.consensus.node import Node, NodeConfig


def learner() -> Node:
    config = NodeConfig("catalog-1", voters=("order-1", "order-2", "order-3"), learners=("catalog-1",))
    return Node(config, Random(1), uuid="disk")


def heartbeat(known: int, commit: int = 0, term: int = 1, sender: str = "order-1", age: int = 0) -> Heartbeat:
    return Heartbeat(sender, "catalog-1", term, 1, commit, quorum_age=age, known=known)


def take(node: Node, first: int, last: int) -> None:
    """Entries from `first` to `last`, saved and applied."""
    entries = tuple(Entry(index, 1, Kind.NOOP, b"") for index in range(first, last + 1))
    node.step(Append("order-1", "catalog-1", 1, 1, first - 1, 1 if first > 1 else 0, last, entries, known=last))
    while (ready := node.ready()).must_save or ready.apply:
        if ready.must_save:
            node.advance()
        if ready.apply:
            node.applied(ready.apply[-1].index)


class TestTheAgeOfAState:
    def test_is_not_known_before_it_has_what_the_leader_knows(self) -> None:
        node = learner()
        assert node.state_age is None
        node.step(heartbeat(3))
        assert (node.quorum_age, node.state_age) == (0, None)
        take(node, 1, 3)
        assert node.state_age == 0

    def test_grows_while_entries_are_lacking_though_heartbeats_come(self) -> None:
        node = learner()
        take(node, 1, 3)
        for _ in range(50):
            node.tick()
            node.step(heartbeat(4, commit=3))
        assert (node.quorum_age, node.state_age) == (0, 50)
        take(node, 4, 4)
        assert node.state_age == 0

    def test_stays_small_where_it_is_always_a_little_behind(self) -> None:
        node = learner()
        take(node, 1, 1)
        for last in range(2, 100):
            node.step(heartbeat(last, commit=last - 1))
            node.tick()
            take(node, last, last)
            assert node.state_age is not None
            assert node.state_age <= 2

    def test_counts_from_when_the_leader_was_confirmed(self) -> None:
        node = learner()
        take(node, 1, 1)
        for _ in range(40):
            node.tick()
        node.step(heartbeat(1, commit=1, age=30))
        assert node.state_age == 30

    def test_does_not_wait_for_what_a_leader_had_that_is_gone(self) -> None:
        node = learner()
        take(node, 1, 1)
        node.step(heartbeat(9, commit=1))
        for _ in range(40):
            node.tick()
        assert node.state_age == 40
        node.step(heartbeat(1, commit=1, term=2, sender="order-2"))
        assert node.state_age == 0
