"""One run of the core: its replicas, the register, clients, the faults of a plan, and the checkers that watch all of it.

As `simulation.world`, on the same stage, so that a fault is the same thing in both. What is not here: ledger, wire format,
the loop of the replicator.
"""

from __future__ import annotations

import traceback
import zlib
from collections.abc import Iterator
from functools import partial

from attrs import evolve

import tests.simulation.faults  # noqa: F401  (fills the catalogue)
from tests.core.checkers import Acknowledged, NothingUnsaved
from tests.core.disk import Disk
from tests.core.points import NOT_OF_THE_CORE
from tests.core.process import Process
from tests.core.proposers import Proposer
from tests.core.registrar import REGISTRAR, Registrar
from tests.core.snapshots import Part, PartReply
from tests.core.timeline import Timeline
from tests.simulation.checkers import Violation
from tests.simulation.mischief import Mischief
from tests.simulation.plan import Plan
from tests.simulation.stage import REST, Stage
from tests.simulation.watch import SENT
from tests.simulation.witness import Messages, Trace
from toystore.consensus.messages import Append, Ask, Heartbeat, Message, Ping
from toystore.replication.snapshots import SnapshotChunk

SENT[Part] = SENT[SnapshotChunk]
OF_OFFICES = {Append, Heartbeat, Ask, Ping}
"""Where leaders are appointed: what only a leader, or the register, sends."""


