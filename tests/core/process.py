"""One replica of the core: what `replication.replicator` does, save, send and apply, over a light disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve

from tests.core.disk import Disk, Full, SyncFailed
from tests.core.snapshots import Part, PartReply, Receiver, Sender
from tests.core.timeline import Life
from toystore.consensus.messages import AppendReply, Entry, HeartbeatReply, Message, NodeId
from toystore.consensus.node import Node, NotLeading, Ready
from toystore.consensus.ready import NOTHING

if TYPE_CHECKING:
    from tests.core.world import CoreWorld

Answer = Callable[[int], None]
"""Told the index at which something was applied, or as of which something was read; `LOST` or `NOT_HERE` otherwise."""
LOST, NOT_HERE = -1, 0
"""It may be carried out or not; it will not be."""


class Process:
    """From one start to the next: `clock` and `node` are of the present run, what survives is the `disk`.

    It bears the names that `simulation.witness` and `simulation.faults` know it by.
    """

    def __init__(self, world: CoreWorld, node: NodeId, disk: Disk) -> None:
        self.id, self.disk = node, disk
        self.up = False
        self.led_since = 0.0
        self._world, self._timeline = world, world.timeline
        self._shape = world.plan.shape
        self._config = evolve(world.config, id=node)
        self.starts = 0
        """Which of its lives this is."""
        self.stopping = False
        self._rate = 1.0
        self._phase = world.plan.stream(f"phase/{node}")
        self._mourners: dict[int, Callable[[], None]] = {}
        self._mourned = 0
        self.clock = Life(self._timeline, ended=True)

    # What `simulation.faults` asks for

    def compact_disk(self, index: int) -> None:
        self.disk.compact(index)

    def term(self) -> int:
        return self.node.hard_state.term

    @property
    def ended(self) -> bool:
        return self.clock.ended

    @property
    def leads(self) -> bool:
        return self.up and self.node.leadership is not None

    def release(self) -> None:
        """Let a stalled disk go on; a process that is paused hears of it later."""
        self.clock.later(0.0, self.disk.release)

    def set_rate(self, rate: float) -> None:
        self._rate = rate

    def when_dead(self, mourner: Callable[[], None]) -> int:
        """Gives what to `forget_mourner` by."""
        self._mourned += 1
        self._mourners[self._mourned] = mourner
        return self._mourned

    def forget_mourner(self, number: int) -> None:
        self._mourners.pop(number, None)

    # Life

    def boot(self) -> None:
        assert not self.up
        assert self.clock.ended
        world, disk = self._world, self.disk
        self.starts += 1
        self.clock = Life(self._timeline, runs_since=self._timeline.now)
        disk.opened(self.clock)
        self.node = Node(
            self._config, world.plan.stream(f"replica/{self.id}/{self.starts}"), uuid=disk.uuid,
            hard_state=disk.hard_state, log=disk.log(), members=disk.state.head.members,
            generation=disk.state.head.generation,
        )  # fmt: skip
        self._saving = self._applying = False
        self._sender, self._receiver = Sender(self, world.parts), Receiver(self)
        self._waiters: dict[int, tuple[int, Answer]] = {}
        self._reads: dict[int, Answer] = {}
        self._positions: deque[tuple[int, Answer]] = deque()
        self._tokens = 0
        self.up, self.stopping = True, False
        world.started(self)
        self._tick_due = self._timeline.now + self._phase.random() * self._shape.tick
        self.clock.later(self._tick_due - self._timeline.now, self._tick)

    def kill(self, keep: int = 0) -> None:
        """SIGKILL. `keep`: so many of the calls under way have been carried out by the disk."""
        self.clock.end()
        self.disk.crash(keep)
        self.up = False
        mourners, self._mourners = self._mourners, {}
        for mourner in mourners.values():
            self._timeline.callLater(0.0005, mourner)

    def _tick(self) -> None:
        """`count` is above 1 where the process was paused."""
        now, seconds = self._timeline.now, self._shape.tick / self._rate
        count = 1 + int((now - self._tick_due) / seconds + 1e-9)
        self._tick_due += count * seconds
        self.clock.later(max(0.0, self._tick_due - now), self._tick)
        self.node.tick(count)
        self.act()
        if self.led and self.up:
            self._world.leads_on(self)

    # Input

    def arrive(self, message: Message) -> None:
        """It has come to this node's address."""
        if not self.up:
            self._world.refused(message)
        elif self.clock.paused:
            self.clock.later(0.0, self._receive, message)
        else:
            self._receive(message)

    def _receive(self, message: Message) -> None:
        kind = type(message)
        if kind is AppendReply or kind is HeartbeatReply:
            self._world.answer_arrives(self, message)
        if kind is Part:
            self._receiver.on_part(message)
        elif kind is PartReply:
            self._sender.on_reply(message)
        else:
            self.node.step(message)
        self.act()

    def unreachable(self, peer: NodeId) -> None:
        self.node.unreachable(peer, True)
        self.act()

    def propose(self, data: bytes, answer: Answer) -> None:
        if not self.up or self.node.leadership is None:
            answer(NOT_HERE)
            return
        indexes = self.node.propose([data])
        if indexes is None:
            answer(NOT_HERE)
            return
        self._waiters[indexes[0]] = self.node.hard_state.term, answer
        self.act()

    def read(self, answer: Answer) -> None:
        """Linearizable."""
        self._tokens += 1
        try:
            self.node.read_index(self._tokens)
        except NotLeading:
            answer(NOT_HERE)
            return
        self._reads[self._tokens] = answer
        self.act()

    # The loop

    def act(self) -> None:
        """Do what is ready. Nothing of it comes back before its time: once is enough."""
        if not self.up:
            return
        node = self.node
        if self._receiver.waiting is None or not self._waits_to_install():
            ready = node.ready()
            if ready is not NOTHING:
                self._carry_out(ready)
        leads = node.leadership is not None
        if leads is not self.led or node.log.commit != self.commit_seen or node.hard_state.term != self.term_seen:
            if self.led and not leads:
                self._lose_office()
            self._world.seen(self)

    def _waits_to_install(self) -> bool:
        """A snapshot is there: an install waits for what is under way, and everything else waits for it."""
        if not self._saving and not self._applying:
            self._install(self._receiver.waiting)
        return self._receiver.waiting is not None

    def _carry_out(self, ready: Ready) -> None:
        for message in ready.send:
            self.send(message)
        if ready.hard_state is not None or ready.entries:
            self._save(ready)
        elif ready.forgot:
            self._renew()
        else:
            for message in ready.reply:
                self.send(message)
        if ready.apply:
            self._applying = True
            self.disk.apply(ready.apply, lambda digests: self._applied(ready.apply, digests))
        for token, index in ready.reads:
            self._positions.append((index, self._reads.pop(token)))
        if ready.reads:
            self._answer_reads()
        for token in ready.lost_reads:
            self._reads.pop(token)(NOT_HERE)
        for peer, _ in ready.snapshots:
            self._sender.begin(peer)

    def send(self, message: Message) -> None:
        self._world.carry(self, message)

    def _given_room(self, result: Any, again: Callable[[], None]) -> bool:
        """Has it been done? As long as the disk is full this node neither leads nor votes, and tries `again`."""
        if isinstance(result, SyncFailed):
            self._world.sync_failed(self)
            return False
        if isinstance(result, Full):
            if self.node.writable:
                self.node.set_writable(False)
                self.act()
            self.clock.later(0.2, again)
            return False
        if not self.node.writable:
            self.node.set_writable(True)
        return True

    def _save(self, ready: Ready) -> None:
        self._saving = True
        if ready.entries:
            self._world.saving(self, ready.entries)

        def saved(result: Any) -> None:
            if not self._given_room(result, save):
                return
            self._world.saved(self, ready.hard_state, ready.entries)
            self._saving = False
            self.node.advance()
            for message in ready.reply:
                self.send(message)
            self.act()

        def save() -> None:
            self.disk.save(ready.hard_state, ready.entries, saved)

        save()

    def _renew(self) -> None:
        self._saving = True

        def renewed(result: Any) -> None:
            if self._given_room(result, renew):
                self._world.renewed(self)
                self._saving = False
                self.node.renewed(result)
                self.act()

        def renew() -> None:
            self.disk.renew_uuid(renewed)

        renew()

    def _applied(self, entries: Sequence[Entry], digests: list[tuple[int, int]]) -> None:
        self._applying = False
        index = entries[-1].index
        self.node.applied(index)
        self._world.has_applied(self, digests)
        if self._waiters:
            for entry in entries:
                term, answer = self._waiters.pop(entry.index, (0, None))
                if answer is not None:
                    answer(entry.index if entry.term == term else LOST)
        self._answer_reads()
        self._keep_bounded()
        self.act()

    def _answer_reads(self) -> None:
        applied = self.node.log.applied
        while self._positions and self._positions[0][0] <= applied:
            self._positions.popleft()[1](applied)

    def _keep_bounded(self) -> None:
        log, keep = self.node.log, self._shape.keep_entries
        if log.last_index - log.base_index > keep * 5 // 4:
            index = min(log.applied, log.last_index - keep)
            if index > log.base_index:
                log.compact(index)
                self.disk.compact(index)

    def _install(self, part: Part) -> None:
        """Nothing else is under way."""
        self._saving = True

        def installed(result: Any) -> None:
            refused = isinstance(result, Full)
            if isinstance(result, SyncFailed):
                self._world.sync_failed(self)
                return
            if not refused:
                self.node.restore(part.meta)
                self._world.installed(self, part.meta, part.digest)
                self._answer_reads()
            self._saving = False
            self._receiver.ended(refused)
            self.act()

        if self.node.lacks(part.meta):
            self.disk.install(part.meta, part.digest, installed)
        else:
            self._saving = False
            self._receiver.ended(True)

    def _lose_office(self) -> None:
        self._sender.abandon_all()
        waiters, self._waiters = self._waiters, {}
        for _, answer in waiters.values():
            answer(LOST)
