"""How a leader comes to be where one is appointed: by a view that the register of views has stored (register.py).

What a leader does with the in-sync set is the in-sync replica set of Kafka with its controller outside of the group, and
the reconfiguration of Vertical Paxos (Lamport, Malkhi and Zhou, PODC 2009): an entry is committed once *every* member has
it, so that any one of them can lead next; who is silent is left out by a new view first.

**Whom a leader waits for.** For the members of the view on its disk, of one that it was told and is still writing, and of
one that it has asked for and that may have been stored without its knowledge: whichever of these is the register's by
now, its members have everything that this leader calls committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from toystore.consensus.messages import Ask, Message, NodeId, Ping, Standing
from toystore.consensus.progress import Progress
from toystore.consensus.quorum import All
from toystore.consensus.views import View

if TYPE_CHECKING:
    from toystore.consensus.leadership import Leadership
    from toystore.consensus.node import Node


class AppointedElection:
    """A node's part: it takes the views that it is told, and says how it stands."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.silent: frozenset[NodeId] = frozenset()
        """Those that do not answer the register, as it said last."""

    def restart_timer(self) -> None:
        """Nobody stands for election here."""

    def tick(self) -> None:
        """Silence is judged by the register."""

    def step(self, message: Message) -> None:
        if isinstance(message, Ping) and message.sender == self._node.config.register:
            known, self.silent = self._node.hard_state, frozenset(message.silent)
            if message.claim > known.promised:
                self._node.promise(message.claim)
            if message.view is not None and message.view.replaces(known.view, self._node.hard_state.promised):
                self._node.take_view(message.view)
            self._answer(message)

    def _answer(self, ping: Ping) -> None:
        """At once where all that it tells is on disk: a slow write of entries must not look like silence."""
        node = self._node
        leads = node.role in (node.role.CANDIDATE, node.role.LEADER)
        fit = node.writable and not node.write_overdue
        known = node.hard_state
        standing = Standing(
            node.id, ping.sender, known.term, node.uuid, ping.seq, known.view, leads, fit, node.new, known.promised
        )
        if node.term_saved:
            node.send(standing)
        else:
            node.reply(standing)

    def candidacy_saved(self) -> None:
        """The view that names this node is on disk."""
        self._node.become_leader()

    def disk_stalls(self) -> None:
        """It says that it is not fit, and the register finds another one; where nobody else is in sync, it goes on once
        the write has ended."""

    def office(self, leadership: Leadership) -> AppointedOffice:
        return AppointedOffice(self._node, leadership, self)

    def founding(self) -> Mapping[NodeId, str]:
        return {} if self._view is None else self._view.in_sync

    @property
    def generation(self) -> int:
        return 0 if self._view is None else self._view.generation

    @property
    def named(self) -> bool:
        """Is this storage in the in-sync set of the highest view known here?"""
        return self._view is not None and self._view.in_sync.get(self._node.id) == self._node.uuid

    @property
    def _view(self) -> View | None:
        return self._node.hard_state.view


class AppointedOffice:
    """One epoch of office. Missing answers only pause it; what ends it is a higher epoch, or this node itself."""

    def __init__(self, node: Node, leadership: Leadership, election: AppointedElection) -> None:
        self._node, self._leadership, self._election = node, leadership, election
        self._ask: Ask | None = None
        self._asked_at = 0
        self._held_up: dict[NodeId, tuple[int, int]] = {}
        """Since when (a tick) a member has not got past an index."""

    @property
    def _view(self) -> View:
        """The one on disk."""
        assert self._node.durable.view is not None
        return self._node.durable.view

    @property
    def _asked(self) -> Ask | None:
        """The change that was asked for and may have been stored, for all that is known here."""
        if self._ask is not None and self._view.version > self._ask.version:
            self._ask = None
        return self._ask

    # Who counts

    def _waited_for(self) -> dict[NodeId, set[str]]:
        """The members of every view that may be the register's, with the storage of each."""
        waited: dict[NodeId, set[str]] = {}
        told, asked = self._node.hard_state.view, self._asked
        for in_sync in (self._view.in_sync, told.in_sync if told else {}, asked.in_sync if asked else {}):
            for member, uuid in in_sync.items():
                waited.setdefault(member, set()).add(uuid)
        return waited

    @property
    def rule(self) -> All:
        return All(frozenset(self._waited_for()))

    def known(self, peer: NodeId, progress: Progress) -> bool:
        return self.counted(peer, progress)

    def counted(self, peer: NodeId, progress: Progress) -> bool:
        """It answers from the storage that is waited for. (One that is waited for under two counts under neither.)"""
        return self._waited_for().get(peer) == {progress.uuid}

    # Changing who counts

    def tick(self) -> None:
        asked = self._asked
        if asked is not None:
            if self._node.now - self._asked_at >= self._node.config.resend_ticks:
                self._send(asked)
            return
        members = self._view.in_sync
        lost = [peer for peer in members if peer != self._node.id and self._lost(peer, members[peer])]
        if lost:
            self._ask_for(self._node.id, {peer: uuid for peer, uuid in members.items() if peer not in lost})

    def _lost(self, peer: NodeId, uuid: str) -> bool:
        """It is silent, has ended, answers from another storage, or does not get on with what it was sent. One that has not
        answered in this office yet need not be silent for long, if it does not answer the register either."""
        progress, now, config = self._leadership.peers.get(peer), self._node.now, self._node.config
        if progress is None or progress.uuid not in ("", uuid):
            return True
        if not progress.uuid and (progress.gone or peer in self._election.silent):
            return True
        held_up = self._held_up_for(peer, progress)
        if progress.gone and now - progress.now >= 2 * config.heartbeat_ticks:
            return True
        return max(held_up, now - progress.now) >= config.suspect_ticks

    def _held_up_for(self, peer: NodeId, progress: Progress) -> int:
        """For how many ticks it has lacked something and not got any further."""
        if progress.match >= self._node.log.last_index:
            self._held_up.pop(peer, None)
            return 0
        match, since = self._held_up.get(peer, (-1, 0))
        if match != progress.match:
            self._held_up[peer] = (progress.match, self._node.now)
            return 0
        return self._node.now - since

    def welcome(self, peer: NodeId, progress: Progress) -> None:
        """A voter that was away and has caught up: wait for it from now on, and ask for the view that contains it."""
        node = self._node
        away = peer in node.config.other_voters and peer not in self._view.in_sync
        whole = progress.generation == node.generation and progress.match >= node.log.commit
        if away and whole and self._leadership.serves and self._leadership.transferee is None:
            self._ask_for(node.id, {**self._view.in_sync, peer: progress.uuid})

    def hand_to(self, target: NodeId, leaving: bool) -> None:
        """From the storage that is in sync: another one could not lead, and nobody else might be left who can."""
        members = self._view.in_sync
        if members.get(target) == self._leadership.peers[target].uuid:
            stays = {peer: uuid for peer, uuid in members.items() if not (leaving and peer == self._node.id)}
            self._ask_for(target, stays)

    def _ask_for(self, leader: NodeId, in_sync: Mapping[NodeId, str]) -> None:
        """One change at a time, and none of a view that is being replaced."""
        node = self._node
        if self._asked is None and node.hard_state.view == self._view and node.config.register is not None:
            self._ask = Ask(
                node.id,
                node.config.register,
                self._leadership.term,
                self._view.version,
                leader,
                dict(sorted(in_sync.items())),
            )
            self._send(self._ask)

    def _send(self, ask: Ask) -> None:
        self._asked_at = self._node.now
        self._node.send(ask)
