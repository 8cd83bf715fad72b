"""Snapshots on their way: cut into chunks, sent one at a time, resumable, checked whole, installed at once.

The sender goes on with what the receiver says it has; a lost chunk or answer is only a pause. Several transfers may run
at once, one to each peer; a receiver takes one at a time.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from toystore.consensus.messages import Message, NodeId, Reply, Request
from toystore.storage.interface import Spool, SpoolInfo, Storage, StorageError


@frozen
class SnapshotChunk(Request):
    """Bytes of the snapshot `transfer`, from `offset` on."""

    transfer: str
    info: SpoolInfo
    offset: int
    data: bytes


@frozen
class SnapshotReply(Reply):
    """The receiver has `offset` bytes of `transfer`, or has installed it, or (`refused` says why) does not want it.
    `applied` is what it has applied."""

    transfer: str
    offset: int
    applied: int
    installed: bool = False
    refused: str = ""


@define
class _Sending:
    transfer: str
    info: SpoolInfo
    spool: Spool
    offset: int = 0
    received: int = 0
    """How much the receiver has, as it said last."""
    silence: int = 0
    timer: IDelayedCall | None = None


class Sender:
    """The transfers of one leader.

    `done(peer, index)` is called with the index that `peer` has installed, or None where the transfer has failed; `broken`
    where that is because the storage here can not be trusted.
    `chunk` is how many bytes go in one message. `patience` (seconds) is how long an answer may take; a chunk is sent again
    so often, `tries` times.
    """

    log = Logger()

    def __init__(
        self,
        storage: Storage,
        clock: IReactorTime,
        send: Callable[[Message], None],
        done: Callable[[NodeId, int | None], None],
        broken: Callable[[Failure], object],
        chunk: int,
        patience: float = 1.0,
        tries: int = 10,
    ) -> None:
        self._storage, self._clock, self._send, self._done, self._broken = storage, clock, send, done, broken
        self._chunk, self._patience, self._tries = chunk, patience, tries
        self._transfers: dict[NodeId, _Sending | None] = {}

    def begin(self, node: NodeId, term: int, peer: NodeId, since: int) -> None:
        """Send `peer`, which has applied up to `since`, what it lacks."""
        if peer in self._transfers:
            return
        self._transfers[peer] = None
        self.log.info("sending a snapshot of what changed since {since} to {peer}", since=since, peer=peer)
        Deferred.fromCoroutine(self._spool(node, term, peer, since)).addErrback(self._failed, peer)

    async def _spool(self, node: NodeId, term: int, peer: NodeId, since: int) -> None:
        info, spool = await self._storage.spool(since)
        if peer not in self._transfers:
            spool.close()
            return
        transfer = f"{node}-{term}-{info.meta.index}-{info.sha256[:12]}"
        self._transfers[peer] = sending = _Sending(transfer, info, spool)
        self._send_chunk(node, term, peer, sending)

    def _failed(self, failure: Failure, peer: NodeId) -> None:
        self.log.failure("a snapshot for {peer} could not be read", failure, peer=peer)
        if failure.check(StorageError):
            self._broken(failure)
        else:
            self._end(peer, None)

    def _send_chunk(self, node: NodeId, term: int, peer: NodeId, sending: _Sending) -> None:
        data = sending.spool.read(sending.offset, self._chunk)
        self._send(SnapshotChunk(node, peer, term, sending.transfer, sending.info, sending.offset, data))
        sending.timer = self._clock.callLater(self._patience, self._no_answer, node, term, peer, sending)

    def _no_answer(self, node: NodeId, term: int, peer: NodeId, sending: _Sending) -> None:
        sending.timer = None
        sending.silence += 1
        if sending.silence >= self._tries:
            self.log.warn("{peer} does not take its snapshot", peer=peer)
            self._end(peer, None)
        else:
            sending.offset = sending.received
            self._send_chunk(node, term, peer, sending)

    def on_reply(self, reply: SnapshotReply) -> None:
        """Only news is answered at once. What says less than is known came late or twice, or its sender has lost what it
        had: that is seen when nothing better has come after `patience`."""
        sending = self._transfers.get(reply.sender)
        if sending is None or sending.transfer != reply.transfer:
            return
        sending.received = min(reply.offset, sending.info.size)
        if sending.received <= sending.offset and not (reply.refused or reply.installed):
            return
        if sending.timer is not None:
            sending.timer.cancel()
            sending.timer = None
        sending.silence = 0
        if reply.refused:
            self.log.info("{peer} refuses its snapshot: {why}", peer=reply.sender, why=reply.refused)
            self._end(reply.sender, None)
        elif reply.installed:
            self.log.info("{peer} has installed its snapshot of {n} bytes", peer=reply.sender, n=sending.info.size)
            self._end(reply.sender, sending.info.meta.index)
        else:
            sending.offset = sending.received
            self._send_chunk(reply.to, reply.term, reply.sender, sending)

    def _end(self, peer: NodeId, index: int | None) -> None:
        self.abandon(peer)
        self._done(peer, index)

    def abandon(self, peer: NodeId) -> None:
        sending = self._transfers.pop(peer, None)
        if sending is not None:
            if sending.timer is not None:
                sending.timer.cancel()
            sending.spool.close()

    def abandon_all(self) -> None:
        """This node leads no more."""
        for peer in list(self._transfers):
            self.abandon(peer)


class Receiver:
    """The one snapshot that is arriving here.

    `install(info, spool)` is asked once all bytes are there; it fires with None, or with why it can not be.
    """

    def __init__(
        self,
        storage: Storage,
        send: Callable[[Message], None],
        install: Callable[[SpoolInfo, Spool], Deferred[str]],
    ) -> None:
        self._storage, self._send, self._install = storage, send, install
        self._transfer: str | None = None
        self._spool: Spool | None = None
        self._installing = False

    def on_chunk(self, chunk: SnapshotChunk, uuid: str, term: int, applied: int, generation: int) -> None:
        """Keep the bytes and answer; `uuid`, `term`, `applied` and `generation` are this node's own."""

        def answer(offset: int, applied: int, installed: bool = False, refused: str = "") -> None:
            self._send(
                SnapshotReply(chunk.to, chunk.sender, term, uuid, chunk.transfer, offset, applied, installed, refused)
            )

        meta = chunk.info.meta
        if (meta.generation, meta.index) <= (generation, applied):
            answer(chunk.info.size, applied, installed=True)
            return
        if chunk.info.since > applied:
            answer(
                0,
                applied,
                refused=f"it is what changed since {chunk.info.since}, and only {applied} is applied",
            )
            return
        if self._installing:
            return
        spool = self._take(chunk)
        if spool.size() < chunk.info.size:
            answer(spool.size(), applied)
            return
        self._installing = True

        def installed(refused: str) -> None:
            self.forget()
            if refused:
                answer(0, applied, refused=refused)
            else:
                answer(chunk.info.size, meta.index, installed=True)

        self._install(chunk.info, spool).addCallback(installed)

    def _take(self, chunk: SnapshotChunk) -> Spool:
        if self._spool is None or self._transfer != chunk.transfer:
            self.forget()
            self._transfer, self._spool = chunk.transfer, self._storage.new_spool()
        if chunk.offset == self._spool.size():
            self._spool.append(chunk.data)
        return self._spool

    def forget(self) -> None:
        if self._spool is not None:
            self._spool.close()
        self._transfer, self._spool, self._installing = None, None, False
