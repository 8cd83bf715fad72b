"""The witness of a run: it is told what has just happened, has the checkers look at it, and tells mischief that a moment
has come. It knows replicas by what `simulation.cluster` and `core.process` have in common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from tests.simulation.checkers import (
    CommittedForEver,
    Durable,
    EqualDigests,
    FreshReads,
    LogMatching,
    OneLeaderATerm,
    Violation,
)
from tests.simulation.cluster import Process, Registrar
from tests.simulation.mischief import Mischief
from tests.simulation.plan import Plan
from tests.simulation.promises import LeadersAreHeard
from tests.simulation.rules import Rules
from tests.simulation.watch import ARRIVES, holds_on_disk, moment_of, named_on_disk, renames, term_on_disk
from toystore.consensus.messages import AppendReply, Ask, Entry, HardState, HeartbeatReply, Message, SnapshotMeta
from toystore.consensus.settings import NodeConfig
from toystore.consensus.views import View

Trace = Callable[[str], None]
Messages = Callable[[float, Message, Sequence[float]], None]


class Failed(AssertionError):
    """A run in which a promise was broken; says which, and when."""

    def __init__(self, plan: Plan, at: float, what: str) -> None:
        super().__init__(f"seed {plan.seed}, {plan.election}, at {at:.6f} s: {what}")
        self.plan, self.at, self.what = plan, at, what


class Witness:
    """`trace` is given each line of what happens; `messages` each message as it is sent, with the delays of its copies.

    A simulator that is one has these; its `timeline` has the time (`now`), its `clock` calls later.
    """

    timeline: Any
    clock: Any
    config: NodeConfig
    voters: Sequence[Process]
    registrar: Registrar | None
    mischief: Mischief

    def __init__(self, plan: Plan, trace: Trace | None = None, messages: Messages | None = None) -> None:
        shape = plan.shape
        self.plan = plan
        self._trace, self._messages = trace, messages
        self.tally: Counter[str] = Counter()
        self.violation, self._violated_at = "", 0.0
        self.failing_disk: Process | None = None
        self.forgetful: dict[str, str] = {}
        """Whose disk has lost what it may have acknowledged, under which uuid; until another is named."""
        self.acknowledged: dict[tuple[str, str], int] = {}
        """How far a leader has heard that a storage, by node and uuid, has come."""
        self._asked = (0, 0)
        """The highest version of which any leader has asked for a change, with the generation before it."""
        self._leaders, self._log_matching = OneLeaderATerm(), LogMatching()
        self.committed, self._durable = CommittedForEver(), Durable(shape.voters)
        self._digests, self.reads = EqualDigests(), FreshReads()
        self.rules = Rules(self, [f"order-{n}" for n in range(1, shape.voters + 1)])
        self._heard = LeadersAreHeard(shape.voters, 2 * shape.election_ticks[0] * shape.tick * 1.06 + 0.05)

    # The trace

    def note(self, what: str) -> None:
        if self._trace is not None:
            self._trace(self._line(what))

    def _line(self, what: str) -> str:
        return f"{self.timeline.now:10.6f} {what}"

    def check(self, demand: Callable[..., object], *arguments: object) -> bool:
        """Have a checker look; what it finds ends the run, wherever it was found."""
        try:
            return bool(demand(*arguments))
        except Violation as violation:
            self.violate(str(violation))
            return False

    def violate(self, what: str) -> None:
        if not self.violation:
            self.violation, self._violated_at = what, self.timeline.now
            self.note(f"VIOLATION {what}")

    def failed(self, what: str) -> Failed:
        return Failed(self.plan, self._violated_at if self.violation else self.timeline.now, what)

    # Messages

    def leaves(self, message: Message, delays: Sequence[float]) -> None:
        """It has been sent; its copies arrive after these delays."""
        moment = moment_of(message)
        if moment:
            if isinstance(message, Ask) and self.rules.views.present is not None:
                self._asked = max(self._asked, (self.rules.views.present.generation, message.version))
            self.mischief.at(moment, message.sender)
            if delays and isinstance(message, AppendReply) and self.mischief.awaits(ARRIVES):
                self.clock.callLater(delays[0], self.mischief.at, ARRIVES, message.to)
        if self._messages is not None:
            self._messages(self.timeline.now, message, delays)

    def answer_arrives(self, process: Process, message: AppendReply | HeartbeatReply) -> None:
        """It hears this now, and is not paused."""
        if message.sender in self.config.voters:
            self._heard.answered(process.id, message.sender, self.timeline.now)
            if isinstance(message, AppendReply) and not message.rejected and process.leads:
                place = message.sender, message.uuid
                self.acknowledged[place] = max(self.acknowledged.get(place, 0), message.match)

    # Replicas

    def started(self, process: Process) -> None:
        node = process.node
        process.led, process.term_seen, process.commit_seen = False, node.hard_state.term, node.log.applied
        self.rules.started(process)
        self._in_log(process, process.disk.state.entries, process.disk.state.base_term)
        self.note(f"{process.id} is up, storage {process.disk.uuid}, log {node.log.base_index}..{node.log.last_index}")

    def seen(self, process: Process) -> None:
        """It has had a turn."""
        node = process.node
        leads, log = node.leadership is not None, node.log
        if leads and not (process.led and process.term_seen == node.hard_state.term):
            self._new_leader(process)
        elif process.led and not leads:
            self.note(f"{process.id} leads no more: {node.gave_up}")
        process.led, process.term_seen = leads, node.hard_state.term
        if log.commit > process.commit_seen:
            for index in range(max(process.commit_seen + 1, log.base_index), log.commit + 1):
                self._new_commit(process, index, log.term_at(index))
            process.commit_seen = log.commit
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
        """It led before its turn, and does so after it."""
        if self.registrar is None and not process.stopping:
            since = max(process.led_since, process.clock.runs_since)
            self.check(self._heard.leads, process.id, since, self.timeline.now)

    def _new_commit(self, process: Process, index: int, term: int) -> None:
        if self.check(self.committed.committed, process.id, index, term, process.term()):
            self.first_commit(process, index, term)
        self.rules.commits(process, index, term)

    def first_commit(self, process: Process, index: int, term: int) -> None:
        """Nobody held it to be committed before."""
        self.tally["commits"] += 1
        self.tally["renames"] += renames(process, index)
        holders = [voter.id for voter in self.voters if holds_on_disk(voter, index, term) or self._has_forgotten(voter)]
        if self.registrar is None:
            self.check(self._durable.committed, index, holders)
        else:
            disks = {voter.id: voter.disk.uuid for voter in self.voters}
            asked = self.rules.asked_by(process)
            self.check(self.rules.views.committed, index, disks, holders, asked)
        self.note(f"{process.id} commits {index} of term {term}: {' '.join(holders)}")
        self.mischief.at("an entry is committed", process.id)

    def _has_forgotten(self, process: Process) -> bool:
        """It may have acknowledged what is not on its disk any more, and its acknowledgement may still be under way."""
        uuid = self.forgetful.get(process.id)
        if uuid is not None and uuid != process.disk.uuid and self.counts(process):
            del self.forgetful[process.id]
            uuid = None
        return uuid is not None

    def counts(self, process: Process) -> bool:
        """Is its disk one that all know to have everything?"""
        if self.registrar is None:
            return named_on_disk(process)
        view = self.rules.views.present
        return view is not None and view.in_sync.get(process.id) == process.disk.uuid

    # Disks

    def saving(self, process: Process, entries: Sequence[Entry]) -> None:
        self.rules.saves(process, entries)
        state, first = process.disk.state, entries[0].index
        if first <= state.last_index():
            self.tally["truncations"] += 1
            self.note(f"{process.id} drops {first}..{state.last_index()}")
            self.mischief.at("entries are dropped", process.id)
        self._in_log(process, entries, term_on_disk(process, first - 1) or 0)

    def _in_log(self, process: Process, entries: Sequence[Entry], previous: int) -> None:
        """After an entry of the term `previous`."""
        for entry in entries:
            self.check(self._log_matching.has, process.id, entry, previous)
            previous = entry.term

    def saved(self, process: Process, hard_state: HardState | None, entries: Sequence[Entry]) -> None:
        if self._trace is not None:
            self._trace(self._line(f"{process.id} has saved {_what(hard_state, entries)}"))
        if hard_state is not None:
            self.rules.synced(process, hard_state)
            self.mischief.at("a term is saved", process.id)
        if entries:
            self.mischief.at("entries are saved", process.id)

    def has_applied(self, process: Process, digests: Sequence[tuple[int, object]]) -> None:
        """Up to each of these indexes, with the digest there."""
        self.rules.applied(process, digests[0][0], digests[-1][0])
        for index, digest in digests:
            self.check(self._digests.applied, process.id, index, digest)
        self.mischief.at("something is applied", process.id)

    def installed(self, process: Process, meta: SnapshotMeta, digest: object) -> None:
        self.tally["snapshots"] += 1
        self.note(f"{process.id} installs a snapshot as of {meta.index}")
        self.check(self._digests.applied, process.id, meta.index, digest)
        self.rules.installed(process, meta.index)
        self.mischief.at("a snapshot is installed", process.id)

    def renewed(self, process: Process) -> None:
        self.tally["renewals"] += 1
        self.note(f"{process.id} takes a new uuid")

    # The register

    def stored(self, view: View) -> None:
        before = self.rules.views.present
        self.note(f"the register stores {view}")
        self.tally["views"] += 1
        self.rules.stored(view)
        if self.failing_disk is not None and set(view.in_sync) == {self.failing_disk.id}:
            self.failing_disk.disk.heal()  # the only one in sync keeps its disk: see `faults`
            self.failing_disk = None
        self.mischief.at("a view is stored", view.leader)
        if before is not None:
            for node in view.in_sync.keys() - before.in_sync.keys():
                self.tally["joins"] += 1
                self.mischief.at("somebody joins", node)
            for node in before.in_sync.keys() - view.in_sync.keys():
                self.tally["drops"] += 1
                self.mischief.at("somebody is dropped", node)


def _what(hard_state: HardState | None, entries: Sequence[Entry]) -> str:
    """That was saved."""
    parts = []
    if hard_state is not None:
        vote = f", votes for {hard_state.vote}" if hard_state.vote else ""
        parts.append(str(hard_state.view) if hard_state.view else f"t{hard_state.term}{vote}")
    if entries:
        parts.append(f"{entries[0].index}..{entries[-1].index}/t{entries[-1].term}")
    return ", ".join(parts)
