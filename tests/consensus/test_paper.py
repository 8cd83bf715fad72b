"""One test for each claim of figure 2 of the Raft paper (extended version), cited in each; sections 5 and 8 are in
test_paper_text.py.

What design.md requires beyond the paper is in test_required.py.
"""

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
    Message,
    PreVote,
    Vote,
    VoteReply,
)
from toystore.consensus.node import NotLeading, Role


def written(terms: list[int], *, term: int = 0, vote: str = "", applied: int = 0) -> Network:
    """Three replicas; 2, a follower, was started from a disk with these entries."""
    network = Network.of(3)
    network.write("2", terms, term=term, vote=vote, applied=applied)
    return network


def tell(network: Network, message: Message) -> list[Message]:
    """What 2 says to a message, once its disk has what must be there first."""
    network.wires.clear()
    network.node("2").step(message)
    network.pump("2")
    said, network.wires = network.wires, []
    return said


def entry(index: int, term: int) -> Entry:
    return Entry(index, term, Kind.COMMAND, f"{index}/{term}".encode())


def append(
    term: int, after: tuple[int, int], *entries: Entry, commit: int = 0, sender: str = "order-1", seq: int = 1
) -> Append:
    return Append(sender, "order-2", term, seq, *after, commit, entries)


def vote(term: int, last: tuple[int, int], sender: str = "order-1") -> Vote:
    return Vote(sender, "order-2", term, *last, empty=False)


def granted(said: list[Message]) -> bool:
    (reply,) = said
    assert isinstance(reply, VoteReply)
    return reply.granted


def terms_of(network: Network, name: str) -> list[int | None]:
    log = network.node(name).log
    return [log.term_at(index) for index in range(1, log.last_index + 1)]


class TestState:
    """Figure 2, State."""

    def test_term_vote_and_log_survive_a_crash(self) -> None:
        """Figure 2, "persistent state on all servers"; 5.2: one vote a term, also across a restart."""
        network = written([1, 1], term=1)
        assert granted(tell(network, vote(2, (2, 1))))
        tell(network, append(2, (2, 1), entry(3, 2)))
        network.restart("2")
        assert network.node("2").hard_state.term == 2
        assert terms_of(network, "2") == [1, 1, 2]
        assert not granted(tell(network, vote(2, (9, 2), sender="order-3")))

    def test_a_new_leader_starts_where_its_own_log_ends_and_knows_nothing(self, three: Network) -> None:
        """Figure 2, "volatile state on leaders": nextIndex is last + 1, matchIndex 0, both anew in each term."""
        three.crash("1")
        three.run(31)
        three.lose()
        last = three.node("2").log.last_index
        three.elect_by("2", "3")
        for progress in three.node("2").leadership.peers.values():
            assert (progress.next, progress.match) == (last + 1, 0)

    def test_the_commit_index_is_learned_again(self, three: Network) -> None:
        """Figure 2, "volatile state on all servers": commitIndex starts from what is known to be applied."""
        three.propose("1", "a")
        three.run(10)
        committed = three.node("3").log.commit
        three.restart("3")
        assert three.node("3").log.commit == three.replicas["3"].disk.applied < committed
        three.run(30)
        assert three.node("3").log.commit == committed


