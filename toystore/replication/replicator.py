"""The one loop of a replica: save, send, apply.

`Replicator` drives the consensus core. After every input (a tick, messages, commands, a write that has ended) `_act` asks
the core what is ready and does it, in the order that the core requires: send what may leave at once; save; send what had
to wait for the save; apply. What comes in while a write is under way gathers in the core and makes the next write: group
commit, without a timer. At most one save and one apply are under way; the storage carries them out in order.
"""

from __future__ import annotations

import random as random_module
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from toystore.consensus.log import Log
from toystore.consensus.membership import decode_generation, decode_members
from toystore.consensus.messages import Entry, Kind, Message, NodeId
from toystore.consensus.node import Node, NodeConfig, NotLeading, Ready, Role
from toystore.encoding import encode_entry
from toystore.model import Position, Request
from toystore.replication.interface import NotLeader, ReplicaStatus, Result, TurnedAway
from toystore.replication.scrubbing import Scrubber
from toystore.replication.snapshots import Receiver, Sender, SnapshotChunk, SnapshotReply
from toystore.replication.status import status_of, whole_again
from toystore.replication.transport import Transport
from toystore.replication.waiting import Batches, Positions
from toystore.storage.interface import (
    Applied,
    DiskFull,
    Reader,
    Recovered,
    Spool,
    SpoolInfo,
    Storage,
    StorageError,
)
from toystore.storage.snapshot import BadSnapshot

T = TypeVar("T")


class ModeMismatch(Exception):
    """The ledger was founded under another election mode than the config names."""


class Alone(StorageError):
    """The only order replica there is has lost its database: to begin with an empty one would lose every order."""


REMEDY = "To put it back, or to accept the loss: toystore quarantine --help"


@frozen
class Pace:
    """`tick` and `retry_full` (how soon a full disk is tried again) in seconds; `keep_entries` and `keep_bytes` bound the
    kept log, which is cut down once it is a quarter larger; `snapshot_chunk` is in bytes; a scrub of the storage begins
    every `scrub_every` seconds (0: never)."""

    tick: float = 0.01
    retry_full: float = 1.0
    keep_entries: int = 16_384
    keep_bytes: int = 16 * 1024 * 1024
    snapshot_chunk: int = 256 * 1024
    scrub_every: float = 0.0


