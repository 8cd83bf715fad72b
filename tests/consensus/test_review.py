"""Corners of the core that a review asked about, each answered by a scenario. Most were wrong once."""

from __future__ import annotations

import pytest

from tests.consensus.harness import Network
from toystore.consensus.messages import (
    Append,
    AppendReply,
    Entry,
    Heartbeat,
    HeartbeatReply,
    Kind,
    SnapshotMeta,
)
from toystore.consensus.node import Limits, Role
from toystore.consensus.progress import Flow, Progress


class TestTruncation:
    def test_no_acknowledgement_from_before_it_leaves_after_it(self, three: Network) -> None:
        node = three.node("3")
        three.stall("3")
        last = node.log.last_index
        three.propose("1", "a")
        three.deliver(("1", "3"))
        three.propose("1", "b", "c")
        three.deliver(("1", "3"))
        assert node.log.last_index == last + 3
        append = Append("order-2", "order-3", 2, 1, last, 1, last, (Entry(last + 1, 2, Kind.NOOP, b""),))
        node.step(append)
        three.unstall("3")
        acknowledged = [m for m in three.wires if isinstance(m, AppendReply) and m.sender == "order-3"]
        assert [(m.term, m.match) for m in acknowledged] == [(1, last + 1), (2, last + 1)]
        # The first was true when its save ended; what was only in memory, 5 and 6, was never acknowledged.

    @pytest.mark.parametrize("from_above", [-1, 0, 1, 2])
    def test_while_being_saved(self, three: Network, from_above: int) -> None:
        """What is on the disk counts as saved only up to where it was not truncated meanwhile."""
        node = three.node("3")
        three.propose("1", "saved before")
        three.deliver(("1", "3"))
        last = node.log.last_index
        three.stall("3")
        three.propose("1", "a", "b", "c")
        three.deliver(("1", "3"))
        at = last + 1 + from_above
        term = node.log.term_at(at - 1)
        assert term is not None
        node.step(Append("order-2", "order-3", 2, 1, at - 1, term, 0, (Entry(at, 2, Kind.NOOP, b""),)))
        first_of_queue = three.replicas["3"].queue.pop(0)
        three.replicas["3"].disk.save(first_of_queue.hard_state, first_of_queue.entries)
        node.advance()
        assert node.log.saved == at - 1
        three.unstall("3")
        assert three.replicas["3"].disk.entries == [node.log.entry(i) for i in range(1, at + 1)]
        assert node.log.saved == at


