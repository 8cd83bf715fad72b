"""One test or more for each thing that design.md, section 3, "Required", asks of the core.

Each was seen to fail with that behaviour taken out of the core; its docstring says what was taken out ("without ...").
The disk that forgot is in test_forgotten_disks.py.
"""

from __future__ import annotations

import pytest

from tests.consensus.harness import Network, appends
from toystore.consensus.messages import (
    Append,
    AppendReply,
    Entry,
    Heartbeat,
    Kind,
    PreVote,
    TimeoutNow,
    Vote,
    VoteReply,
)
from toystore.consensus.node import Limits, NotLeading, Role
from toystore.consensus.progress import Flow


def new_leader(network: Network, dead: str) -> str:
    network.run(130)
    (leader,) = [n for n, r in network.replicas.items() if n != dead and r.node and r.node.role is Role.LEADER]
    return leader


class TestOnDiskBeforeToldToAnyone:
    def test_a_vote(self, three: Network) -> None:
        """Without waiting for the save in `VoteReply` (`send` for `reply` in election.py)."""
        three.crash("1")
        three.tick(["2"], 31)
        three.stall("2")
        three.wires.clear()
        three.node("2").step(Vote("order-3", "order-2", 2, 3, 1, empty=False))
        three.pump("2")
        assert three.wires == []
        three.unstall("2")
        (reply,) = three.wires
        assert isinstance(reply, VoteReply)
        assert reply.granted
        assert three.replicas["2"].disk.hard_state.vote == "order-3"

    def test_a_term_and_the_own_vote(self, three: Network) -> None:
        """Without waiting for the save in `campaign`, and without `own_vote_saved` (own vote counted at once)."""
        three.crash("1")
        three.run(31)
        three.lose()
        three.time_out("2")
        three.stall("2")
        three.deliver()
        assert three.node("2").role is Role.CANDIDATE
        assert not any(isinstance(m, Vote) and not isinstance(m, PreVote) for m in three.wires)
        three.node("2").step(VoteReply("order-3", "order-2", 2, "u3", True, False, False))
        assert three.node("2").role is Role.CANDIDATE
        three.unstall("2")
        assert three.node("2").role is Role.LEADER

    def test_the_own_vote_waits_for_its_own_save(self) -> None:
        """Without `saved == self.hard_state` in `advance`: the end of an older save would count as that of the vote."""
        network = Network.of(3)
        network.write("2", [1, 1], term=1)
        node = network.node("2")
        node.step(VoteReply("order-1", "order-2", 5, "u1", False, True, False))
        for _ in range(61):
            node.tick()
        network.stall("2")
        network.pump("2")  # term 5 is being saved
        node.step(VoteReply("order-3", "order-2", 6, "u3", True, True, False))
        node.step(VoteReply("order-3", "order-2", 6, "u3", True, False, False))
        node.advance()
        assert node.role is Role.CANDIDATE

    def test_entries_of_a_follower(self, three: Network) -> None:
        """Without waiting for the save in `_answer_append` (`send` for `reply`)."""
        three.stall("3")
        three.propose("1", "a")
        three.deliver(("1", "3"))
        assert not any(isinstance(m, AppendReply) and m.sender == "order-3" for m in three.wires)
        three.unstall("3")
        assert any(isinstance(m, AppendReply) and m.match == 4 for m in three.wires)

    def test_entries_of_a_leader_travel_meanwhile_but_count_when_synced(self, three: Network) -> None:
        """Without `saved` for the leader's own match in `maybe_commit` (`last_index` in its place)."""
        three.crash("3")
        three.stall("1")
        three.propose("1", "a")
        assert [m.to for m in appends(three.wires)] == ["order-2", "order-3"]
        three.deliver()
        assert three.node("1").log.commit == 3
        three.unstall("1")
        assert three.node("1").log.commit == 4

    def test_nothing_is_applied_beyond_the_own_disk(self, three: Network) -> None:
        """Without the minimum with `saved` in `_take_apply`."""
        three.stall("1")
        three.propose("1", "a")
        three.deliver()
        assert three.node("1").log.commit == 4
        assert three.replicas["1"].queue[0].apply == ()
        assert [entry.index for ready in three.replicas["1"].queue for entry in ready.apply] == []
        three.unstall("1")
        assert three.replicas["1"].disk.applied == 4


