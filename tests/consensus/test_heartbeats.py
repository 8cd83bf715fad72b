"""A write that takes long does not make a follower silent."""

from random import Random

from tests.consensus.harness import Network
from toystore.consensus.messages import Heartbeat, HeartbeatReply
from toystore.consensus.node import Node, NodeConfig


def test_a_follower_whose_write_takes_long_answers_heartbeats_and_acknowledges_nothing() -> None:
    network = Network.of(voters=3)
    leader = network.elect("1")
    network.run(10)
    for follower in ("2", "3"):
        network.stall(follower)
    network.propose("1", "a")
    network.run(leader.config.election_ticks[1] * 2)
    assert leader.leadership is not None, "the leader hears its followers"
    assert leader.log.commit == leader.log.last_index - 1
    for follower in ("2", "3"):
        network.unstall(follower)
    network.run(10)
    assert leader.log.commit == leader.log.last_index


def test_a_term_that_is_not_on_disk_yet_is_not_revealed_by_a_heartbeat_reply() -> None:
    node = Node(NodeConfig("order-2", ("order-1", "order-2", "order-3")), Random(1), uuid="u2")
    node.step(Heartbeat("order-1", "order-2", 7, seq=1, commit=0))
    first = node.ready()
    assert first.send == (), "term 7 has to be saved first"
    assert [reply.term for reply in first.reply] == [7]
    node.step(Heartbeat("order-1", "order-2", 7, seq=2, commit=0))
    assert node.ready().send == (), "the save is under way"
    node.advance()
    node.step(Heartbeat("order-1", "order-2", 7, seq=3, commit=0))
    second = node.ready()
    assert [reply.seq for reply in second.send if isinstance(reply, HeartbeatReply)] == [3]
    assert [reply.seq for reply in second.reply if isinstance(reply, HeartbeatReply)] == [2]
