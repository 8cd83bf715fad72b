"""What a node does while another leads: take its appends, in any order of arrival, and answer (Raft 5.3)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from toystore.consensus.messages import Append, AppendReply, Heartbeat, HeartbeatReply

if TYPE_CHECKING:
    from toystore.consensus.node import Node


class Following:
    """`heard` is the tick at which a leader was last heard of, `confirmed_at` the latest tick at which a quorum is known
    to have confirmed one (None: never)."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._current_at: int | None = None
        self._to_come: tuple[int, int] | None = None
        """An index, and as of which tick this node is current once that is applied."""
        self.heard = -node.config.election_ticks[1]
        self.confirmed_at: int | None = None
        self._early: deque[Append] = deque(maxlen=node.config.limits.window)

    def on_request(self, message: Append | Heartbeat) -> None:
        """An Append or a Heartbeat of the leader of this term."""
        self._follow(message)
        if self._has_forgotten(message):
            return
        if message.generation != self._node.generation:
            self._answer_outdated(message)
        elif isinstance(message, Append):
            self._on_append(message)
        else:
            self._on_heartbeat(message)

    def forget_early(self) -> None:
        """What was kept was another leader's, or is in the snapshot."""
        self._early.clear()

    def _follow(self, message: Append | Heartbeat) -> None:
        assert self._node.leadership is None, f"two leaders in term {message.term}: {self._node.id} and {message.sender}"
        if self._node.role is not self._node.idle_role or self._node.leader != message.sender:
            self._node.become_follower(message.term, message.sender)
            self._to_come = None  # another leader may never commit what the last one had in its log
        self.heard = self._node.now
        self._node.election.restart_timer()
        if message.generation != self._node.generation:
            return  # What is applied here is of another history, however lately its leader was confirmed.
        confirmed_at = self._node.now - message.quorum_age
        self.confirmed_at = max(confirmed_at, confirmed_at if self.confirmed_at is None else self.confirmed_at)
        known = max(message.known, self._node.log.commit)
        self.current_at()
        if self._to_come is None or known <= self._to_come[0]:  # else what is waited for comes first
            self._to_come = known, confirmed_at

    def current_at(self) -> int | None:
        """The latest tick of which it is known that all that had been acknowledged by then is applied here; None for none.

        To have heard the leader is not enough: a node whose disk is slow, or that waits for a snapshot, hears a leader too.
        """
        if self._to_come is not None and self._to_come[0] <= self._node.log.applied:
            at = self._to_come[1]
            self._current_at = at if self._current_at is None else max(self._current_at, at)
            self._to_come = None
        return self._current_at

    def _has_forgotten(self, message: Append | Heartbeat) -> bool:
        """The leader holds an acknowledgement of this very storage for more than is here."""
        node = self._node
        if message.acked_uuid == node.uuid and message.acked > node.log.last_index:
            node.has_forgotten()
        return node.forgot

    def _answer_outdated(self, message: Append | Heartbeat) -> None:
        """This state is of an older generation: it takes no entries, and waits for a whole new state."""
        if isinstance(message, Append):
            self._answer_append(message, match=message.prev_index, rejected=True)
        else:
            self._answer_heartbeat(message, message.seq)

    def answer_stale(self, message: Append | Heartbeat) -> None:
        """Tell a leader of an older term that there is a newer one."""
        self._answer_heartbeat(message, seq=0)

    def _on_append(self, message: Append) -> None:
        log = self._node.log
        if message.prev_index > log.last_index:
            self._keep_early(message)
        previous = log.term_at(message.prev_index)
        if previous != message.prev_term and message.prev_index >= log.base_index:
            index, term = log.may_agree(message.prev_index, message.prev_term)
            self._answer_append(message, match=message.prev_index, rejected=True, index=index, term=term)
            return
        self._node.append(message.entries)
        last = message.prev_index + len(message.entries)
        if message.commit > log.commit and last > log.commit:
            self._node.commit_to(min(message.commit, last))
        self._answer_append(message, match=max(last, log.commit))
        self._take_early()

    def _answer_append(self, message: Append, match: int, rejected: bool = False, index: int = 0, term: int = 0) -> None:
        node = self._node
        node.reply(
            AppendReply(
                node.id, message.sender, node.hard_state.term, node.uuid, message.seq, match, node.log.applied,
                rejected, index, term, node.generation,
            )
        )  # fmt: skip

    def _keep_early(self, message: Append) -> None:
        """Appends may arrive in any order; this one is refused, and kept in case those before it are still to come."""
        if all(early.prev_index != message.prev_index for early in self._early):
            self._early.append(message)

    def _take_early(self) -> None:
        for message in list(self._early):
            if message.prev_index <= self._node.log.last_index and message in self._early:
                self._early.remove(message)
                self._on_append(message)

    def _on_heartbeat(self, message: Heartbeat) -> None:
        if message.acked_uuid == self._node.uuid and message.commit > self._node.log.commit:
            self._node.commit_to(message.commit)
        self._answer_heartbeat(message, message.seq)

    def _answer_heartbeat(self, message: Append | Heartbeat, seq: int) -> None:
        """It reveals no entries, so that it need not wait for a slow write of some; only for one of the term."""
        node = self._node
        term, applied = node.hard_state.term, node.log.applied
        reply = HeartbeatReply(node.id, message.sender, term, node.uuid, seq, applied, node.generation)
        if node.term_saved:
            node.send(reply)
        else:
            node.reply(reply)
