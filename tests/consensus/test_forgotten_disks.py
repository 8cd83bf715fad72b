"""design.md, section 3, "a disk that forgot": each part of the rule. As in test_required.py, "without ..." says what was
taken out of the core to see the test fail.
"""

from __future__ import annotations

from tests.consensus.harness import Network
from toystore.consensus.messages import Append, Entry, Heartbeat, Kind, Vote, VoteReply
from toystore.consensus.node import Role


class TestADiskThatForgot:
    def test_the_first_leader_names_the_storages(self) -> None:
        """Without the founding entry of `open_term`."""
        network = Network.of(3)
        network.elect("2")
        assert network.history[1].kind is Kind.MEMBERS
        assert {n: m.uuid for n, m in network.node("3").members.items()} == {
            "order-1": "u1", "order-2": "u2", "order-3": "u3",
        }  # fmt: skip

    def test_an_empty_one_elects_nobody_beside_full_ones(self, three: Network) -> None:
        """Without `_counts`: 3 would vote although its old disk may have voted, or held what is committed."""
        three.isolate("3")
        three.propose("1", "kept")
        three.run(8)
        three.crash("1")  # 2 has it, and 3 has not
        three.wipe("2")
        three.start("2")
        three.cut.clear()
        three.run(400)
        assert set(three.leaders) == {1}
        three.start("1")
        three.run(150)
        assert three.node("3").log.commit >= 4
        assert three.history[4].data == b"kept"

    def test_empty_ones_need_a_majority_of_empty_ones(self) -> None:
        """Without `empties` in `_counts`: two of five would be enough with one full disk among the voters."""
        network = Network.of(3)
        vote = Vote("order-1", "order-2", 1, 0, 0, empty=True, empties=())
        network.node("2").step(vote)
        network.pump("2")
        (reply,) = network.wires
        assert isinstance(reply, VoteReply)
        assert not reply.granted

    def test_another_uuid_counts_for_nothing_until_named(self, three: Network) -> None:
        """Without `counted` in `_voters`: 3 would commit, confirm reads and keep the leader in office."""
        three.wipe("3")
        three.start("3")
        three.isolate("2")
        three.node("1").read_index(1)
        three.pump("1")
        three.propose("1", "a")
        three.run(25)
        assert three.node("3").log.last_index >= 4
        assert three.node("1").log.commit == 3
        assert three.replicas["1"].reads == {}
        three.run(10)
        assert three.node("1").role is Role.FOLLOWER

    def test_nor_does_it_vote(self, three: Network) -> None:
        """Without `named` in `_counts` and `may_campaign`."""
        three.wipe("3")
        three.start("3")
        three.cut = {("2", "1")}  # the entry that names 3 is not known to be committed
        three.run(25)
        assert three.node("3").log.last_index == three.node("2").log.last_index == 4
        three.crash("1")
        three.cut.clear()
        three.run(300)
        assert set(three.leaders) == {1}

    def test_it_counts_once_the_entry_has_been_committed_and_has_reached_it(self, three: Network) -> None:
        """Without `progress.match >= member.index` in `counted`."""
        three.wipe("3")
        three.start("3")
        leadership = three.node("1").leadership
        for _ in range(40):
            if leadership.peers["order-3"].uuid == "u3'" and leadership.peers["order-3"].match == 3:
                three.cut = {("1", "3")}  # before the entry that names it
            three.tick()
            three.deliver(("1", "3"))
            three.deliver(("3", "1"))
            three.deliver(("1", "2"))
            three.deliver(("2", "1"))
            if three.node("1").members["order-3"].uuid == "u3'":
                break
        assert three.node("1").members["order-3"].uuid == "u3'"
        assert leadership.peers["order-3"].match < three.node("1").members["order-3"].index
        assert not leadership.counted("order-3")
        three.cut.clear()
        three.run(30)
        assert leadership.counted("order-3")

    def test_the_founding_entry_vouches_for_nobody_after_a_change(self, three: Network) -> None:
        """Without the check of `founding`: an empty disk named long ago could be counted on for a vote."""
        assert three.node("2").founding() == ()  # 3 was named by an entry of its own
        network = Network.of(1)
        network.elect("1")
        assert network.node("1").founding() == (("order-1", "u1"),)

    def test_less_than_it_acknowledged_is_noticed(self, three: Network) -> None:
        """Without `_has_forgotten`: the leader would go on counting what is gone."""
        three.propose("1", "a", "b")
        three.run(10)
        three.forget("3", 4)
        three.start("3")
        three.run(10)
        assert three.replicas["3"].disk.uuid == "u3'"
        three.run(40)
        assert three.node("3").named

    def test_and_until_it_is_renewed_it_takes_part_in_nothing(self, three: Network) -> None:
        """Without `forgot` in `step` and `_take_save`."""
        three.propose("1", "a", "b")
        three.run(10)
        three.forget("3", 4)
        three.start("3")
        node = three.node("3")
        node.step(Append("order-1", "order-3", 1, 98, 4, 1, 0, (Entry(5, 1, Kind.NOOP, b""),)))
        node.step(Heartbeat("order-1", "order-3", 1, 99, 0, acked=6, acked_uuid="u3"))
        assert node.forgot
        node.step(Append("order-1", "order-3", 1, 99, 5, 1, 0, (Entry(6, 1, Kind.NOOP, b""),)))
        node.step(Vote("order-2", "order-3", 5, 9, 9, empty=False, transfer=True))
        ready = node.ready()
        assert ready.forgot
        assert (ready.hard_state, ready.entries, ready.reply) == (None, (), ())
        for _ in range(100):
            node.tick()
            assert not node.campaigning
        assert (node.log.last_index, node.hard_state.term) == (5, 1)