class TestAppendEntries:
    """Figure 2, AppendEntries RPC, "receiver implementation"."""

    def test_1_an_older_term_is_refused(self) -> None:
        """1: "Reply false if term < currentTerm" (5.1); the reply tells the newer term."""
        network = written([1, 3], term=3)
        (reply,) = tell(network, append(2, (2, 3), entry(3, 2)))
        assert isinstance(reply, HeartbeatReply)
        assert reply.term == 3
        assert terms_of(network, "2") == [1, 3]

    @pytest.mark.parametrize("after", [(5, 3), (3, 1), (3, 3)])
    def test_2_what_does_not_fit_is_refused(self, after: tuple[int, int]) -> None:
        """2: "Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm" (5.3)."""
        network = written([1, 1, 2])
        (reply,) = tell(network, append(4, after, entry(after[0] + 1, 4)))
        assert isinstance(reply, AppendReply)
        assert reply.rejected
        assert terms_of(network, "2") == [1, 1, 2]

    def test_3_a_conflicting_entry_goes_with_all_that_follow(self) -> None:
        """3: "If an existing entry conflicts with a new one ... delete the existing entry and all that follow it"."""
        network = written([1, 1, 2, 2, 2])
        tell(network, append(4, (2, 1), entry(3, 4)))
        assert terms_of(network, "2") == [1, 1, 4]
        assert [e.term for e in network.replicas["2"].disk.entries] == [1, 1, 4]

    def test_3_without_a_conflict_nothing_goes(self) -> None:
        """3: a late, shorter append may not cut off what came after it (the truncation only on a conflict)."""
        network = written([1, 1, 2, 2, 2], term=2)
        (reply,) = tell(network, append(2, (2, 1), network.node("2").log.entry(3)))
        assert terms_of(network, "2") == [1, 1, 2, 2, 2]
        assert isinstance(reply, AppendReply)
        assert reply.match == 3

    def test_4_what_is_missing_is_added(self) -> None:
        """4: "Append any new entries not already in the log"."""
        network = written([1, 1])
        log = network.node("2").log
        tell(network, append(2, (1, 1), log.entry(2), entry(3, 2), entry(4, 2)))
        assert terms_of(network, "2") == [1, 1, 2, 2]

    @pytest.mark.parametrize(("leader_commit", "expected"), [(1, 1), (3, 3), (9, 3)])
    def test_5_the_commit_index_ends_at_the_last_new_entry(self, leader_commit: int, expected: int) -> None:
        """5: "commitIndex = min(leaderCommit, index of last new entry)": what follows it may be another leader's."""
        network = written([1, 1, 2, 2, 2], term=2)
        tell(network, append(3, (2, 1), network.node("2").log.entry(3), commit=leader_commit))
        assert network.node("2").log.commit == expected

    def test_appends_are_idempotent(self) -> None:
        """5.5: "Raft RPCs are idempotent": the same again does no harm and gives the same answer."""
        network = written([1, 1])
        message = append(2, (2, 1), entry(3, 2), entry(4, 2), commit=3)
        first, again = tell(network, message), tell(network, message)
        assert isinstance(first[0], AppendReply)
        assert isinstance(again[0], AppendReply)
        assert first[0].match == again[0].match == 4
        assert terms_of(network, "2") == [1, 1, 2, 2]


class TestRequestVote:
    """Figure 2, RequestVote RPC, "receiver implementation"."""

    def test_1_an_older_term_is_refused(self) -> None:
        """1: "Reply false if term < currentTerm" (5.1)."""
        network = written([1, 3], term=3)
        (reply,) = tell(network, vote(2, (9, 2)))
        assert isinstance(reply, VoteReply)
        assert (reply.granted, reply.term) == (False, 3)

    @pytest.mark.parametrize(("voted", "gets_it"), [("", True), ("1", True), ("3", False)])
    def test_2_one_vote_a_term(self, voted: str, gets_it: bool) -> None:
        """2: "If votedFor is null or candidateId ... grant vote" (5.2: first come, first served)."""
        network = written([1, 1], term=2, vote=voted)
        assert granted(tell(network, vote(2, (2, 1)))) is gets_it

    @pytest.mark.parametrize(
        ("last", "gets_it"), [((3, 2), True), ((4, 2), True), ((1, 3), True), ((2, 2), False), ((9, 1), False)]
    )
    def test_2_only_a_log_as_up_to_date_gets_it(self, last: tuple[int, int], gets_it: bool) -> None:
        """2 and 5.4.1: the later last term is more up to date; with the same term, the longer log."""
        network = written([1, 1, 2], term=2)
        assert granted(tell(network, vote(4, last))) is gets_it
        network = written([1, 1, 2], term=2)
        assert granted(tell(network, PreVote("order-1", "order-2", 3, *last, empty=False))) is gets_it