class Replicator:
    """One replica of the ledger (`replication.interface.Replica`).

    `wall_clock` gives milliseconds since 1970. `on_failure` is told of anything that must end the process; the loop has
    stopped then.
    """

    log = Logger()

    def __init__(
        self,
        config: NodeConfig,
        storage: Storage,
        transport: Transport,
        clock: IReactorTime,
        random: random_module.Random,
        wall_clock: Callable[[], int],
        on_failure: Callable[[Failure], None],
        pace: Pace | None = None,
    ) -> None:
        self._config, self._storage, self._transport = config, storage, transport
        self._clock, self._random, self._wall_clock = clock, random, wall_clock
        self._on_failure = on_failure
        self._pace = pace or Pace()
        self._node: Node | None = None
        self._generation = 0
        self._running = self._ended = False
        self._ticking = LoopingCall.withCount(self._tick)
        self._ticking.clock = clock
        self._acting = self._act_again = False
        self._saving = self._applying = False
        self._arrivals: list[Deferred[None]] = []
        self._waiting_install: tuple[SpoolInfo, Spool, Deferred[str]] | None = None
        self._batches, self._positions = Batches(), Positions()
        self._tokens = 0
        self._reads: dict[int, Deferred[int]] = {}
        self._followers: list[tuple[Callable[[Sequence[Applied]], None], Callable[[], None]]] = []
        self._sender = Sender(storage, clock, transport.send, self._snapshot_sent, self._fail, self._pace.snapshot_chunk)
        self._receiver = Receiver(storage, transport.send, self._await_install)
        self._scrubber = Scrubber(storage, clock, self._pace.scrub_every, wall_clock, self._fail)
        self._put_aside = ""
        self._seen: tuple[Role, int, NodeId | None] | None = None
        transport.attach(self)

    # Life -------------------------------------------------------------------------------------------------------

    @property
    def node(self) -> Node:
        assert self._node is not None, "the replicator has not started yet"
        return self._node

    async def start(self) -> None:
        """Open the storage, as soon as there is room on the disk for that, and begin. Fails with what the storage fails
        with, with ModeMismatch, and with Alone."""
        found = await self._opened()
        self._put_aside = found.put_aside
        if found.put_aside:
            self.log.critical(
                "{node}: {reason}. It begins with an empty one, and waits until that is filled from the others",
                node=self._config.id, reason=found.put_aside,
            )  # fmt: skip
            if self._config.voters == (self._config.id,):
                raise Alone(f"{found.put_aside}; no other replica has a copy. {REMEDY}")
        founded = founded_with(found)
        if founded not in ("", self._config.election):
            raise ModeMismatch(
                f"this ledger was founded with election = {founded!r}, the config says"
                f" {self._config.election!r}: change the config back, or start with an empty data directory"
            )
        self._generation = found.generation
        self._node = Node(
            self._config,
            self._random,
            uuid=found.uuid,
            hard_state=found.hard_state,
            log=Log(found.base_index, found.base_term, found.entries, found.applied),
            members=found.members,
            generation=found.generation,
            refilling=bool(found.put_aside),
        )
        self.log.info(
            "{node} has storage {uuid}, log {first}..{last}, applied {applied}",
            node=self._config.id, uuid=found.uuid, first=found.base_index + 1,
            last=self.node.log.last_index, applied=found.applied,
        )  # fmt: skip
        self._running = True
        self._ticking.start(self._pace.tick, now=False).addErrback(self._fail)
        self._scrubber.start()

    async def _opened(self) -> Recovered:
        """What is found is made durable first, and that may need room."""
        while True:
            try:
                return await self._storage.open()
            except DiskFull as error:
                self.log.error(
                    "{node} can not begin until there is room on the disk: {reason}", node=self._config.id, reason=error
                )
            await _later(self._clock, self._pace.retry_full)
            if self._ended:
                raise DiskFull("stopped while the disk was full")

    async def stop(self, patience: float = 1.0) -> None:
        """Hand leadership over, if this replica leads, for at most `patience` seconds; then close the storage."""
        if self._node is not None and self._running and self._node.leadership is not None:
            target = self._node.transfer(leaving=True)
            self._act()
            if target is not None:
                self.log.info("handing leadership over to {target}", target=target)
                until = self._clock.seconds() + patience
                while self._node.leadership is not None and self._clock.seconds() < until:
                    await _later(self._clock, self._pace.tick)
        self._end()
        await self._storage.close()

    def _end(self) -> None:
        self._running, self._ended = False, True
        self._scrubber.stop()
        if self._ticking.running:
            self._ticking.stop()
        self._sender.abandon_all()
        self._transport.close()
        self._batches.lost()
        self._lose_reads(list(self._reads))

    def _fail(self, failure: Failure) -> None:
        if self._running:
            self.log.failure("{node} can not go on", failure, node=self._config.id)
            self._end()
            self._on_failure(failure)

    # Input ------------------------------------------------------------------------------------------------------

    def _tick(self, count: int) -> None:
        """`count` is above 1 where the process was away (stopped, starved): time has passed for the core too."""
        self.node.tick(count)
        self._act()

    def receive(self, messages: Sequence[Message]) -> Deferred[None]:
        """Take in messages of a peer; fires once all that they led to is on disk and has been sent."""
        if not self._running:
            return succeed(None)
        arrival: Deferred[None] = Deferred()
        try:
            for message in messages:
                match message:
                    case SnapshotChunk() if message.term == self.node.hard_state.term:
                        node = self.node
                        self._receiver.on_chunk(
                            message, node.uuid, node.hard_state.term, node.log.applied, node.generation
                        )  # fmt: skip
                    case SnapshotReply():
                        self._sender.on_reply(message)
                    case _:
                        self.node.step(message)
        except Exception:
            self._fail(Failure())
            return succeed(None)
        self._arrivals.append(arrival)
        self._act()
        return arrival

    def unreachable(self, peer: NodeId, gone: bool) -> None:
        if self._running:
            self.node.unreachable(peer, gone)
            self._act()

    # The loop ---------------------------------------------------------------------------------------------------

    def _act(self) -> None:
        """Do what is ready, until nothing is. Inputs that arrive in the middle of it wait for its next turn."""
        if self._acting or not self._running:
            self._act_again = True
            return
        self._acting = True
        try:
            while self._running:
                self._act_again = False
                if not self._may_proceed():
                    break
                ready = self.node.ready()
                if not ready.nothing:
                    self._carry_out(ready)
                if self.node.settled:
                    self._arrived()
                if ready.nothing and not self._act_again:
                    break
            self._note_role()
            self._maybe_refilled()
        except Exception:
            self._fail(Failure())
        finally:
            self._acting = False

    def _may_proceed(self) -> bool:
        """An install waits for what is under way, and everything else waits for it."""
        if self._waiting_install is not None and not self._saving and not self._applying:
            self._saving = True
            self._start(self._install(*self._waiting_install))
        return self._waiting_install is None

    def _carry_out(self, ready: Ready) -> None:
        self._send(ready.send)
        if ready.must_save:
            self._saving = True
            self._start(self._save(ready, self._take_arrivals()))
        elif ready.forgot:
            self._saving = True
            self._start(self._renew())
        else:
            self._send(ready.reply)
        if ready.apply:
            self._applying = True
            self._start(self._apply(ready.apply))
        for token, index in ready.reads:
            self._reads.pop(token).callback(index)
        self._lose_reads(ready.lost_reads)
        for peer, since in ready.snapshots:
            self._sender.begin(self._config.id, self.node.hard_state.term, peer, since)

    def _send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._transport.send(message)

    def _take_arrivals(self) -> list[Deferred[None]]:
        arrivals, self._arrivals = self._arrivals, []
        return arrivals

    def _arrived(self) -> None:
        for arrival in self._take_arrivals():
            arrival.callback(None)

    # Saving

    def _start(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        Deferred.fromCoroutine(work).addErrback(self._fail)

    async def _save(self, ready: Ready, arrivals: list[Deferred[None]]) -> None:
        await self._given_room(lambda: self._storage.save(ready.hard_state, ready.entries))
        if not self._running:
            return
        self._saving = False
        self.node.advance()
        self._send(ready.reply)
        for arrival in arrivals:
            arrival.callback(None)
        self._act()

    async def _given_room(self, work: Callable[[], Deferred[T]]) -> T:
        """What `work` gives; as long as the disk is full for it, this node neither leads nor votes, and tries again."""
        while True:
            try:
                result = await work()
            except DiskFull:
                await self._wait_for_room()
                continue
            if not self.node.writable:
                self.log.info("there is room on the disk again")
                self.node.set_writable(True)
            return result

    async def _wait_for_room(self) -> None:
        if self.node.writable and self._running:
            self.log.error("the disk is full; {node} neither leads nor votes until there is room", node=self.node.id)
            self.node.set_writable(False)
            self._act()
        await _later(self._clock, self._pace.retry_full)
        if not self._running:
            raise DiskFull("stopped while the disk was full")

    async def _renew(self) -> None:
        self.log.error("this disk has less than it has acknowledged; it must be named anew")
        uuid = await self._given_room(self._storage.renew_uuid)
        self._saving = False
        self.node.renewed(uuid)
        self._act()

    # Applying

    async def _apply(self, entries: Sequence[Entry]) -> None:
        rows = await self._given_room(lambda: self._storage.apply(entries))
        self._applying = False
        if not self._running:
            return
        index = rows[-1].index
        self.node.applied(index)
        for entry in entries:
            if entry.kind is Kind.MEMBERS:
                self._generation = max(self._generation, decode_generation(entry.data))
        for listener, _ in list(self._followers):  # first: who waits for a position finds them at it
            listener(rows)
        self._batches.applied(rows, self._generation)
        self._positions.applied(index)
        self._compact()
        self._act()

    def _compact(self) -> None:
        log, pace = self.node.log, self._pace
        entries = log.last_index - log.base_index
        if entries <= pace.keep_entries * 5 // 4 and log.size <= pace.keep_bytes * 5 // 4:
            return
        keep = min(pace.keep_entries, entries * pace.keep_bytes // max(log.size, 1))
        index = min(log.applied, log.last_index - keep)
        if index > log.base_index:
            log.compact(index)
            self._storage.compact(index).addErrback(self._fail)

    # Snapshots

    def _snapshot_sent(self, peer: NodeId, index: int | None) -> None:
        if self._running:
            self.node.snapshot_sent(peer, index)
            self._act()

    def _await_install(self, info: SpoolInfo, spool: Spool) -> Deferred[str]:
        waiter: Deferred[str] = Deferred()
        self._waiting_install = (info, spool, waiter)
        self._act()
        return waiter

    async def _install(self, info: SpoolInfo, spool: Spool, waiter: Deferred[str]) -> None:
        """Nothing else is under way. Tells `waiter` why it could not be done, or ""."""
        refused = ""
        if not self.node.lacks(info.meta):
            refused = "the log has caught up meanwhile"
        else:
            try:
                found = await self._storage.install(info, spool)
            except (BadSnapshot, DiskFull) as error:  # any other error of the storage ends the process
                self.log.error("a snapshot can not be installed: {reason}", reason=error)
                refused = str(error)
            else:
                self._restored(info, found)
        self._saving, self._waiting_install = False, None
        waiter.callback(refused)
        self._act()

    def _restored(self, info: SpoolInfo, found: Recovered) -> None:
        self._generation = found.generation
        self.node.restore(info.meta)
        self.log.info("{node} has installed a snapshot as of {index}", node=self.node.id, index=info.meta.index)
        for _, reset in list(self._followers):
            reset()
        self._positions.applied(info.meta.index)

    def _maybe_refilled(self) -> None:
        """It has been filled, and counts: what was put aside is no longer the only copy of anything."""
        if self._put_aside and whole_again(self.node):
            self._put_aside = ""
            self.node.refilling = False
            self.log.info("{node} has everything again, up to {index}", node=self.node.id, index=self.node.log.applied)
            self._start(self._given_room(self._storage.refilled))

    # Leadership

    def _note_role(self) -> None:
        """Tell the log, and those who wait, of a change of role."""
        node = self.node
        seen = (node.role, node.hard_state.term, node.leader)
        if seen == self._seen:
            return
        before, self._seen = self._seen, seen
        if before is not None and before[0] is Role.LEADER:
            self._sender.abandon_all()
            self._batches.lost()
            self.log.info("{node} leads no more: {reason}", node=node.id, reason=node.gave_up or "another does")
        if node.role in (Role.LEADER, Role.CANDIDATE) or node.leader is not None:
            self.log.info(
                "{node} is {role} in term {term}, leader {leader}",
                node=node.id, role=node.role.value, term=node.hard_state.term, leader=node.leader,
            )  # fmt: skip
        if node.leader is not None and (before is None or before[2] != node.leader):
            self.log.info("Leader is {id}", id=node.leader.rpartition("-")[2])

    def _lose_reads(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            self._reads.pop(token).errback(NotLeader(self.node.leader))

    # The replica as routes see it -------------------------------------------------------------------------------

    def submit(self, requests: Sequence[Request]) -> Deferred[list[Result]]:
        if not self._running or self.node.leadership is None:
            return fail(NotLeader(self.node.leader if self._node else None))
        if not requests:
            return succeed([])
        at = self._wall_clock()
        indexes = self.node.propose([encode_entry(at, request) for request in requests])
        if indexes is None:
            return succeed([TurnedAway("too much is waiting here, or leadership is being handed over")] * len(requests))
        waiter = self._batches.add(indexes, self.node.hard_state.term)
        self._act()
        return waiter

    def term(self) -> int:
        return self.node.hard_state.term

    def position(self) -> Position:
        return Position(self._generation, self.node.log.applied)

    def read(self, query: Callable[[Reader], T]) -> Deferred[tuple[T, Position]]:
        generation = self._generation
        return self._watch(self._storage.read(lambda reader: (query(reader), Position(generation, reader.applied()))))

    def _watch(self, answer: Deferred[T]) -> Deferred[T]:
        """Nothing more is answered from a storage that can not be trusted."""

        def failed(failure: Failure) -> Failure:
            if failure.check(StorageError):
                self._fail(failure)
            return failure

        return answer.addErrback(failed)

    def read_linearizable(self, query: Callable[[Reader], T]) -> Deferred[tuple[T, Position]]:
        if not self._running:
            return fail(NotLeader(None))
        self._tokens += 1
        token = self._tokens
        try:
            self.node.read_index(token)
        except NotLeading:
            return fail(NotLeader(self.node.leader))
        confirmed: Deferred[int] = Deferred()
        self._reads[token] = confirmed
        self._act()
        return Deferred.fromCoroutine(self._read_at(confirmed, query))

    async def _read_at(self, confirmed: Deferred[int], query: Callable[[Reader], T]) -> tuple[T, Position]:
        index = await confirmed
        await self._positions.wait(index, self.node.log.applied)
        return await self.read(query)

    def wait_for(self, position: Position) -> Deferred[None]:
        index = position.index if position.generation >= self._generation else 0
        return self._positions.wait(index, self.node.log.applied)

    def leader_age(self) -> float | None:
        ticks = self.node.state_age
        return None if ticks is None else ticks * self._pace.tick

    def follow(self, listener: Callable[[Sequence[Applied]], None], reset: Callable[[], None]) -> Callable[[], None]:
        follower = (listener, reset)
        self._followers.append(follower)
        return lambda: self._followers.remove(follower)

    def state_hash(self, index: int) -> Deferred[str]:
        return self._watch(self._storage.state_hash(index))

    def status(self) -> Deferred[ReplicaStatus]:
        return self._watch(self._storage.read(lambda reader: (reader.applied(), reader.digest()))).addCallback(
            lambda applied: status_of(
                self.node, self._generation, applied, self.leader_age(), self._put_aside, self._scrubber.done
            )
        )


def founded_with(found: Recovered) -> str:
    """The election mode of a ledger; "" where it has not begun. The entry that says it may be logged and not applied."""
    entries = (entry for entry in found.entries if entry.kind is Kind.MEMBERS)
    first = next(entries, None)
    return found.election or (decode_members(first.data)[0] if first is not None else "")


def _later(clock: IReactorTime, seconds: float) -> Deferred[None]:
    later: Deferred[None] = Deferred()
    clock.callLater(seconds, later.callback, None)
    return later