class TestNaming:
    @pytest.mark.parametrize(("voters", "founder"), [(3, "1"), (5, "1"), (5, "4")])
    def test_all_are_named_without_any_traffic(self, voters: int, founder: str) -> None:
        """The founding entry names a majority; the others are named although nobody proposes anything."""
        network = Network.of(voters)
        network.time_out(founder)
        later = [name for name in network.replicas if name != founder][: voters // 2]
        network.held = {(name, founder) for name in later}
        network.deliver()
        network.held.clear()
        network.run(40)
        leader = next(r.up for r in network.replicas.values() if r.up.role is Role.LEADER)
        assert set(leader.members) == set(leader.config.voters)
        assert all(replica.up.named for replica in network.replicas.values())

    def test_named_although_its_answers_came_too_early(self, three: Network) -> None:
        """3 has answered everything before 2 has let the leader serve, and then nothing new happens."""
        network = Network.of(3)
        network.elect_by("1", "2")
        network.held = {("2", "1")}
        network.deliver()
        assert not network.node("1").leadership.serves
        network.held.clear()
        network.run(20)
        assert network.node("3").named

    def test_what_only_the_named_one_completes_commits_at_once(self, three: Network) -> None:
        """3 has acknowledged more than the entry that names it, when 2 lets that entry commit and dies."""
        three.wipe("3")
        three.held = {("2", "1")}
        three.start("3")
        three.run(8)
        three.propose("1", "a", "b")
        three.run(2)
        naming = three.node("1").log.last_index - 2
        assert not three.node("3").named
        for _ in range(20):
            if three.node("1").log.commit < naming:
                three.deliver(("2", "1"), limit=1)
        three.crash("2")
        three.wires = [m for m in three.wires if m.sender != "order-2"]
        three.deliver()
        assert three.node("1").log.commit == naming + 2

    def test_a_late_answer_of_the_old_disk_changes_nothing(self, three: Network) -> None:
        """It may not bring the old storage back, nor have it named again."""
        three.propose("1", "a")
        three.deliver(("1", "3"))
        late = [m for m in three.wires if m.sender == "order-3"]
        assert late
        three.lose(("3", "1"))
        three.wipe("3")
        three.start("3")
        three.run(30)
        assert three.node("3").named
        members, last = three.node("1").members, three.node("1").log.last_index
        three.wires += late
        three.deliver(("3", "1"))
        assert three.node("1").leadership.peers["order-3"].uuid == "u3'"
        three.run(30)
        assert three.node("1").members == members
        assert three.node("1").log.last_index == last

    def test_nobody_is_named_before_the_leader_serves(self) -> None:
        """Before that it may not know who has been named: its entry could take back what another leader wrote."""
        network = Network.of(3)
        leader = network.elect_by("1", "2")
        leader.step(HeartbeatReply("order-3", "order-1", 1, "u3", 1, 0))
        assert leader.log.last_index == 2
        network.run(10)
        assert network.node("3").named

    def test_bootstrap_interrupted_after_the_founding_entry_was_written(self) -> None:
        """Its writer alone has it, and comes back: the same cluster goes on from it."""
        network = Network.of(3)
        network.elect_by("1", "2")
        network.wires.clear()
        network.restart("1")
        network.elect("1")
        assert network.history[1].term == 1
        assert set(network.node("1").members) == {"order-1", "order-2", "order-3"}

    def test_bootstrap_begun_again_by_the_others(self) -> None:
        """The founding entry of 1 reached nobody; 2 and 3 found the cluster, and 1 gives way and is named."""
        network = Network.of(3)
        network.elect_by("1", "2")
        network.wires.clear()
        network.crash("1")
        network.tick(["2", "3"], 40)
        network.lose()
        network.run(130)
        assert network.history[1].term > 1
        network.start("1")
        network.run(100)
        assert network.node("1").named
        assert network.replicas["1"].disk.entries[0] == network.history[1]


class TestForgetting:
    def test_old_and_doubled_messages_accuse_nobody(self, three: Network) -> None:
        """Every message to 3 of a busy while comes again, in the other order, and after a change of leader."""
        recorded = []
        tell_all = three.wires
        for i in range(10):
            three.propose("1", f"{i}")
            recorded += [m for m in three.wires if m.to == "order-3"]
            three.deliver()
        assert tell_all is three.wires
        three.wires += reversed(recorded)
        three.deliver()
        three.isolate("1")
        three.run(130)
        three.cut.clear()
        three.wires += recorded[::2] + recorded[::-1]
        three.run(40)
        assert three.replicas["3"].disk.uuid == "u3"
        assert three.node("3").named


class TestBackingOff:
    def test_a_conflict_at_the_end_of_the_compacted_log_asks_for_a_snapshot(self) -> None:
        """All that the leader still has conflicts: only what it no longer has could agree."""
        network = Network.of(3)
        for name in "12":
            network.write(name, [1, 1, 3, 3, 3], applied=5)
        network.write("3", [1, 1, 2, 2, 2, 2, 2], applied=2)
        network.compact("1", 5)
        network.time_out("1")
        network.deliver()
        assert network.replicas["1"].snapshots == ["order-3"]
        network.send_snapshot("1", "3")
        network.run(10)
        assert network.node("3").log.last_index == network.node("1").log.last_index

    @pytest.mark.parametrize("theirs", [[1], [1, 2, 2, 2, 2, 2, 2, 2, 2], [1, 1, 1, 2, 2, 2], [1, 1, 5], [1, 5, 5]])
    def test_it_ends_and_never_passes_what_matched(self, theirs: list[int]) -> None:
        network = Network.of(3)
        for name in "12":
            network.write(name, [1, 1, 3, 3, 4, 6])
        network.write("3", theirs)
        network.time_out("1")
        network.run(40)
        leader = network.node("1")
        if leader.role is not Role.LEADER:
            network.elect("1")
        progress = leader.leadership.peers["order-3"]
        assert progress.flow is Flow.REPLICATE
        assert progress.match == leader.log.last_index == network.node("3").log.last_index


class TestProgress:
    def test_a_lost_probe_is_sent_again(self, three: Network) -> None:
        three.crash("3")
        three.propose("1", "a")
        three.run(40)
        assert three.node("1").leadership.peers["order-3"].flow is Flow.PROBE
        three.start("3")
        three.cut = {("1", "3")}
        three.run(3)
        three.cut.clear()
        three.run(30)
        assert three.node("1").leadership.peers["order-3"].flow is Flow.REPLICATE

    def test_lost_appends_are_sent_again(self, three: Network) -> None:
        three.propose("1", "a")
        three.lose(("1", "3"))
        three.run(30)
        assert three.node("3").log.commit == three.node("1").log.last_index

    def test_a_failed_snapshot_is_asked_for_again(self, three: Network) -> None:
        three.crash("3")
        three.propose("1", *"abcdef")
        three.run(5)
        three.compact("1", three.node("1").log.applied)
        three.start("3")
        three.run(30)
        assert three.replicas["1"].snapshots == ["order-3"]
        three.send_snapshot("1", "3", arrives=False)
        three.run(10)
        assert three.replicas["1"].snapshots == ["order-3"]
        three.send_snapshot("1", "3")
        three.propose("1", "g")
        three.run(10)
        assert three.node("3").log.applied == three.node("1").log.applied

    def test_a_snapshot_refused_by_one_who_has_all(self, three: Network) -> None:
        """The leader knew nothing of 3 and offered a snapshot: 3 needs none, and is not offered it for ever."""
        three.propose("1", *"abcdef")
        three.run(10)
        three.compact("1", three.node("1").log.applied)
        leadership = three.node("1").leadership
        leadership.peers["order-3"] = Progress(match=0, next=1, now=three.node("1").now)
        three.run(20)
        assert three.replicas["1"].snapshots == ["order-3"]
        three.send_snapshot("1", "3", arrives=False)
        three.run(10)
        assert leadership.peers["order-3"].match == three.node("1").log.last_index
        assert three.replicas["1"].snapshots == []


class TestSnapshots:
    def test_what_came_while_it_was_installed_is_not_acknowledged(self, three: Network) -> None:
        """`restore` drops entries that were only in memory; their acknowledgement may not leave."""
        three.crash("3")
        three.propose("1", *"abcd")
        three.run(6)
        three.start("3")
        node, last = three.node("3"), three.node("3").log.last_index
        term = three.node("1").log.term_at(last)
        assert term is not None
        entries = three.node("1").log.slice(last + 1, last + 4, 99, 1 << 20)
        node.step(Append("order-1", "order-3", 1, 999, last, term, last + 4, entries))
        meta = SnapshotMeta(last + 2, term, three.node("1").members)
        three.replicas["3"].disk.install(meta)
        node.restore(meta)
        three.pump("3")  # would find an acknowledgement of more than the disk holds
        three.run(40)
        assert three.node("3").log.applied == last + 4

    def test_one_that_the_log_has_overtaken_is_not_wanted(self, three: Network) -> None:
        """Its last entry is here: those after it may have been acknowledged, and must stay (Raft figure 13, 6)."""
        three.propose("1", *"abcd")
        three.deliver()
        node = three.node("3")
        assert not node.lacks(SnapshotMeta(node.log.last_index - 1, 1, {}))
        assert not node.lacks(SnapshotMeta(node.log.commit - 1, 7, {}))
        assert node.lacks(SnapshotMeta(node.log.last_index + 1, 1, {}))


class TestReads:
    def test_at_a_single_replica(self) -> None:
        network = Network.of(1)
        network.elect("1")
        network.node("1").read_index(7)
        network.pump("1")
        assert network.replicas["1"].reads == {7: network.node("1").log.commit}

    def test_a_new_leader_waits_for_its_own_entry(self, three: Network) -> None:
        three.propose("1", "a")
        three.deliver()
        three.crash("1")
        three.run(31)
        three.lose()
        three.elect_by("2", "3")
        three.node("2").read_index(1)
        three.pump("2")
        assert three.replicas["2"].reads == {}
        three.run(20)
        assert three.replicas["2"].reads[1] >= 4


class TestTransfer:
    def test_the_target_dies(self, three: Network) -> None:
        three.node("1").transfer("order-3")
        three.crash("3")
        assert three.propose("1", "a") is None
        three.run(30)
        assert three.propose("1", "a") is not None

    def test_a_target_that_never_takes_over_does_not_stop_the_shop(self) -> None:
        """`leader_preference = "highest"`, and the highest can not campaign: its disk is full."""
        network = Network.of(3, hand_over_ticks=50)
        network.elect("2")
        network.node("3").set_writable(False)
        refused = 0
        for _ in range(400):
            network.run(1)
            refused += network.node("2").leadership.transferee is not None
        assert network.node("2").role is Role.LEADER
        assert 0 < refused <= 200


class TestAge:
    def test_the_age_told_by_the_leader_is_believed_from_the_first_tick(self) -> None:
        network = Network.of(3)
        network.tick(["3"])
        network.node("3").step(Heartbeat("order-1", "order-3", 1, 1, 0, quorum_age=20))
        assert network.node("3").quorum_age == 20

    def test_it_grows_at_a_leader_that_nobody_answers(self, three: Network) -> None:
        three.cut = {("2", "1"), ("3", "1")}
        three.run(25)
        assert three.node("1").quorum_age >= 20
        assert three.node("2").quorum_age >= 20


class TestBounds:
    def test_answers_that_wait_for_a_stalled_disk(self, three: Network) -> None:
        three.stall("3")
        three.propose("1", "a")
        three.run(3000)
        waiting = [m for m in three.node("3")._replies if isinstance(m, AppendReply | HeartbeatReply)]
        assert len(waiting) <= three.node("3").config.limits.replies

    def test_appends_that_came_early(self) -> None:
        network = Network.of(3, limits=Limits(window=2, append_entries=1))
        network.elect("1")
        last = network.node("3").log.last_index
        for index in range(last + 2, last + 40):
            network.node("3").step(
                Append("order-1", "order-3", 1, index, index, 1, 0, (Entry(index + 1, 1, Kind.COMMAND, b""),))
            )
            assert len(network.node("3").following._early) <= 2

    def test_early_appends_do_not_outlive_their_term(self, three: Network) -> None:
        """What an older leader sent too early may not be added behind the entries of the next one."""
        node = three.node("3")
        node.step(Append("order-1", "order-3", 1, 50, 4, 1, 0, (Entry(5, 1, Kind.COMMAND, b"old"),)))
        node.step(Append("order-2", "order-3", 2, 1, 3, 1, 3, (Entry(4, 1, Kind.COMMAND, b"older"),)))
        assert node.log.last_index == 4
        three.pump("3")
        replies = [m for m in three.wires if isinstance(m, AppendReply) and not m.rejected]
        assert [(m.to, m.match) for m in replies] == [("order-2", 4)]

    def test_requests_for_a_snapshot(self, three: Network) -> None:
        """One a transfer, not one a message."""
        three.crash("3")
        three.propose("1", *"abc")
        three.run(6)
        three.compact("1", three.node("1").log.applied)
        three.start("3")
        three.run(200)
        assert three.replicas["1"].snapshots == ["order-3"]


def test_the_same_seed_gives_the_same_trace() -> None:
    """No set order, `hash` or `id` shows: a second run in one process tells the same, line by line."""

    def trace() -> list[str]:
        lines: list[str] = []
        network = Network.of(5, learners=1, seed=7)
        network.tell = lines.append
        network.run(80)
        leader = next(name for name, replica in network.replicas.items() if replica.up.role is Role.LEADER)
        network.propose(leader, "a", "b")
        network.isolate(leader)
        network.run(130)
        network.cut.clear()
        network.run(60)
        return lines

    assert trace() == trace()
