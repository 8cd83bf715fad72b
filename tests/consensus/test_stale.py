"""What belongs to an older term counts for nothing, however late it arrives (Raft 5.1: "a server that receives a request
with a stale term number rejects the request"; an answer is dropped)."""

from __future__ import annotations

import pytest

from tests.consensus.harness import Network
from tests.consensus.trace import short
from toystore.consensus.messages import AppendReply, TimeoutNow, VoteReply
from toystore.consensus.node import Node, Role


def candidate_in_term_3() -> Node:
    """Replica 2 of three, which has asked for votes in term 2, in vain, and asks again."""
    network = Network.of(3)
    network.write("2", [1, 1], term=1)
    network.time_out("2")
    for _ in range(2):
        network.node("2").election.campaign(transfer=False)
        network.pump("2")
    node = network.node("2")
    assert (node.role, node.hard_state.term) == (Role.CANDIDATE, 3)
    return node


def vote(term: int) -> VoteReply:
    return VoteReply("order-1", "order-2", term, "u1", granted=True, pre=False, empty=False)


@pytest.mark.fault(6)
def test_a_vote_of_an_older_term() -> None:
    """Else two could lead in one term: the voter may have given its vote in the newer one to another."""
    node = candidate_in_term_3()
    node.step(vote(2))
    assert node.role is Role.CANDIDATE
    node.step(vote(3))
    assert node.role is Role.LEADER


@pytest.mark.fault(6)
def test_an_acknowledgement_of_an_older_term(three: Network) -> None:
    """What it acknowledged then may have been overwritten since."""
    three.isolate("1")
    three.run(200)
    leader = three.node(three.leaders[max(three.leaders)])
    three.cut = {(a, b) for a in "123" for b in "123" if a != b}
    leader.propose([b"x"])
    three.pump(short(leader.id))
    commit, last = leader.log.commit, leader.log.last_index
    assert commit < last
    for term, reached in ((leader.hard_state.term - 1, commit), (leader.hard_state.term, last)):
        for peer in leader.config.other_voters:
            uuid = three.node(short(peer)).uuid
            leader.step(AppendReply(peer, leader.id, term, uuid, 0, last, commit))
        assert leader.log.commit == reached


@pytest.mark.fault(6)
def test_an_order_to_stand_of_an_older_term(three: Network) -> None:
    """A hand-over that was given up is not taken up again."""
    follower = three.node("2")
    follower.step(TimeoutNow("order-1", "order-2", follower.hard_state.term - 1))
    assert not follower.campaigning
    follower.step(TimeoutNow("order-1", "order-2", follower.hard_state.term))
    assert follower.campaigning