class CoreWorld(Stage):
    def __init__(self, plan: Plan, trace: Trace | None = None, messages: Messages | None = None) -> None:
        super().__init__(plan, trace, messages)
        self.clock = self.timeline = Timeline()
        shape = plan.shape
        voters = tuple(f"order-{n}" for n in range(1, shape.voters + 1))
        learners = tuple(f"catalog-{n}" for n in range(1, shape.learners + 1))
        appointed = plan.election == "appointed"
        self.config = evolve(
            shape.config(plan.election), voters=voters, learners=learners, register=REGISTRAR if appointed else None
        )
        self.parts = 1 + 4_000 // shape.snapshot_chunk
        """Of a snapshot."""
        self.processes = {node: Process(self, node, self._new_disk(node)) for node in (*voters, *learners)}
        self.voters = [self.processes[node] for node in voters]
        self.registrar = Registrar(self, self.write_seconds("register")) if appointed else None
        self.skew: dict[str, float] = {}
        self._told, self._unsaved = Acknowledged(), NothingUnsaved()
        self.clients = {f"front-{n}": Proposer(self, f"front-{n}") for n in range(1, shape.fronts + 1)}
        self.mischief = Mischief(self, plan.without(*NOT_OF_THE_CORE).faults)

    def _new_disk(self, node: str) -> Disk:
        return Disk(_uuids(node), self.write_seconds(node), partial(self.apply_seconds, node))

    @property
    def front_ends(self) -> list[str]:
        """The names of the clients."""
        return list(self.clients)

    @property
    def fingerprint(self) -> str:
        """Of all that happened: the same plan gives the same, in any process."""
        heads = [process.disk.state.head.digest for process in self.processes.values()]
        told = f"{self.timeline.count} {self.timeline.now:.9f} {heads} {sorted(self.tally.items())} {self.violation}"
        return f"{zlib.crc32(told.encode()):08x}"

    # The network

    def carry(self, sender: Process | Registrar, message: Message) -> None:
        kind = type(message)
        if kind in OF_OFFICES and self.registrar is not None:
            self.rules.sent(message)
        if kind is not Part and kind is not PartReply and isinstance(sender, Process):
            self._reveals(sender, message)
        delays = self.links.fate(message)
        self.leaves(message, delays)
        to = self.processes.get(message.to) or self.registrar
        for delay in delays:
            self.timeline.callLater(delay, to.arrive, message)  # type: ignore[union-attr]

    def _reveals(self, sender: Process, message: Message) -> None:
        try:
            self._unsaved.leaves(sender.disk, message)
        except Violation as violation:
            self.violate(f"{sender.id}: {violation}")

    def refused(self, message: Message) -> None:
        """Nobody listens where it has come to, as a refused connection says."""
        sender = self.processes.get(message.sender) or self.registrar
        if sender is not None and sender.up:
            sender.clock.later(0.0, sender.unreachable, message.to)

    # What is watched, beside what all simulators watch

    def first_commit(self, process: Process, index: int, term: int) -> None:
        log = process.node.log
        if index > log.base_index:
            self.check(self._told.committed, index, log.entry(index).data)
        super().first_commit(process, index, term)

    def told(self, process: Process, data: bytes, index: int) -> None:
        """A client has its answer."""
        self.reads.acknowledge(index)
        if data:
            self.tally["acknowledged"] += 1
            self.check(self._told.told, data, index)
            self.mischief.at("a client is told", process.id)
        else:
            self.tally["reads"] += 1

    # What mischief does

    def sync_failed(self, process: Process) -> None:
        """It ends itself."""
        if process is not self.failing_disk:
            self.violate(f"{process.id} has ended itself")
        self.failing_disk = None
        self.tally["failed syncs"] += 1
        self.kill(process, 0, "a sync failed")
        self.timeline.callLater(0.1, self.start, process)

    def stop(self, process: Process, patience: float) -> None:
        """SIGTERM: a leader hands over first, for at most a second."""
        self.note(f"{process.id} is told to stop")
        self.tally["stops"] += 1
        process.stopping = True
        life, until = process.clock, self.timeline.now + min(patience, 1.0)
        waits = process.leads and process.node.transfer(leaving=True) is not None
        process.act()

        def over() -> None:
            if process.leads and waits and self.timeline.now < until:
                life.later(self.plan.shape.tick, over)
            else:
                self.note(f"{process.id} stops")
                process.disk.state.sync()
                self.end(process)

        def killed() -> None:
            if not life.ended:
                self.end(process)

        life.later(0.0, over)
        self.timeline.callLater(patience, killed)

    # The register

    def all_remember(self) -> bool:
        """May the register's disk be lost? Here one replica that has the latest view on its own is enough: whoever takes
        over waits for all of them, and so for the disks of all that are in sync by it."""
        view = self.rules.views.present
        known = view is not None and any(voter.disk.hard_state.view == view for voter in self.voters)
        return known and self.failing_disk is None and self.has_all_of(view) and self.register_rests()

    # The run

    def play(self) -> None:
        """Raises `Failed`."""
        self.note(str(self.plan.shape))
        for process in self.processes.values():
            process.boot()
        self.start_register()
        for client in self.clients.values():
            client.begin()
        self.mischief.begin()
        self._advance(self.plan.seconds)
        self.heal()
        self._rest()
        self.tally["seconds"] = round(self.timeline.now)

    def _advance(self, end: float) -> None:
        """A step at a time, so that a violation ends the run soon."""
        try:
            while self.timeline.now < end and not self.violation:
                self.timeline.advance(min(self.timeline.now + 0.25, end))
        except Violation as violation:
            self.violate(str(violation))
        except Exception:
            self.violate(f"a process has ended itself: {traceback.format_exc()}")
        if self.violation:
            raise self.failed(self.violation)

    def heal(self) -> None:
        super().heal()
        for client in self.clients.values():
            client.close_shop()

    def _rest(self) -> None:
        """Everything is answered, and all logs are equal, within `REST` seconds; and what was promised still holds."""
        end = self.timeline.now + REST
        while unrest := self.unrest():
            if self.timeline.now >= end:
                raise self.failed(f"not at rest {REST} s after everything was healed: {unrest}")
            self._advance(self.timeline.now + 0.25)
        heads = {process.id: process.disk.state.head.digest for process in self.processes.values()}
        if len(set(heads.values())) != 1:
            raise self.failed(f"the logs differ: {heads}")
        self.note(f"at rest: {self.tally['acknowledged']} acknowledged, digest {min(heads.values()):08x}")


def _uuids(node: str) -> Iterator[str]:
    return (f"{node}:{count}" for count in range(1, 1_000_000))