class TestAllServers:
    """Figure 2, Rules for Servers, "All Servers"."""

    def test_what_is_committed_is_applied_in_order(self) -> None:
        """ "If commitIndex > lastApplied: ... apply log[lastApplied]" (5.3)."""
        network = written([1, 1, 1, 1], term=1, applied=1)
        tell(network, append(1, (4, 1), commit=4))
        assert network.replicas["2"].disk.applied == 4  # the disk refuses any other order

    @pytest.mark.parametrize(
        "message",
        [
            append(7, (2, 1)),
            vote(7, (0, 0)),
            Heartbeat("order-1", "order-2", 7, 1, 0),
            AppendReply("order-1", "order-2", 7, "u1", 1, 0, 0),
            HeartbeatReply("order-1", "order-2", 7, "u1", 1, 0),
            VoteReply("order-1", "order-2", 7, "u1", False, False, False),
        ],
        ids=lambda message: type(message).__name__,
    )
    def test_a_newer_term_makes_a_follower(self, message: Message) -> None:
        """ "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert to follower" (5.1)."""
        network = written([1, 1], term=1)
        network.time_out("2")
        tell(network, message)
        assert network.node("2").role is Role.FOLLOWER
        assert network.replicas["2"].disk.hard_state.term == 7

    def test_a_leader_too(self, three: Network) -> None:
        """5.1: "If a candidate or leader discovers that its term is out of date, it immediately reverts"."""
        three.node("1").step(HeartbeatReply("order-2", "order-1", 9, "u2", 0, 0))
        three.pump("1")
        assert three.node("1").role is Role.FOLLOWER
        with pytest.raises(NotLeading):
            three.node("1").propose([b"a"])


class TestFollowers:
    """Figure 2, Rules for Servers, "Followers" (5.2)."""

    def test_they_answer_leaders_and_candidates(self) -> None:
        """ "Respond to RPCs from candidates and leaders"."""
        network = written([1, 1], term=1)
        assert tell(network, append(1, (2, 1)))
        assert tell(network, Heartbeat("order-1", "order-2", 1, 1, 0))
        network.tick(["2"], 30)
        assert tell(network, vote(2, (2, 1)))

    def test_silence_makes_a_candidate(self, three: Network) -> None:
        """ "If election timeout elapses without receiving AppendEntries ... convert to candidate"."""
        three.run(200)
        assert three.node("2").role is Role.FOLLOWER
        three.crash("1")
        three.run(130)
        assert Role.LEADER in (three.node("2").role, three.node("3").role)

    def test_a_vote_given_puts_off_the_own_candidacy(self) -> None:
        """ "... or granting vote to candidate": the timeout starts anew."""
        network = written([1, 1], term=1)
        node = network.node("2")
        network.tick(["2"], node.election._timeout - 1)
        assert granted(tell(network, vote(2, (2, 1))))
        network.tick(["2"])
        assert node.role is Role.FOLLOWER


class TestCandidates:
    """Figure 2, Rules for Servers, "Candidates" (5.2)."""

    def test_a_new_term_the_own_vote_and_a_request_to_all(self) -> None:
        """ "Increment currentTerm, vote for self, reset election timer, send RequestVote RPCs to all"."""
        network = written([1, 1], term=1)
        network.time_out("2")
        network.node("2").step(VoteReply("order-1", "order-2", 2, "u1", True, True, False))
        network.wires.clear()
        network.pump("2")
        assert network.replicas["2"].disk.hard_state.term == 2
        assert network.replicas["2"].disk.hard_state.vote == "order-2"
        assert {m.to for m in network.wires if type(m) is Vote and m.term == 2} == {"order-1", "order-3"}

    def test_a_majority_makes_a_leader(self) -> None:
        """ "If votes received from majority of servers: become leader"; twice the same vote is one vote."""
        network = Network.of(5)
        network.write("2", [1, 1], term=1)
        network.time_out("2")
        for pre in (True, False):
            yes = VoteReply("order-1", "order-2", 2, "u1", True, pre, False)
            tell(network, yes)
            tell(network, yes)
            assert network.node("2").role is (Role.PRE_CANDIDATE if pre else Role.CANDIDATE)
            tell(network, VoteReply("order-3", "order-2", 2, "u3", True, pre, False))
        assert network.node("2").role is Role.LEADER

    def test_a_leader_of_its_term_makes_it_follow(self) -> None:
        """ "If AppendEntries RPC received from new leader: convert to follower"."""
        network = written([1, 1], term=1)
        network.time_out("2")
        network.node("2").election.campaign(transfer=False)
        network.pump("2")
        assert network.node("2").role is Role.CANDIDATE
        tell(network, append(2, (2, 1)))
        assert network.node("2").role is Role.FOLLOWER
        assert network.node("2").leader == "order-1"

    def test_another_timeout_another_election(self) -> None:
        """ "If election timeout elapses: start new election"."""
        network = written([1, 1], term=1)
        network.time_out("2")
        network.wires.clear()
        network.tick(["2"], 61)
        assert any(isinstance(message, PreVote) for message in network.wires)

    def test_timeouts_are_drawn_from_an_interval_each_time(self) -> None:
        """5.2: "election timeouts are chosen randomly from a fixed interval", so that split votes are rare."""
        node = Network.of(3).node("1")
        drawn = set()
        for _ in range(200):
            node.election.restart_timer()
            drawn.add(node.election._timeout)
        assert drawn == set(range(30, 61))


