"""One replica's part in consensus: ticks and messages in, one `Ready` out.

The core never sleeps, sends or writes, and its random source is given to it; time is ticks. Whoever drives it (there is
one place: replication/replicator.py) does what `ready` says, in this order: send what may leave at once, save, send what
had to wait for the save, apply.
"""

from __future__ import annotations

import random as random_module
from collections import deque
from collections.abc import Mapping, Sequence

from attrs import evolve

from toystore.consensus.appointed import AppointedElection
from toystore.consensus.election import Election, RaftElection
from toystore.consensus.following import Following
from toystore.consensus.leadership import Leadership
from toystore.consensus.log import Log
from toystore.consensus.membership import decode_members
from toystore.consensus.messages import (
    Append,
    AppendReply,
    Entry,
    HardState,
    Heartbeat,
    HeartbeatReply,
    Kind,
    Member,
    Members,
    Message,
    NodeId,
    Ping,
    PreVote,
    SnapshotMeta,
    TimeoutNow,
    VoteReply,
)
from toystore.consensus.ready import Ready, Role
from toystore.consensus.settings import Limits, NodeConfig
from toystore.consensus.views import Claim, View

__all__ = ["Limits", "Node", "NodeConfig", "NotLeading", "Ready", "Role"]


class NotLeading(Exception):
    """Only a leader can do this."""


