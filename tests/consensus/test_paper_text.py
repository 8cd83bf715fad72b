"""What the Raft paper (extended version) claims in sections 5 and 8, beyond figure 2 (test_paper.py)."""

from __future__ import annotations

from tests.consensus.harness import Network
from toystore.consensus.messages import Kind
from toystore.consensus.node import Role


class TestSection5And8:
    """What the text says beyond figure 2."""

    def test_at_most_one_leader_a_term(self) -> None:
        """5.2, Election Safety: the harness would not let two of one term be; here are many elections."""
        network = Network.of(5, seed=3)
        for round_ in range(8):
            network.run(150)
            leader = max(network.leaders)
            name = network.leaders[leader]
            network.isolate(name)
            network.run(200)
            network.cut.clear()
            assert len(network.leaders) >= round_ + 1

    def test_logs_that_agree_on_an_entry_agree_on_all_before(self) -> None:
        """5.3, Log Matching."""
        network = Network.of(3)
        network.write("1", [1, 1, 1, 4, 4, 6])
        network.write("2", [1, 1, 1, 4, 5])
        network.write("3", [1, 2, 2, 3, 3, 3, 3])
        network.run(200)
        logs = [network.node(name).log for name in "123"]
        assert len({tuple(log.slice(1, log.last_index, 99, 1 << 20)) for log in logs}) == 1

    def test_whoever_lacks_what_is_committed_is_not_elected(self, three: Network) -> None:
        """5.4.1 and 5.4.3, Leader Completeness."""
        three.isolate("3")
        three.propose("1", "a")
        three.run(5)
        three.crash("1")
        three.cut.clear()
        three.tick(["2"], 31)
        three.lose()
        for _ in range(5):
            three.tick(["3"], 61)
            three.deliver()
            assert three.node("3").role is not Role.LEADER

    def test_a_no_op_opens_each_term(self, three: Network) -> None:
        """8: "each leader commits a blank no-op entry into the log at the start of its term"."""
        three.crash("1")
        three.run(130)
        leader = "2" if three.node("2").role is Role.LEADER else "3"
        log = three.node(leader).log
        (first,) = [log.entry(i) for i in range(1, log.last_index + 1) if log.term_at(i) == log.last_term]
        assert first.kind is Kind.NOOP

    def test_a_read_waits_for_an_exchange_with_a_majority(self, three: Network) -> None:
        """8: "a leader must check whether it has been deposed before processing a read-only request"."""
        three.held = {("2", "1"), ("3", "1")}
        three.node("1").read_index(5)
        three.pump("1")
        three.deliver()
        assert three.replicas["1"].reads == {}
        three.held = {("3", "1")}
        three.deliver()
        assert three.replicas["1"].reads == {5: three.node("1").log.commit}

    def test_a_deposed_leader_confirms_no_read(self, three: Network) -> None:
        """8: the answer that would confirm it tells of the newer term instead."""
        three.isolate("1")
        for _ in range(200):
            three.tick(["2", "3"])
            three.deliver()
        three.node("1").read_index(5)
        three.pump("1")
        three.cut.clear()
        three.run(10)
        assert three.replicas["1"].reads == {}
        assert three.replicas["1"].lost_reads == [5]