class TestLeaders:
    """Figure 2, Rules for Servers, "Leaders"."""

    def test_they_speak_at_once_and_when_idle(self, three: Network) -> None:
        """ "Upon election: send ... to each server; repeat during idle periods to prevent election timeouts" (5.2)."""
        three.tick(["1"], three.node("1").config.heartbeat_ticks)
        assert {m.to for m in three.wires if isinstance(m, Heartbeat)} == {"order-2", "order-3"}
        network = Network.of(3)
        network.elect_by("1", "2")
        assert {m.to for m in network.wires if isinstance(m, Append)} == {"order-2", "order-3"}

    def test_a_command_is_done_once_it_is_applied(self, three: Network) -> None:
        """ "Append entry to local log, respond after entry applied to state machine" (5.3)."""
        three.held = {("2", "1"), ("3", "1")}
        indexes = three.propose("1", "a")
        three.deliver()
        assert indexes is not None
        assert three.replicas["1"].disk.applied < indexes[0]
        three.held.clear()
        three.deliver()
        assert three.replicas["1"].disk.applied == indexes[0]

    def test_a_follower_is_sent_what_it_lacks(self, three: Network) -> None:
        """ "If last log index >= nextIndex: send"; "if successful: update nextIndex and matchIndex"."""
        three.propose("1", "a", "b")
        three.deliver()
        for progress in three.node("1").leadership.peers.values():
            assert (progress.match, progress.next) == (5, 6)

    def test_a_refusal_is_tried_again_further_back(self) -> None:
        """ "If AppendEntries fails because of log inconsistency: decrement nextIndex and retry" (5.3), a term at a time."""
        network = Network.of(3)
        for name in "12":
            network.write(name, [1, 2, 4, 4, 4, 4, 4, 4])
        network.write("3", [1, 2, 3, 3, 3, 3, 3, 3, 3, 3])
        network.time_out("1")
        refusals = []
        network.tell = refusals.append
        network.run(5)
        assert len([line for line in refusals if "refused" in line]) == 1
        assert terms_of(network, "3") == terms_of(network, "1")

    @pytest.mark.fault(6)
    def test_an_older_leader_is_told_and_steps_down(self, three: Network) -> None:
        """5.1, and 5.2: a server "with a stale term number rejects the request"; the answer ends the old term."""
        three.isolate("1")
        three.tick(["2", "3"], 130)
        three.run(0)
        three.deliver()
        for _ in range(200):
            three.tick(["2", "3"])
            three.deliver()
        leader = "2" if three.node("2").role is Role.LEADER else "3"
        assert three.node("1").role is Role.LEADER  # no time has passed for it
        three.cut.clear()
        three.propose("1", "lost")
        three.propose(leader, "kept")
        three.run(20)
        assert three.node("1").role is Role.FOLLOWER
        assert b"lost" not in {e.data for e in three.history.values()}
        assert b"kept" in {e.data for e in three.history.values()}

    def test_entries_of_older_terms_do_not_commit_by_counting(self) -> None:
        """ "If there exists an N such that ... log[N].term == currentTerm: set commitIndex = N" (5.3, 5.4.2)."""
        network = Network.of(3)
        for name in "123":
            network.write(name, [1, 1, 2], term=2, applied=1)
        network.elect_by("1", "2")
        leader = network.node("1")
        leader.step(AppendReply("order-2", "order-1", 3, "u2", 1, 3, 0))
        assert leader.log.commit == 1
        leader.step(AppendReply("order-2", "order-1", 3, "u2", 1, 4, 0))
        assert leader.log.commit == 4

    def test_the_log_of_a_leader_only_grows(self, three: Network) -> None:
        """Figure 3, Leader Append-Only (5.3): no answer, and no request of an older leader, changes its entries."""
        three.propose("1", "a", "b")
        before = three.node("1").log.slice(1, 5, 99, 1 << 20)
        three.deliver()
        three.node("1").step(Append("order-2", "order-1", 0, 1, 0, 0, 9, (entry(1, 0),)))
        three.node("1").step(AppendReply("order-2", "order-1", 1, "u2", 99, 4, 0, True, 0, 0))
        three.run(10)
        assert three.node("1").log.slice(1, 5, 99, 1 << 20) == before
