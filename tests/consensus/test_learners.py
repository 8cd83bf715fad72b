"""Learners serve readers: they hear soon of what has been committed."""

from tests.consensus.harness import Network


def test_a_learner_hears_of_a_commit_within_a_tick_and_a_follower_with_the_next_heartbeat() -> None:
    network = Network.of(voters=3, learners=1)
    leader = network.elect("1")
    network.run(10)
    network.propose("1", "a")
    network.deliver()
    network.tick()
    network.deliver()
    assert leader.log.commit == leader.log.last_index
    assert network.node("c1").log.commit == leader.log.commit
    assert network.node("2").log.commit == leader.log.commit - 1


def test_a_learner_that_knows_everything_gets_no_more_than_heartbeats() -> None:
    network = Network.of(voters=3, learners=1)
    leader = network.elect("1")
    assert leader.leadership is not None
    learner = leader.leadership.peers["catalog-1"]
    network.run(20)
    before = learner.seq
    network.run(leader.config.heartbeat_ticks * 4)
    assert 0 < learner.seq - before <= 3 * 5, "a request to each of three peers a heartbeat"