class TestCommitting:
    def test_a_no_op_commits_before_a_new_leader_serves(self, three: Network) -> None:
        """Without `serves` in `_maybe_confirm`. (Entries of older terms: test_paper and figure_8.txt.)"""
        three.crash("1")
        three.run(31)
        three.lose()
        three.elect_by("2", "3")
        leadership = three.node("2").leadership
        three.node("2").read_index(1)
        assert not leadership.serves
        three.node("2").leadership._maybe_confirm()
        assert leadership._round is None
        three.run(10)
        assert leadership.serves
        assert 1 in three.replicas["2"].reads

    @pytest.mark.parametrize("pre", [True, False])
    def test_votes_are_a_set(self, pre: bool) -> None:
        """Without the dict of `_granted` (a count in its place)."""
        network = Network.of(5)
        network.write("2", [1, 1], term=1)
        network.time_out("2")
        if not pre:
            network.node("2").election.campaign(transfer=False)
            network.pump("2")
        before = network.node("2").role
        for _ in range(4):
            network.node("2").step(VoteReply("order-1", "order-2", 2, "u1", True, pre, False))
        assert network.node("2").role is before


class TestQuiet:
    """Pre-vote, check-quorum, and voters who hear a leader."""

    def test_pre_vote(self, three: Network) -> None:
        """Without `ask_first` (`campaign` in its place): the term of a replica that was cut off grows."""
        three.isolate("3")
        three.run(500)
        assert three.node("3").hard_state.term == 1
        three.cut.clear()
        three.run(20)
        assert three.leaders == {1: "1"}

    def test_check_quorum(self, three: Network) -> None:
        """Without the first lines of `Leadership.tick`: it leads for ever."""
        low = three.node("1").config.election_ticks[0]
        three.isolate("1")
        three.run(low)
        assert three.node("1").role is Role.FOLLOWER
        with pytest.raises(NotLeading):
            three.node("1").propose([b"a"])

    def test_voters_who_hear_a_leader_ignore_candidates(self, three: Network) -> None:
        """Without `hears_leader` in `on_request`: the vote is given, or the term rises."""
        three.wires.clear()
        for candidate in (PreVote, Vote):
            three.node("2").step(candidate("order-3", "order-2", 2, 9, 1, empty=False))
            three.node("1").step(candidate("order-3", "order-1", 2, 9, 1, empty=False))
        three.pump("1")
        three.pump("2")
        assert three.wires == []
        assert three.node("2").hard_state.term == three.node("1").hard_state.term == 1

    def test_but_not_one_that_the_leader_sent(self, three: Network) -> None:
        """Without the exception for `transfer` in `on_request`: a hand-over takes an election timeout."""
        three.node("1").transfer("order-3")
        three.pump("1")
        three.deliver()
        assert three.node("3").role is Role.LEADER


class TestTruncating:
    def test_never_below_what_is_committed(self, three: Network) -> None:
        """Without the assertion in `Log._truncate`: a broken leader may take back what was acknowledged."""
        three.propose("1", "a")
        three.run(10)
        with pytest.raises(AssertionError):
            three.node("2").step(Append("order-3", "order-2", 5, 1, 3, 1, 0, (Entry(4, 5, Kind.NOOP, b""),)))

    def test_backing_off_goes_by_term_and_index(self) -> None:
        """Without `may_agree` at the follower, or at the leader (one entry back at a time): a refusal an entry."""
        network = Network.of(3)
        for name in "12":
            network.write(name, [1] * 2 + [4] * 30)
        network.write("3", [1] * 2 + [2] * 40 + [3] * 40)
        lines: list[str] = []
        network.tell = lines.append
        network.time_out("1")
        network.run(5)
        assert sum("refused" in line for line in lines) <= 3
        assert network.node("3").log.last_index == network.node("1").log.last_index

    def test_reads_are_confirmed_by_requests_that_left_after_them(self, three: Network) -> None:
        """Without a new number for each round (`self._seq` for `_next_seq()` in `_maybe_confirm`)."""
        three.propose("1", "a")
        three.deliver(("1", "2"))
        three.deliver(("1", "3"))
        earlier = list(three.wires)
        three.node("1").read_index(1)
        three.pump("1")
        three.held = {("1", "2"), ("1", "3")}
        three.deliver()
        assert earlier
        assert three.replicas["1"].reads == {}
        three.held.clear()
        three.deliver()
        assert 1 in three.replicas["1"].reads

    def test_a_read_waits_for_the_end_of_the_round_before(self, three: Network) -> None:
        """Without `_round` (reads added to a round under way would be confirmed by requests from before them)."""
        three.held = {("2", "1"), ("3", "1")}
        three.node("1").read_index(1)
        three.pump("1")
        three.deliver()
        three.node("1").read_index(2)
        three.pump("1")
        three.held = {("1", "2"), ("1", "3")}
        three.deliver()
        assert set(three.replicas["1"].reads) == {1}


