"""What a node does while it leads, and what it knows only then; gone when the term of office ends.

Contacts, reads and commits count only those voters whose storage is known to be the right one (`Office.counted`): a disk
that forgot is fed like a learner until it has been named anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import define

from toystore.consensus.log import size_of
from toystore.consensus.membership import encode_members
from toystore.consensus.messages import (
    Append,
    AppendReply,
    Entry,
    Heartbeat,
    HeartbeatReply,
    Kind,
    NodeId,
)
from toystore.consensus.progress import Flow, Progress

if TYPE_CHECKING:
    from toystore.consensus.node import Node


@define
class _Round:
    """Reads that wait until enough voters have answered a request sent after they came (thesis 6.4)."""

    seq: int
    index: int
    tokens: list[int]


class Leadership:
    def __init__(self, node: Node) -> None:
        self._node = node
        self._log = node.log
        self._office = node.election.office(self)
        self._limits = node.config.limits
        self.term = node.hard_state.term
        self._since = node.now
        last = node.log.last_index
        self.peers: dict[NodeId, Progress] = {
            peer: Progress(match=0, next=last + 1, now=node.now) for peer in node.config.peers
        }
        self._seq = 0
        self._uncommitted = sum(size_of(node.log.entry(i)) for i in range(node.log.commit + 1, last + 1))
        self._reads: list[int] = []
        self._round: _Round | None = None
        self._naming = 0
        self._first_of_term = last + 1
        self.transferee: NodeId | None = None
        self._transfer_until = 0
        self._leaving = False

    # Who counts

    def counted(self, peer: NodeId) -> bool:
        """Does what it says count?"""
        return self._office.counted(peer, self.peers[peer])

    def _voters(self) -> list[tuple[NodeId, Progress]]:
        return [(peer, self.peers[peer]) for peer in self._node.config.other_voters if self.counted(peer)]

    def last_quorum(self) -> int:
        """The tick at which enough voters had last confirmed this leader."""
        peers = {peer: self.peers[peer] for peer in self._node.config.other_voters}
        contacts = {peer: progress.now for peer, progress in peers.items() if self._office.known(peer, progress)}
        contacts[self._node.id] = self._node.now
        return max(self._since, self._office.rule.reached(contacts))

    @property
    def serves(self) -> bool:
        """An entry of this term is committed: what is committed is known (Raft 8)."""
        return self._log.commit >= self._first_of_term

    # Proposing

    def open_term(self) -> None:
        """The first entries: the members, where this is the first leader ever or of a generation, and a no-op (Raft 8)."""
        node, entries = self._node, []
        if node.log.empty or node.election.generation > node.generation:
            node.generation = node.election.generation
            uuids = node.election.founding()
            entries.append((Kind.MEMBERS, encode_members(node.config.election, uuids, node.generation)))
        entries.append((Kind.NOOP, b""))
        self._append(entries)

    def propose(self, data: Sequence[bytes]) -> range | None:
        """Append commands; their indexes, or None where too much is waiting or leadership is being handed over."""
        if self.transferee is not None or self._uncommitted > self._limits.uncommitted_bytes:
            return None
        first = self._log.last_index + 1
        self._append([(Kind.COMMAND, command) for command in data])
        return range(first, self._log.last_index + 1)

    def _append(self, payloads: Sequence[tuple[Kind, bytes]]) -> None:
        first = self._log.last_index + 1
        entries = [Entry(first + i, self.term, kind, data) for i, (kind, data) in enumerate(payloads)]
        self._uncommitted += sum(map(size_of, entries))
        self._node.append(entries)
        self.send_appends()

    # Sending

    def send_appends(self) -> None:
        for peer in self.peers:
            self._send_append(peer)

    def _send_append(self, peer: NodeId) -> None:
        progress = self.peers[peer]
        while progress.may_send(self._limits.window):
            if progress.flow is Flow.REPLICATE and progress.next > self._log.last_index:
                return
            if not self._append_to(peer, progress):
                return

    def _append_to(self, peer: NodeId, progress: Progress) -> bool:
        """Send the next entries; False where only a snapshot can help."""
        previous = progress.next - 1
        term = self._log.term_at(previous)
        if term is None:
            progress.flow = Flow.SNAPSHOT
            self._node.want_snapshot(peer, progress.applied)
            return False
        entries = self._log.slice(
            progress.next, self._log.last_index, self._limits.append_entries, self._limits.append_bytes
        )
        message = Append(
            self._node.id, peer, self.term, self._next_seq(), previous, term, self._log.commit, entries,
            progress.match, progress.uuid, self._quorum_age(), self._node.generation, self._known(),
        )  # fmt: skip
        progress.told = min(self._log.commit, previous + len(entries))
        progress.sending(previous + len(entries), self._node.now)
        progress.sent = self._node.now
        self._node.send(message)
        return True

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def _quorum_age(self) -> int:
        return self._node.now - self.last_quorum()

    def _known(self) -> int:
        """Nothing beyond it has been acknowledged: what is committed is not known before this leader serves."""
        return self._log.commit if self.serves else self._log.last_index

    def _heartbeat(self, peer: NodeId, seq: int) -> None:
        progress = self.peers[peer]
        commit = progress.told = min(self._log.commit, progress.match)
        progress.sent = self._node.now
        self._node.send(
            Heartbeat(
                self._node.id, peer, self.term, seq, commit, progress.match, progress.uuid, self._quorum_age(),
                self._node.generation, self._known(),
            )
        )  # fmt: skip

    # Ticks

    def tick(self) -> None:
        now, config = self._node.now, self._node.config
        self._office.tick()
        if self._node.leadership is not self or self._node.write_overdue:
            return
        if self.transferee is not None and now >= self._transfer_until:
            self.peers[self.transferee].healthy_since = None  # It did not take over: not so soon again.
            self.transferee = None
        for peer, progress in self.peers.items():
            stuck = progress.inflight and now - progress.stuck_since >= config.resend_ticks
            if stuck and progress.flow is not Flow.SNAPSHOT:
                progress.probe(progress.match + 1 if progress.flow is Flow.REPLICATE else progress.next)
                self._send_append(peer)
            if now - progress.sent >= config.heartbeat_ticks or self._owes_news(peer, progress):
                self._heartbeat(peer, self._next_seq())
            self._judge_health(peer, progress)
        self._maybe_hand_over()

    def _owes_news(self, peer: NodeId, progress: Progress) -> bool:
        """Learners serve readers: what has been committed is not kept from them until the next heartbeat."""
        return peer in self._node.config.learners and progress.told < min(self._log.commit, progress.match)

    def _judge_health(self, peer: NodeId, progress: Progress) -> None:
        alive = self._node.now - progress.now < self._node.config.election_ticks[0]
        close = progress.match >= self._log.commit - self._limits.append_entries
        if not (alive and close and peer in self._node.config.other_voters and self.counted(peer)):
            progress.healthy_since = None
        elif progress.healthy_since is None:
            progress.healthy_since = self._node.now

    def _maybe_hand_over(self) -> None:
        """`leader_preference = "highest"`: to a higher id that has long been healthy."""
        config = self._node.config
        if config.hand_over_ticks is None or self.transferee is not None or not self.serves:
            return
        mine = config.rank(self._node.id)
        for peer in sorted(config.other_voters, key=config.rank, reverse=True):
            since = self.peers[peer].healthy_since
            if config.rank(peer) > mine and since is not None and self._node.now - since >= config.hand_over_ticks:
                self.transfer(peer)
                return

    # Answers

    def _heard(self, reply: AppendReply | HeartbeatReply) -> Progress | None:
        """Note the contact; None for a late answer of a storage that another one has replaced since."""
        progress = self.peers[reply.sender]
        if not progress.uuid:
            progress.uuid = reply.uuid
        elif progress.uuid != reply.uuid:
            if reply.seq <= progress.seq:
                return None
            progress.forget(reply.uuid, self._log.last_index + 1, self._node.now)
        progress.now, progress.gone = self._node.now, False
        progress.seq = max(progress.seq, reply.seq)
        progress.applied, progress.generation = reply.applied, reply.generation
        return progress

    def on_append_reply(self, reply: AppendReply) -> None:
        progress = self._heard(reply)
        if progress is None:
            return
        if reply.generation != self._node.generation:
            self._replace_state(reply.sender, progress)
        elif reply.rejected:
            self._back_off(progress, reply)
        elif reply.match <= self._log.last_index and progress.accept(reply.match, self._node.now):
            self.maybe_commit()
        self._go_on(reply.sender, progress)
        if reply.sender == self.transferee and progress.match == self._log.last_index:
            self._office.hand_to(reply.sender, self._leaving)

    def _back_off(self, progress: Progress, reply: AppendReply) -> None:
        match progress.flow:
            case Flow.PROBE:
                stale = reply.match != progress.next - 1
            case Flow.REPLICATE:
                # An append sent earlier is still under way and may fill the gap; the follower keeps this one so long.
                awaited = bool(progress.inflight) and progress.inflight[0] <= reply.match
                stale = awaited or reply.match <= progress.match
            case Flow.SNAPSHOT:
                stale = True
        if stale:
            return
        agreed, term = self._log.may_agree(reply.hint_index, reply.hint_term)
        if agreed > reply.hint_index or term > reply.hint_term:
            agreed = self._log.base_index - 1  # Nothing that is kept can agree: only a snapshot helps.
        progress.probe(agreed + 1)

    def _replace_state(self, peer: NodeId, progress: Progress) -> None:
        """Its state is of an older generation: no entry fits it, only a whole new state, once this node has one."""
        if progress.flow is not Flow.SNAPSHOT and self._log.applied >= self._first_of_term:
            progress.flow = Flow.SNAPSHOT
            self._node.want_snapshot(peer, 0)

    def on_heartbeat_reply(self, reply: HeartbeatReply) -> None:
        progress = self._heard(reply)
        if progress is not None:
            if reply.generation != self._node.generation:
                self._replace_state(reply.sender, progress)
            self._go_on(reply.sender, progress)

    def _go_on(self, peer: NodeId, progress: Progress) -> None:
        """What any answer may allow."""
        self._office.welcome(peer, progress)
        self._maybe_confirm()
        self._send_append(peer)

    def unreachable(self, peer: NodeId, gone: bool) -> None:
        """What was in flight to it is lost, as far as the transport knows; `gone`: nobody listens there any more."""
        progress = self.peers[peer]
        progress.gone = gone
        if progress.flow is Flow.REPLICATE:
            progress.probe(progress.match + 1)

    def snapshot_sent(self, peer: NodeId, index: int | None) -> None:
        """The transfer to `peer` has ended: installed up to `index`, or (None) it failed."""
        progress = self.peers[peer]
        if progress.flow is Flow.SNAPSHOT:
            # After a failure it may be anywhere, even up to date: ask from the end, and it says where it is.
            progress.probe((self._log.last_index if index is None else index) + 1)
            if index is not None:
                progress.applied, progress.generation = index, self._node.generation

    # Committing

    def maybe_commit(self) -> None:
        """Only entries of this term commit by counting (Raft 5.4.2)."""
        matches = {peer: progress.match for peer, progress in self._voters()}
        matches[self._node.id] = self._log.saved
        index = self._office.rule.reached(matches)
        if index > self._log.commit and self._log.term_at(index) == self.term:
            for entry in self._node.commit_to(index):
                self._uncommitted -= size_of(entry)
            self.maybe_commit()  # A voter that has just been named may have acknowledged more.
            self._maybe_confirm()

    def reconsider(self) -> None:
        """A write of this node has ended; who counts may have changed with it."""
        self.maybe_commit()
        self._maybe_confirm()

    def maybe_name(self, peer: NodeId, progress: Progress) -> None:
        """Name the storage of a voter that the log does not know, once it has all that is committed."""
        if peer not in self._node.config.other_voters or not self.serves or progress.match < self._log.commit:
            return
        member = self._node.members.get(peer)
        if self._naming > self._log.commit or (member is not None and member.uuid == progress.uuid):
            return
        uuids = {node: known.uuid for node, known in self._node.members.items()}
        uuids[peer] = progress.uuid
        self._naming = self._log.last_index + 1
        self._append([(Kind.MEMBERS, encode_members(self._node.config.election, uuids))])

    # Reads

    def read_index(self, token: int) -> None:
        self._reads.append(token)
        self._maybe_confirm()

    def _maybe_confirm(self) -> None:
        """End the round of reads under way if enough voters have answered, and start the next."""
        if not self.serves:
            return
        if self._round is not None:
            if self._answered() < self._round.seq:
                return
            self._node.confirm_reads(self._round.tokens, self._round.index)
            self._round = None
        if self._reads:
            self._round = _Round(self._next_seq(), self._log.commit, self._reads)
            self._reads = []
            for peer in self._node.config.other_voters:
                self._heartbeat(peer, self._round.seq)
            if self._answered() >= self._round.seq:  # this node is enough
                self._maybe_confirm()

    def _answered(self) -> int:
        """The last request of this leader that enough voters have answered."""
        seqs = {peer: progress.seq for peer, progress in self._voters()}
        seqs[self._node.id] = self._seq
        return self._office.rule.reached(seqs)

    def waiting_reads(self) -> list[int]:
        return [*self._reads, *(self._round.tokens if self._round else ())]

    # Handing over

    def transfer(self, target: NodeId | None = None, leaving: bool = False) -> NodeId | None:
        """Hand leadership to `target`, or to the counted voter that has most (thesis 3.10). Proposals are turned away
        until it has happened or an election timeout has passed. Gives the target, None where there is none."""
        able = {
            peer: progress
            for peer, progress in self._voters()
            if self._node.now - progress.now < self._node.config.election_ticks[0]
        }
        if target is None:
            target = max(able, key=lambda peer: (able[peer].match, self._node.config.rank(peer)), default=None)
        if target is None or target not in able:
            return None
        self.transferee, self._leaving = target, leaving
        self._transfer_until = self._node.now + self._node.config.election_ticks[0]
        if able[target].match == self._log.last_index:
            self._office.hand_to(target, leaving)
        else:
            self._send_append(target)
        return target
