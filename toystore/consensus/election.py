"""How a leader comes to be: by the votes of a majority (Raft 5.2, 5.4.1), with pre-vote (thesis 9.6).

What differs between this and the appointed election (appointed.py) is behind two interfaces: `Election`, a node's part
in the choice of a leader, and `Office`, what a leader does because of the way it was chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from toystore.consensus.messages import Message, NodeId, PreVote, TimeoutNow, Vote, VoteReply
from toystore.consensus.progress import Progress
from toystore.consensus.quorum import Majority, Rule

if TYPE_CHECKING:
    from toystore.consensus.leadership import Leadership
    from toystore.consensus.node import Node


class Office(Protocol):
    """One term of office."""

    @property
    def rule(self) -> Rule:
        """How many, of those that are counted, are enough."""

    def known(self, peer: NodeId, progress: Progress) -> bool:
        """Is its storage the right one, so that it is in contact, whatever it holds by now?"""

    def counted(self, peer: NodeId, progress: Progress) -> bool:
        """Is its storage one whose word counts?"""

    def tick(self) -> None: ...

    def welcome(self, peer: NodeId, progress: Progress) -> None:
        """It has answered: is its storage to count from now on?"""

    def hand_to(self, target: NodeId, leaving: bool) -> None:
        """It has everything, and is to lead; `leaving`: this node is about to end."""


class Election(Protocol):
    def restart_timer(self) -> None:
        """A leader was heard of."""

    def tick(self) -> None:
        """At a node that does not lead."""

    def step(self, message: Message) -> None:
        """A message about elections."""

    def candidacy_saved(self) -> None:
        """What makes this node a candidate is on disk."""

    def disk_stalls(self) -> None:
        """A write of this node has been under way for an election timeout."""

    def office(self, leadership: Leadership) -> Office: ...

    def founding(self) -> Mapping[NodeId, str]:
        """The first members, at the first leader of an empty log: storage uuids by node."""

    @property
    def generation(self) -> int:
        """That of the ledger which this node may lead."""

    @property
    def named(self) -> bool:
        """Does the storage of this node count?"""


class RaftOffice:
    """Led by votes: gone without contact to a majority; storages are named by entries of the log."""

    def __init__(self, node: Node, leadership: Leadership, rule: Majority) -> None:
        self._node, self._leadership, self.rule = node, leadership, rule

    def known(self, peer: NodeId, progress: Progress) -> bool:
        """The log names its storage. Until it holds the entry that does it votes for nobody, so that whoever is in contact
        with it has no rival by its vote."""
        member = self._node.members.get(peer)
        return member is not None and member.uuid == progress.uuid

    def counted(self, peer: NodeId, progress: Progress) -> bool:
        """And it holds the entry that names it."""
        return self.known(peer, progress) and progress.match >= self._node.members[peer].index

    def tick(self) -> None:
        """Check-quorum (thesis 6.2)."""
        if self._node.now - self._leadership.last_quorum() >= self._node.config.election_ticks[0]:
            self._node.step_down("no contact with a quorum")

    def welcome(self, peer: NodeId, progress: Progress) -> None:
        self._leadership.maybe_name(peer, progress)

    def hand_to(self, target: NodeId, leaving: bool) -> None:
        self._node.send(TimeoutNow(self._node.id, target, self._leadership.term))


class RaftElection:
    """One node's part in elections: as a voter, and as a candidate."""

    generation = 0

    def __init__(self, node: Node) -> None:
        self._node = node
        self.rule = Majority(len(node.config.voters))
        self._granted: dict[NodeId, str] = {}
        self._refused: set[NodeId] = set()
        self._empties: set[NodeId] = set()
        self._transfer = False
        self.restart_timer()

    # Timing

    def restart_timer(self) -> None:
        """A new random timeout, so that votes are seldom split (Raft 5.2)."""
        self._started = self._node.now
        low, high = self._node.config.election_ticks
        self._timeout = self._node.random.randint(low, high)

    def tick(self) -> None:
        if self._node.now - self._started >= self._timeout:
            self.restart_timer()
            if self._node.may_campaign:
                self.ask_first()

    # As a candidate

    def ask_first(self) -> None:
        """Pre-vote: would a majority vote for me? Nobody's term changes by asking."""
        node = self._node
        node.become_candidate(pre=True)
        self._begin(transfer=False)
        self._empties = {node.id} if node.new else set()
        for voter in node.config.other_voters:
            node.reply(
                PreVote(
                    node.id, voter, node.hard_state.term + 1, node.log.last_index, node.log.last_term,
                    node.log.empty, node.founding(),
                )
            )  # fmt: skip
        self._grant(node.id, node.uuid)

    def campaign(self, transfer: bool) -> None:
        """A new term, with my own vote; both are on disk before anyone hears of them."""
        node = self._node
        node.become_candidate(pre=False)
        self._begin(transfer)
        for voter in node.config.other_voters:
            node.reply(
                Vote(
                    node.id, voter, node.hard_state.term, node.log.last_index, node.log.last_term,
                    node.log.empty, node.founding(), transfer, tuple(sorted(self._empties)),
                )
            )  # fmt: skip

    def _begin(self, transfer: bool) -> None:
        self._granted, self._refused, self._transfer = {}, set(), transfer

    def candidacy_saved(self) -> None:
        """My own vote is on disk."""
        self._grant(self._node.id, self._node.uuid)

    def disk_stalls(self) -> None:
        """Another one may do better; its heartbeats would keep the others from finding out."""
        self._node.step_down("its own disk stalls")

    def step(self, message: Message) -> None:
        match message:
            case PreVote():
                self._on_request(message)
            case VoteReply():
                self._on_reply(message)
            case TimeoutNow() if self._node.may_campaign:
                self.restart_timer()
                self.campaign(transfer=True)

    def _on_reply(self, reply: VoteReply) -> None:
        node = self._node
        if reply.pre != (node.role is node.role.PRE_CANDIDATE) or not node.campaigning:
            return
        if reply.empty:
            self._empties.add(reply.sender)
        if reply.granted:
            self._grant(reply.sender, reply.uuid)
        else:
            self._refused.add(reply.sender)
            if len(self._refused) >= self.rule.size:
                node.become_follower(node.hard_state.term, None)

    def _grant(self, voter: NodeId, uuid: str) -> None:
        self._granted[voter] = uuid
        if len(self._granted) < self.rule.size:
            return
        node = self._node
        if node.role is node.role.PRE_CANDIDATE:
            self.campaign(transfer=False)
        else:
            node.become_leader()

    # As a leader

    def office(self, leadership: Leadership) -> RaftOffice:
        return RaftOffice(self._node, leadership, self.rule)

    def founding(self) -> Mapping[NodeId, str]:
        """Those whose votes founded the cluster."""
        return dict(self._granted)

    @property
    def named(self) -> bool:
        """Is this storage the one that the log names?"""
        member = self._node.members.get(self._node.id)
        return member is not None and member.uuid == self._node.uuid

    # As a voter

    def _on_request(self, request: PreVote) -> None:
        """A PreVote or a Vote. Whoever hears a leader ignores candidates, unless that leader sent them (thesis 4.2.3)."""
        node = self._node
        pre = not isinstance(request, Vote)
        transfer = isinstance(request, Vote) and request.transfer
        if request.term > node.hard_state.term and node.hears_leader and not transfer:
            return
        if not pre and request.term > node.hard_state.term:
            node.become_follower(request.term, None)
        granted = (
            request.term >= node.hard_state.term + pre
            and (pre or node.hard_state.vote in (None, request.sender))
            and node.log.up_to_date(request.last_index, request.last_term)
            and self._counts(request, pre)
        )
        if granted and not pre:
            node.vote_for(request.sender)
            self.restart_timer()
        term = request.term if granted else node.hard_state.term
        node.reply(VoteReply(node.id, request.sender, term, node.uuid, granted, pre, node.new))

    def _counts(self, request: PreVote, pre: bool) -> bool:
        """Does my vote count? Not where my disk may have forgotten one."""
        node = self._node
        if not node.new:
            return node.named
        if not request.empty:
            return dict(request.founding).get(node.id) == node.uuid
        empties = {*request.empties, node.id} if isinstance(request, Vote) else set()
        return pre or len(empties) >= self.rule.size
