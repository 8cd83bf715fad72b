"""Snapshots on their way, as no more than the point that they stand for: parts that are sent one at a time, each again
until it is answered, as `replication.snapshots` does with bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, frozen

from toystore.consensus.messages import NodeId, Reply, Request, SnapshotMeta

if TYPE_CHECKING:
    from tests.core.process import Process

PATIENCE, TRIES = 1.0, 10
"""Seconds that an answer may take, and how often a part is sent again."""


@frozen
class Part(Request):
    """Part `number` (from 1) of `parts` of a snapshot as of `meta`."""

    transfer: str
    meta: SnapshotMeta
    digest: int
    number: int
    parts: int


@frozen
class PartReply(Reply):
    """The receiver has so many parts of `transfer`, or has `installed` it, or does not want it."""

    transfer: str
    has: int
    installed: bool = False
    refused: bool = False


@define
class _Sending:
    part: Part
    silence: int = 0


class Sender:
    """The transfers of one leader, at most one to a peer."""

    def __init__(self, process: Process, parts: int) -> None:
        self._process, self._parts = process, parts
        self._transfers: dict[NodeId, _Sending] = {}

    def begin(self, peer: NodeId) -> None:
        if peer in self._transfers:
            return
        process = self._process
        head, term = process.disk.state.head, process.disk.state.term_at(process.disk.state.head.applied)
        assert term is not None
        meta = SnapshotMeta(head.applied, term, head.members, head.generation)
        now = process.node.hard_state.term
        part = Part(process.id, peer, now, f"{process.id}-{now}-{head.applied}", meta, head.digest, 1, self._parts)
        self._transfers[peer] = _Sending(part)
        self._send(peer, self._transfers[peer])

    def _send(self, peer: NodeId, sending: _Sending) -> None:
        self._process.send(sending.part)
        self._process.clock.later(PATIENCE, self._no_answer, peer, sending, sending.part)

    def _no_answer(self, peer: NodeId, sending: _Sending, part: Part) -> None:
        if self._transfers.get(peer) is not sending or sending.part is not part:
            return
        sending.silence += 1
        if sending.silence >= TRIES:
            self._end(peer, None)
        else:
            self._next(peer, sending, part.number)

    def _next(self, peer: NodeId, sending: _Sending, number: int) -> None:
        part = sending.part
        sending.part = Part(
            part.sender, peer, part.term, part.transfer, part.meta, part.digest, number, part.parts
        )  # fmt: skip
        self._send(peer, sending)

    def on_reply(self, reply: PartReply) -> None:
        peer = reply.sender
        sending = self._transfers.get(peer)
        if sending is None or sending.part.transfer != reply.transfer:
            return
        if reply.installed or reply.refused:
            self._end(peer, sending.part.meta.index if reply.installed else None)
        elif reply.has >= sending.part.number:
            sending.silence = 0
            self._next(peer, sending, min(reply.has + 1, self._parts))

    def _end(self, peer: NodeId, index: int | None) -> None:
        del self._transfers[peer]
        self._process.node.snapshot_sent(peer, index)
        self._process.act()

    def abandon_all(self) -> None:
        """This node leads no more."""
        self._transfers.clear()


class Receiver:
    """The one snapshot that arrives here. `waiting` is to be installed, once nothing else is under way."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._transfer, self._has = "", 0
        self._installing = False
        self.waiting: Part | None = None

    def on_part(self, part: Part) -> None:
        node = self._process.node
        if part.term != node.hard_state.term:
            return
        if (part.meta.generation, part.meta.index) <= (node.generation, node.log.applied):
            self._answer(part, part.parts, installed=True)
        elif not self._installing:
            if self._transfer != part.transfer:
                self._transfer, self._has = part.transfer, 0
            if part.number == self._has + 1:
                self._has = part.number
            if self._has < part.parts:
                self._answer(part, self._has)
            else:
                self._installing, self.waiting = True, part

    def ended(self, refused: bool) -> None:
        """What was `waiting` has been installed, or could not be."""
        part, self.waiting = self.waiting, None
        self._transfer, self._installing = "", False
        assert part is not None
        self._answer(part, 0 if refused else part.parts, not refused, refused)

    def _answer(self, part: Part, has: int, installed: bool = False, refused: bool = False) -> None:
        process = self._process
        term = process.node.hard_state.term
        process.send(PartReply(process.id, part.sender, term, process.node.uuid, part.transfer, has, installed, refused))