class Node:
    def __init__(
        self,
        config: NodeConfig,
        random: random_module.Random,
        *,
        uuid: str,
        hard_state: HardState | None = None,
        log: Log | None = None,
        members: Members | None = None,
        generation: int = 0,
        refilling: bool = False,
    ) -> None:
        """As recovered from the disk: `members` and `generation` are as of the applied index. `refilling`: what this
        storage held before was put aside as broken; empty as it is, it is not new, and founds nothing."""
        self.config = config
        self._known = {*config.peers, config.register}
        self.random = random
        self.uuid = uuid
        self.refilling = refilling
        self.hard_state = self.durable = hard_state or HardState()
        self.generation = generation
        self.log = log or Log()
        self.members: Mapping[NodeId, Member] = members or {}
        if not self.members and self.log.base_index == 0 and not self.log.empty:
            self._note_founding(self.log.entry(1))
        self.now = 0
        self.role = self.idle_role
        self.leader: NodeId | None = None
        self.leadership: Leadership | None = None
        self.writable = True
        self.forgot = False
        self.gave_up = ""
        self.election: Election = (AppointedElection if config.election == "appointed" else RaftElection)(self)
        self.following = Following(self)
        self._urgent: list[Message] = []
        self._replies: deque[Message] = deque(maxlen=config.limits.replies)
        self._unsaved_state = False
        self._first_unsaved = self.log.last_index + 1
        self._saving: HardState | None = None
        self._saving_to = 0
        self._saving_since: int | None = None
        self._applying = False
        self._reads: list[tuple[int, int]] = []
        self._lost_reads: list[int] = []
        self._snapshots: list[tuple[NodeId, int]] = []

    # What is asked of it ----------------------------------------------------------------------------------------

    def tick(self, passed: int = 1) -> None:
        """So many ticks have passed; more than one where the process was away."""
        self.now += passed
        if self.write_overdue:
            self.election.disk_stalls()
        if self.leadership is not None:
            self.leadership.tick()
        elif self.role is not Role.LEARNER:
            self.election.tick()

    def step(self, message: Message) -> None:
        """Take in a message from a peer. Whatever it leads to comes out of `ready`."""
        if message.to != self.id or message.sender not in self._known or self.forgot:
            return
        match message:
            case PreVote() | Ping():
                if self.role is not Role.LEARNER:
                    self.election.step(message)
            case VoteReply(pre=True, granted=True):
                if message.term == self.hard_state.term + 1:
                    self.election.step(message)
            case Append() | Heartbeat() if message.term < self.hard_state.term:
                self.following.answer_stale(message)
            case _:
                self._step_in_term(message)

    def _step_in_term(self, message: Message) -> None:
        if message.term > self.hard_state.term:
            self.become_follower(message.term, None)
        if message.term < self.hard_state.term:
            return
        match message:
            case Append() | Heartbeat():
                self.following.on_request(message)
            case VoteReply() | TimeoutNow():
                self.election.step(message)
            case AppendReply() if self.leadership is not None:
                self.leadership.on_append_reply(message)
            case HeartbeatReply() if self.leadership is not None:
                self.leadership.on_heartbeat_reply(message)

    def propose(self, data: Sequence[bytes]) -> range | None:
        """Append commands: their indexes, or None where they are turned away (too much waits, or a hand-over is under
        way). Raises NotLeading."""
        return self._leading.propose(data)

    def read_index(self, token: int) -> None:
        """Ask for `token` to come back in `Ready.reads` or `lost_reads` (Raft 8). Raises NotLeading."""
        self._leading.read_index(token)

    def transfer(self, target: NodeId | None = None, leaving: bool = False) -> NodeId | None:
        """Hand leadership over; gives to whom, None where nobody is able. `leaving`: this node is about to end. Raises
        NotLeading."""
        return self._leading.transfer(target, leaving)

    def unreachable(self, peer: NodeId, gone: bool = False) -> None:
        """A message to `peer` was lost, as far as the transport can tell; `gone`: nobody listens there any more."""
        if self.leadership is not None and peer in self.config.peers:
            self.leadership.unreachable(peer, gone)

    def snapshot_sent(self, peer: NodeId, index: int | None) -> None:
        """The transfer to `peer` ended: it has installed up to `index`, or (None) it failed."""
        if self.leadership is not None:
            self.leadership.snapshot_sent(peer, index)

    def set_writable(self, writable: bool) -> None:
        """A node that cannot write neither campaigns nor leads."""
        self.writable = writable
        if not writable:
            self.step_down("it can not write")

    # What comes out -----------------------------------------------------------------------------------------------

    def ready(self) -> Ready:
        """Everything there is to do. What is given is not given again."""
        send, self._urgent = tuple(self._urgent), []
        reads, self._reads = tuple(self._reads), []
        lost, self._lost_reads = tuple(self._lost_reads), []
        snapshots, self._snapshots = tuple(self._snapshots), []
        hard_state, entries, replies = self._take_save()
        forgot = self.forgot and self._saving_since is None
        if forgot:
            self._saving_since = self.now  # the new uuid is being written; `renewed` ends it
        return Ready(send, hard_state, entries, replies, self._take_apply(), reads, lost, snapshots, forgot)

    def _take_save(self) -> tuple[HardState | None, tuple[Entry, ...], tuple[Message, ...]]:
        if self._saving_since is not None or self.forgot:
            return None, (), ()
        last = self.log.last_index
        hard_state = self.hard_state if self._unsaved_state else None
        entries = self.log.slice(self._first_unsaved, last, last, 1 << 62) if self._first_unsaved <= last else ()
        if hard_state is not None or entries:
            self._saving, self._saving_to, self._saving_since = hard_state, last, self.now
        self._unsaved_state = False
        self._first_unsaved = last + 1
        replies = tuple(self._replies)
        self._replies.clear()
        return hard_state, entries, replies

    def _take_apply(self) -> tuple[Entry, ...]:
        last = min(self.log.commit, self.log.saved)
        if self._applying or self.log.applied >= last:
            return ()
        self._applying = True
        limit = self.config.limits.apply_entries
        return self.log.slice(self.log.applied + 1, last, limit, 1 << 62)

    def advance(self) -> None:
        """What the last `ready` told to save is on disk."""
        assert self._saving_since is not None
        saved = self._saving
        self._saving, self._saving_since = None, None
        self.log.saved = max(self.log.saved, min(self._saving_to, self._first_unsaved - 1))
        if saved is not None:
            self.durable = saved
            if self.role is Role.CANDIDATE and saved == self.hard_state:
                self.election.candidacy_saved()
        if self.leadership is not None:
            self.leadership.reconsider()

    def applied(self, index: int) -> None:
        """Everything up to `index` has been applied."""
        self._applying = False
        self.log.applied = index

    def has_forgotten(self) -> None:
        """This disk has less than it acknowledged: it says nothing more under this uuid."""
        self.forgot = True
        self._replies.clear()

    def renewed(self, uuid: str) -> None:
        """The disk that forgot has a new uuid, and takes part again as far as that counts."""
        self.uuid, self.forgot, self._saving_since = uuid, False, None
        self.become_follower(self.hard_state.term, None)

    def lacks(self, meta: SnapshotMeta) -> bool:
        """Is a snapshot up to there of use? Not where its last entry is in the log: those after it may have been
        acknowledged, and installing would drop them (Raft figure 13, step 6). One of a later generation takes the place
        of everything."""
        if meta.generation != self.generation:
            return meta.generation > self.generation
        return meta.index > self.log.commit and self.log.term_at(meta.index) != meta.term

    def restore(self, meta: SnapshotMeta) -> None:
        """A snapshot that this node `lacks` has been installed; nothing was being saved or applied meanwhile."""
        assert self._saving_since is None
        assert not self._applying
        self._drop_acknowledgements()
        self.log.restore(meta.index, meta.term, other=meta.generation > self.generation)
        self.members, self.generation = meta.members, meta.generation
        self._first_unsaved = meta.index + 1
        self.following.forget_early()

    # The state of others' making ----------------------------------------------------------------------------------

    @property
    def id(self) -> NodeId:
        return self.config.id

    @property
    def _leading(self) -> Leadership:
        if self.leadership is None:
            raise NotLeading
        return self.leadership

    @property
    def idle_role(self) -> Role:
        """What it is while it neither leads nor stands for election."""
        return Role.FOLLOWER if self.id in self.config.voters else Role.LEARNER

    @property
    def named(self) -> bool:
        """Does this storage count?"""
        return self.election.named

    @property
    def new(self) -> bool:
        """As far as is known it has never held a ledger: a majority of such replicas may found one."""
        return self.log.empty and not self.refilling

    @property
    def may_campaign(self) -> bool:
        able = self.writable and not self.forgot and self._saving_since is None
        return able and self.id in self.config.voters and (self.new or self.named)

    @property
    def campaigning(self) -> bool:
        return self.role in (Role.PRE_CANDIDATE, Role.CANDIDATE)

    @property
    def hears_leader(self) -> bool:
        """A leader that a quorum follows was heard of within the shortest election timeout."""
        heard = self.following.heard if self.leadership is None else self.leadership.last_quorum()
        return self.now - heard < self.config.election_ticks[0]

    @property
    def quorum_age(self) -> int | None:
        """Ticks since a leader confirmed by a quorum was last in contact; None for never. 0 at a leader that serves."""
        if self.leadership is not None:
            return self.now - self.leadership.last_quorum()
        confirmed_at = self.following.confirmed_at
        return None if confirmed_at is None else self.now - confirmed_at

    @property
    def state_age(self) -> int | None:
        """Ticks for which what is applied here may have lacked something acknowledged; None: it is not known."""
        if self.leadership is not None:
            return self.quorum_age
        current_at = self.following.current_at()
        return None if current_at is None else self.now - current_at

    @property
    def write_overdue(self) -> bool:
        """Its own disk stalls."""
        return self._saving_since is not None and self.now - self._saving_since >= self.config.election_ticks[0]

    @property
    def term_saved(self) -> bool:
        """Term, vote and view are on disk."""
        return self._saving is None and not self._unsaved_state

    @property
    def settled(self) -> bool:
        """Nothing waits for a save that has not begun."""
        return not self._replies and not self._unsaved_state and self._first_unsaved > self.log.last_index

    def founding(self) -> tuple[tuple[NodeId, str], ...]:
        """The first members, where the log knows of no others."""
        if any(member.index != 1 for member in self.members.values()):
            return ()
        return tuple((node, member.uuid) for node, member in self.members.items())

    def _note_founding(self, entry: Entry) -> None:
        """The founding entry takes effect when it is appended; later ones when they are committed."""
        if entry.index == 1:
            uuids = decode_members(entry.data)[1] if entry.kind is Kind.MEMBERS else {}
            self.members = {node: Member(uuid, 1) for node, uuid in uuids.items()}

    def commit_to(self, index: int) -> tuple[Entry, ...]:
        newly = self.log.commit_to(index)
        for entry in newly:
            if entry.kind is Kind.MEMBERS and entry.index > 1:
                self.members = renamed(self.members, entry)
        return newly

    def append(self, entries: Sequence[Entry]) -> None:
        first = self.log.append(entries)
        if first:
            self._first_unsaved = min(self._first_unsaved, first)
            if first == 1:
                self._note_founding(self.log.entry(1))

    # Roles --------------------------------------------------------------------------------------------------------

    def _set_hard_state(self, hard_state: HardState) -> None:
        assert hard_state.term >= self.hard_state.term
        if hard_state.term > self.hard_state.term:
            self.following.forget_early()
            self._drop_acknowledgements()
        if hard_state != self.hard_state:
            self.hard_state = hard_state
            self._unsaved_state = True

    def _drop_acknowledgements(self) -> None:
        """Of entries that are not on disk yet, and may leave the log before they are."""
        kept = [reply for reply in self._replies if not isinstance(reply, AppendReply)]
        self._replies.clear()
        self._replies.extend(kept)

    def become_follower(self, term: int, leader: NodeId | None) -> None:
        if self.leadership is not None:
            self._lost_reads += self.leadership.waiting_reads()
            self.leadership = None
        if self.role is not self.idle_role:
            self.election.restart_timer()
        self.role, self.leader = self.idle_role, leader
        if term > self.hard_state.term:
            self._set_hard_state(evolve(self.hard_state, term=term, vote=None))

    def step_down(self, reason: str) -> None:
        """A leader or candidate gives up in its term; `reason` is for whoever reads the log."""
        if self.leadership is not None or self.campaigning:
            self.gave_up = reason
            self.become_follower(self.hard_state.term, None)

    def become_candidate(self, pre: bool) -> None:
        self.leader = None
        self.role = Role.PRE_CANDIDATE if pre else Role.CANDIDATE
        if not pre:
            self._set_hard_state(evolve(self.hard_state, term=self.hard_state.term + 1, vote=self.id))

    def vote_for(self, candidate: NodeId) -> None:
        self._set_hard_state(evolve(self.hard_state, vote=candidate))

    def promise(self, claim: Claim) -> None:
        """Another register takes the views over: those of the one before count no more."""
        self._set_hard_state(evolve(self.hard_state, promised=claim))

    def take_view(self, view: View) -> None:
        """A view that replaces the one known. Its epoch is the term; whom a new epoch names leads it once this is on
        disk."""
        new_epoch = view.epoch > self.hard_state.term
        if new_epoch:
            self.become_follower(view.epoch, None)
        self._set_hard_state(evolve(self.hard_state, view=view))
        if new_epoch and view.leader == self.id and view.in_sync.get(self.id) == self.uuid and self.writable:
            self.role = Role.CANDIDATE

    def become_leader(self) -> None:
        self.role, self.leader = Role.LEADER, self.id
        self.leadership = Leadership(self)
        self.leadership.open_term()

    # Output -------------------------------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """To leave at once: it reveals nothing that is not on disk."""
        self._urgent.append(message)

    def reply(self, message: Message) -> None:
        """To leave once everything so far is on disk."""
        self._replies.append(message)

    def want_snapshot(self, peer: NodeId, since: int) -> None:
        self._snapshots.append((peer, since))

    def confirm_reads(self, tokens: Sequence[int], index: int) -> None:
        self._reads += [(token, index) for token in tokens]


def renamed(members: Members, entry: Entry) -> Members:
    """The members after a MEMBERS entry: who has another uuid than before is named by this entry."""
    uuids = decode_members(entry.data)[1]
    return {
        node: members[node] if node in members and members[node].uuid == uuid else Member(uuid, entry.index)
        for node, uuid in uuids.items()
    }
