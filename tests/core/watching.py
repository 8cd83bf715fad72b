"""What is watched of a run of the core: each hook tells the checkers, and mischief, what has just happened."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Sequence

from tests.core.checkers import Acknowledged, NothingUnsaved
from tests.core.process import Process
from tests.core.proposers import Proposer
from tests.core.registrar import Registrar
from tests.core.timeline import Timeline
from tests.simulation.checkers import (
    CommittedForEver,
    Durable,
    EqualDigests,
    FreshReads,
    LogMatching,
    OneLeaderATerm,
    Violation,
)
from tests.simulation.mischief import Mischief
from tests.simulation.plan import Plan
from tests.simulation.promises import LeadersAreHeard
from tests.simulation.rules import Rules
from tests.simulation.watch import holds_on_disk
from toystore.consensus.messages import AppendReply, Entry, HeartbeatReply, Kind, Message, SnapshotMeta
from toystore.consensus.ready import Ready
from toystore.consensus.settings import NodeConfig
from toystore.consensus.views import View


class Watched:
    """What of a run its checkers need. `trace` is given each line of what happens."""

    config: NodeConfig
    processes: dict[str, Process]
    voters: list[Process]
    registrar: Registrar | None
    clients: dict[str, Proposer]
    mischief: Mischief

    def __init__(self, plan: Plan, trace: Callable[[str], None] | None) -> None:
        shape = plan.shape
        self.plan, self._trace = plan, trace
        self.timeline = Timeline()
        self.tally: Counter[str] = Counter()
        self.violation, self._violated_at = "", 0.0
        self.failing_disk: Process | None = None
        self.forgetful: dict[str, str] = {}
        """Whose disk has lost what it may have acknowledged, under which uuid; until another is named."""
        self.acknowledged: dict[tuple[str, str], int] = {}
        """How far a leader has heard that a storage, by node and uuid, has come."""
        self._leaders, self._log_matching = OneLeaderATerm(), LogMatching()
        self.committed, self._durable = CommittedForEver(), Durable(shape.voters)
        self._digests, self.reads, self._told = EqualDigests(), FreshReads(), Acknowledged()
        self._unsaved = NothingUnsaved()
        self.rules = Rules(self, [f"order-{n}" for n in range(1, shape.voters + 1)])
        self._heard = LeadersAreHeard(shape.voters, 2 * shape.election_ticks[0] * shape.tick * 1.06 + 0.05)

    # The trace

    def note(self, what: str) -> None:
        if self._trace is not None:
            self._trace(f"{self.timeline.now:10.6f} {what}")

    def check(self, demand: Callable[..., object], *arguments: object) -> bool:
        """Have a checker look; what it finds ends the run."""
        try:
            return bool(demand(*arguments))
        except Violation as violation:
            self.violate(str(violation))
            return False

    def violate(self, what: str) -> None:
        if not self.violation:
            self.violation, self._violated_at = what, self.timeline.now
            self.note(f"VIOLATION {what}")

    @property
    def fingerprint(self) -> str:
        """Of all that happened: the same plan gives the same, in any process."""
        heads = [process.disk.state.head.digest for process in self.processes.values()]
        told = f"{self.timeline.count} {self.timeline.now:.9f} {heads} {sorted(self.tally.items())} {self.violation}"
        return f"{zlib.crc32(told.encode()):08x}"

    def reveals(self, sender: Process, message: Message) -> None:
        try:
            self._unsaved.leaves(sender.disk, message)
        except Violation as violation:
            self.violate(f"{sender.id}: {violation}")

    def answer_arrives(self, process: Process, message: AppendReply | HeartbeatReply) -> None:
        """It hears this now, and is not paused."""
        if message.sender in self.config.voters:
            self._heard.answered(process.id, message.sender, self.timeline.now)
            if isinstance(message, AppendReply) and not message.rejected and process.leads:
                place = message.sender, message.uuid
                self.acknowledged[place] = max(self.acknowledged.get(place, 0), message.match)

    # Watching

    def started(self, process: Process) -> None:
        log = process.node.log
        self.rules.started(process)
        self.note(f"{process.id} is up, storage {process.disk.uuid}, log {log.base_index}..{log.last_index}")

    def seen(self, process: Process) -> None:
        """After each of its turns."""
        node = process.node
        leads = node.leadership is not None
        if leads and not (process.led and process.term_seen == node.hard_state.term):
            self._new_leader(process)
        elif process.led and not leads:
            self.note(f"{process.id} leads no more: {node.gave_up}")
        process.led, process.term_seen = leads, node.hard_state.term
        commit = node.log.commit
        if commit > process.commit_seen:
            for index in range(max(process.commit_seen, node.log.base_index) + 1, commit + 1):
                self._new_commit(process, node.log.entry(index))
            process.commit_seen = commit
        self.rules.seen(process)

    def _new_leader(self, process: Process) -> None:
        log, term = process.node.log, process.node.hard_state.term
        process.led_since = self.timeline.now
        self._heard.began(process.id)
        self.tally["elections"] += 1
        self.note(f"{process.id} leads in term {term}, log {log.base_index}..{log.last_index}")
        self.check(self._leaders.leads, term, process.id)
        if self.registrar is not None:
            self.check(self.rules.views.leads, process.id, term)
        terms = [log.term_at(index) for index in range(log.base_index, log.last_index + 1)]
        self.check(self.committed.leads, process.id, term, log.base_index, terms)
        self.mischief.at("somebody is elected", process.id)

    def leads_on(self, process: Process) -> None:
        """After a tick at which it led."""
        if self.registrar is None and not process.stopping:
            since = max(process.led_since, process.clock.runs_since)
            self.check(self._heard.leads, process.id, since, self.timeline.now)

    def _new_commit(self, process: Process, entry: Entry) -> None:
        index, term = entry.index, entry.term
        if self.check(self.committed.committed, process.id, index, term, process.term()):
            self._first_commit(process, entry)
        self.rules.commits(process, index, term)

    def _first_commit(self, process: Process, entry: Entry) -> None:
        """Nobody held it to be committed before."""
        index, term = entry.index, entry.term
        self.tally["commits"] += 1
        self.tally["renames"] += index > 1 and entry.kind is Kind.MEMBERS
        self.check(self._told.committed, index, entry.data)
        holders = [voter.id for voter in self.voters if holds_on_disk(voter, index, term) or self._has_forgotten(voter)]
        if self.registrar is None:
            self.check(self._durable.committed, index, holders)
        else:
            disks = {voter.id: voter.disk.uuid for voter in self.voters}
            asked = self.rules.asked_by(process)
            self.check(self.rules.views.committed, index, disks, holders, asked)
        if self._trace is not None:
            self.note(f"{process.id} commits {index} of term {term}: {' '.join(holders)}")
        self.mischief.at("an entry is committed", process.id)

    def _has_forgotten(self, process: Process) -> bool:
        """It may have acknowledged what is not on its disk any more, and its acknowledgement may still be under way."""
        uuid = self.forgetful.get(process.id)
        if uuid is not None and uuid != process.disk.uuid and self.counts(process):
            del self.forgetful[process.id]
            uuid = None
        return uuid is not None

    def saving(self, process: Process, entries: Sequence[Entry]) -> None:
        self.rules.saves(process, entries)
        state, first = process.disk.state, entries[0].index
        if first <= state.last_index():
            self.tally["truncations"] += 1
            self.note(f"{process.id} drops {first}..{state.last_index()}")
            self.mischief.at("entries are dropped", process.id)
        previous = state.term_at(first - 1) or 0
        for entry in entries:
            self.check(self._log_matching.saved, process.id, entry, previous)
            previous = entry.term

    def saved(self, process: Process, ready: Ready) -> None:
        if ready.hard_state is not None:
            self.rules.synced(process, ready.hard_state)
            self.mischief.at("a term is saved", process.id)
        if ready.entries:
            self.mischief.at("entries are saved", process.id)

    def applied(self, process: Process, digests: Sequence[tuple[int, int]]) -> None:
        self.rules.applied(process, digests[0][0], digests[-1][0])
        for index, digest in digests:
            self.check(self._digests.applied, process.id, index, digest)
        self.mischief.at("something is applied", process.id)

    def installed(self, process: Process, meta: SnapshotMeta, digest: int) -> None:
        self.tally["snapshots"] += 1
        self.note(f"{process.id} installs a snapshot as of {meta.index}")
        self.check(self._digests.applied, process.id, meta.index, digest)
        self.rules.installed(process, meta.index)
        self.mischief.at("a snapshot is installed", process.id)

    def told(self, process: Process, data: bytes, index: int) -> None:
        """A client has its answer."""
        self.reads.acknowledge(index)
        if data:
            self.tally["acknowledged"] += 1
            self.check(self._told.told, data, index)
            self.mischief.at("a client is told", process.id)
        else:
            self.tally["reads"] += 1

    def counts(self, process: Process) -> bool:
        """Is its disk one that all know to have everything?"""
        if self.registrar is None:
            member = process.disk.state.synced_head.members.get(process.id)
            return member is not None and member.uuid == process.disk.uuid
        view = self.rules.views.present
        return view is not None and view.in_sync.get(process.id) == process.disk.uuid

    def stored(self, view: View) -> None:
        before = self.rules.views.present
        self.note(f"the register stores {view}")
        self.tally["views"] += 1
        self.rules.stored(view)
        if self.failing_disk is not None and set(view.in_sync) == {self.failing_disk.id}:
            self.failing_disk.disk.heal()  # the only one in sync keeps its disk: see `simulation.faults`
            self.failing_disk = None
        self.mischief.at("a view is stored", view.leader)
        if before is not None:
            for node in view.in_sync.keys() - before.in_sync.keys():
                self.tally["joins"] += 1
                self.mischief.at("somebody joins", node)
            for node in before.in_sync.keys() - view.in_sync.keys():
                self.tally["drops"] += 1
                self.mischief.at("somebody is dropped", node)