class TestBounds:
    def test_batches(self) -> None:
        """Without the limits of `Log.slice`: entries and bytes of an append are bounded, but for one large entry."""
        limits = Limits(append_entries=3, append_bytes=400, window=2)
        network = Network.of(3, limits=limits)
        network.elect("1")
        network.propose("1", *"abcdefgh", "x" * 1000, "y" * 200, "z" * 200)
        seen: list[Append] = []
        for _ in range(10):
            seen += [m for m in appends(network.wires) if m.to == "order-2"]
            network.deliver(("1", "2"))
            network.deliver(("2", "1"))
        assert [len(message.entries) for message in seen] == [3, 3, 2, 1, 1, 1]

    def test_the_window(self) -> None:
        """Without the comparison with `window` in `may_send`."""
        network = Network.of(3, limits=Limits(append_entries=1, window=2))
        network.elect("1")
        for item in "abcdef":
            network.propose("1", item)
        assert len([m for m in appends(network.wires) if m.to == "order-2"]) == 2

    @pytest.mark.parametrize("order", [[3, 2, 1, 0], [1, 0, 3, 2], [2, 0, 3, 1], [0, 2, 1, 3]])
    def test_appends_arrive_in_any_order(self, order: list[int]) -> None:
        """Without `_keep_early`: what came early would have to be sent again."""
        network = Network.of(3, limits=Limits(append_entries=1))
        network.elect("1")
        for item in "abcd":
            network.propose("1", item)
        to_three = [m for m in network.wires if m.to == "order-3"]
        network.wires = [to_three[position] for position in order]
        network.deliver(("1", "3"))
        assert network.node("3").log.last_index == 7
        before = network.node("1").leadership._seq
        network.deliver()
        assert network.node("1").log.commit == 7
        assert network.node("1").leadership._seq == before  # nothing was sent again

    def test_uncommitted_bytes(self) -> None:
        """Without `_uncommitted` in `propose`: a leader without a quorum takes in everything."""
        network = Network.of(3, limits=Limits(uncommitted_bytes=1000))
        network.elect("1")
        network.isolate("1")
        taken = 0
        while network.propose("1", "x" * 100) is not None:
            taken += 1
            assert taken < 20
        network.cut.clear()
        network.run(25)
        assert network.propose("1", "x") is not None

    def test_uncommitted_bytes_count_what_was_inherited(self) -> None:
        """Without the sum in `Leadership.__init__`: the count would go below zero as they commit."""
        network = Network.of(3)
        for name in "123":
            network.write(name, [1, 1, 1, 1])
        network.elect("1")
        assert network.node("1").leadership._uncommitted == 0

    def test_no_progress_leads_back_to_probing(self, three: Network) -> None:
        """Without the reset of a stuck peer in `Leadership.tick`."""
        three.crash("3")
        three.propose("1", "a")
        three.run(three.node("1").config.resend_ticks)
        progress = three.node("1").leadership.peers["order-3"]
        assert progress.flow is Flow.PROBE
        assert progress.next == progress.match + 1


class TestOwnDisk:
    def test_a_leader_whose_disk_stalls_stops(self, three: Network) -> None:
        """Without the first lines of `Node.tick`: it goes on confirming itself for ever."""
        three.stall("1")
        three.propose("1", "a")
        three.run(three.node("1").config.election_ticks[0])
        assert three.node("1").role is Role.FOLLOWER
        three.wires.clear()
        three.tick(["1"], 100)
        assert not any(isinstance(m, Heartbeat | Append) for m in three.wires)

    def test_it_does_not_campaign_meanwhile(self, three: Network) -> None:
        """Without `_saving_since` in `may_campaign`."""
        three.isolate("3")
        three.stall("3")
        last = three.node("3").log.last_index
        three.node("3").step(Append("order-1", "order-3", 1, 99, last, 1, 0, (Entry(last + 1, 1, Kind.NOOP, b""),)))
        three.pump("3")
        for _ in range(200):
            three.tick(["3"])
            assert not three.node("3").campaigning
        three.node("3").step(TimeoutNow("order-1", "order-3", 1))
        assert not three.node("3").campaigning
        three.unstall("3")
        three.tick(["3"], 61)
        assert three.node("3").campaigning

    def test_one_that_can_not_write_neither_leads_nor_campaigns(self, three: Network) -> None:
        """Without `step_down` in `set_writable`, or `writable` in `may_campaign`."""
        three.node("1").set_writable(False)
        assert three.node("1").role is Role.FOLLOWER
        three.isolate("1")
        three.tick(["1"], 200)
        three.node("1").step(TimeoutNow("order-2", "order-1", 1))
        assert not three.node("1").campaigning
        three.node("1").set_writable(True)
        three.tick(["1"], 61)
        assert three.node("1").campaigning

    @pytest.mark.fault(6)
    def test_leadership_ends_with_the_process(self, three: Network) -> None:
        """Without a role that starts idle: a restarted leader would count acknowledgements of its earlier life."""
        three.restart("1")
        assert three.node("1").role is Role.FOLLOWER
        assert three.node("1").hard_state.term == 1
        with pytest.raises(NotLeading):
            three.node("1").propose([b"a"])
        three.run(200)
        assert max(three.leaders) > 1
