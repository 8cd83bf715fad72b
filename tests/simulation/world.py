"""One run: a cluster, its clients, the faults of its plan, and the checkers that watch all of it. First safety while things
go wrong; then everything is healed, and the cluster must come to rest with every question answered.

What is watched is what is promised: what goes to the disks and comes from the ledgers (`watch`), who leads and
what is committed after each turn of a process, what clients are told.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

import tests.simulation.faults
import tests.simulation.store_faults  # noqa: F401  (both fill the catalogue)
from tests.simulation.checkers import (
    CommittedForEver,
    Durable,
    EqualDigests,
    FreshReads,
    LogMatching,
    OneLeaderATerm,
    Orders,
    Violation,
    check_stock,
)
from tests.simulation.clock import VirtualClock
from tests.simulation.cluster import Cluster, Process
from tests.simulation.mischief import End, Mischief
from tests.simulation.network import Links
from tests.simulation.plan import ANYONE, Plan
from tests.simulation.promises import Kites, LeadersAreHeard, OneOutcome, check_times, kites
from tests.simulation.rules import Rules
from tests.simulation.shoppers import Shopper
from tests.simulation.store import Store
from tests.simulation.watch import (
    FailuresObserver,
    WatchedStorage,
    everything,
    holds_on_disk,
    moment_of,
    named_on_disk,
    renames,
)
from toystore.consensus.messages import AppendReply, Ask, Entry, HeartbeatReply, Message
from toystore.consensus.views import View
from toystore.model import CatalogRow, LoadCatalog, Request
from toystore.storage.interface import Applied, SpoolInfo
from toystore.storage.memory import MemoryStorage, Work

NAMES = ("Tux", "Fox", "Lego", "Whale")
"""What is ordered."""

REST = 15.0
"""Seconds in which a healed cluster must have come to rest."""


class Failed(AssertionError):
    """A run in which a promise was broken; says which, and when."""

    def __init__(self, plan: Plan, at: float, what: str) -> None:
        super().__init__(f"seed {plan.seed}, {plan.election}, at {at:.6f} s: {what}")
        self.plan, self.at, self.what = plan, at, what


class World(Cluster):
    """`trace` is given each line of what happens, `messages` each message as it is sent."""

    def __init__(
        self,
        plan: Plan,
        trace: Callable[[str], None] | None = None,
        messages: Callable[[float, Message, Sequence[float]], None] | None = None,
    ) -> None:
        self.plan = plan
        self._trace, self._messages = trace, messages
        self._hash = hashlib.sha256()
        self.tally: Counter[str] = Counter()
        shape = plan.shape
        self.links = Links(plan.stream, lambda: self.timeline.now)
        super().__init__(
            shape.voters,
            shape.learners,
            config=shape.config(plan.election),
            pace=shape.pace(),
            fate=self._overheard,
            streams=plan.stream,
        )
        self._slow: list[tuple[str, float, float]] = []
        skew = plan.stream("skew")
        for process in self.processes.values():
            self.skew[process.id] = skew.uniform(-5, 5)
            process.disk.latency = partial(self._latency, self._write_seconds(process.id))
        if self.registrar is not None:
            self.registrar.latency = self._write_seconds("register")
        self._leaders, self._log_matching = OneLeaderATerm(), LogMatching()
        self.committed, self._durable = CommittedForEver(), Durable(shape.voters)
        self._digests, self.reads, self.orders = EqualDigests(), FreshReads(), Orders()
        self.rules = Rules(self, self.config.voters)
        self._asked: tuple[int, int] = (0, 0)
        """The highest version of which any leader has asked for a change, with the generation."""
        self._seen: dict[str, tuple[bool, int, int]] = {}
        self.violation: str = ""
        self.failing_disk: Process | None = None
        self.forgetful: dict[str, str] = {}
        """Whose disk has lost what it may have acknowledged, under which uuid; until another is named."""
        self.acknowledged: dict[tuple[str, str], int] = {}
        """How far a leader has heard that a storage, by node and uuid, has come."""
        self.outcomes, self.kites = OneOutcome(), Kites()
        self._heard = LeadersAreHeard(shape.voters, 2 * shape.election_ticks[0] * shape.tick * 1.06 + 0.05)
        self.store = Store(self) if plan.whole else None
        self.clients = self._clients()
        self.mischief = Mischief(self, plan.faults)

    def _clients(self) -> dict[str, Shopper]:
        if self.store is not None:
            return {customer.id: customer for customer in self.store.customers}
        names = [f"front-{n}" for n in range(1, self.plan.shape.fronts + 1)]
        return {name: Shopper(self, name) for name in names}

    @property
    def front_ends(self) -> list[str]:
        """The names by which clients are known on the network."""
        return [f"front-{n}" for n in range(1, self.plan.shape.fronts + 1)]

    # Disks

    def _write_seconds(self, name: str) -> Callable[[], float]:
        usual, slow = (self.plan.stream(f"disk/{name}/{kind}") for kind in ("usual", "slow"))

        def seconds() -> float:
            taken = usual.uniform(0.0005, 0.003)
            for who, share, by in self._slow:
                if who in (ANYONE, name) and slow.random() < share:
                    taken += by * slow.random()
            return taken

        return seconds

    def _latency(self, write_seconds: Callable[[], float], work: Work) -> float:
        return write_seconds() if work == "save" else 0.0 if work == "read" else 0.0001

    def slow_writes(self, who: str, share: float, by: float) -> End:
        """Of that node, or of all: this share takes up to `by` seconds longer."""
        slow = (who, share, by)
        self._slow.append(slow)
        return lambda: self._slow.remove(slow)

    # The network

    def _overheard(self, message: Message) -> Sequence[float]:
        self.rules.sent(message)
        delays = self.links.fate(message)
        if isinstance(message, Ask) and self.rules.views.present is not None:
            self._asked = max(self._asked, (self.rules.views.present.generation, message.version))
        moment = moment_of(message)
        if moment:
            self.mischief.at(moment, message.sender)
        arrives = "an acknowledgement arrives"
        if isinstance(message, AppendReply) and not message.rejected and delays and self.mischief.awaits(arrives):
            self.clock.callLater(delays[0], self.mischief.at, arrives, message.to)
        if self._messages is not None:
            self._messages(self.timeline.now, message, delays)
        return delays

    # The trace

    def note(self, what: str) -> None:
        """A line of the trace. The same plan gives the same lines, in any process."""
        line = f"{self.timeline.now:10.6f} {what}"
        self._hash.update(line.encode() + b"\n")
        if self._trace is not None:
            self._trace(line)

    @property
    def trace_hash(self) -> str:
        return self._hash.hexdigest()

    def check(self, demand: Callable[..., object], *arguments: object) -> bool:
        """Have a checker look; what it finds ends the run, wherever it was found."""
        try:
            return bool(demand(*arguments))
        except Violation as violation:
            self.violate(str(violation))
            return False

    def violate(self, what: str) -> None:
        if not self.violation:
            self.violation = what
            self.note(f"VIOLATION {what}")

    # Watching

    def open_storage(self, process: Process) -> MemoryStorage:
        return WatchedStorage(self, process)

    def started(self, process: Process) -> None:
        node = process.replica.node
        self._seen[process.id] = (False, node.hard_state.term, node.log.applied)
        self.rules.started(process)
        if self.store is not None:
            self.store.started(process)
        self.note(f"{process.id} is up, storage {node.uuid}, log {node.log.base_index}..{node.log.last_index}")

    def seen(self, process: Process) -> None:
        node = process.replica.node
        led, term, commit = self._seen[process.id]
        leads = node.leadership is not None
        if leads and not (led and term == node.hard_state.term):
            self._new_leader(process)
        elif led and not leads:
            self.note(f"{process.id} leads no more")
        if leads and self.registrar is None and not process.stopping:
            since = max(process.led_since, process.clock.runs_since)
            self.check(self._heard.leads, process.id, since, self.timeline.now)
        if node.log.commit > commit:
            for index in range(commit + 1, node.log.commit + 1):
                entry_term = node.log.term_at(index)
                if entry_term is not None:
                    self._new_commit(process, index, entry_term)
            commit = node.log.commit
        self._seen[process.id] = (leads, node.hard_state.term, commit)
        self.rules.seen(process)

    def _new_leader(self, process: Process) -> None:
        log, term = process.replica.node.log, process.replica.term()
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

    def _new_commit(self, process: Process, index: int, term: int) -> None:
        during = process.replica.term()
        if self.check(self.committed.committed, process.id, index, term, during):
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
        self.rules.commits(process, index, term)

    def _has_forgotten(self, process: Process) -> bool:
        """It may have acknowledged what is not on its disk any more, and its acknowledgement may still be under way."""
        uuid = self.forgetful.get(process.id)
        if uuid is not None and uuid != process.disk.uuid and self.counts(process):
            del self.forgetful[process.id]
            uuid = None
        return uuid is not None

    def applied(self, process: Process, rows: Sequence[Applied]) -> None:
        self.rules.applied(process, rows[0].index, rows[-1].index)
        for row in rows:
            digest = process.disk.state.digest_at(row.index)
            assert digest is not None
            self.check(self._digests.applied, process.id, row.index, digest)
            if row.request_id is not None and row.outcome is not None:
                self.check(self.outcomes.applied, process.id, row.index, row.request_id, row.outcome)
        if self.store is not None:
            self.store.applied(rows)
        self.note(f"{process.id} applies {rows[0].index}..{rows[-1].index} {digest.hex()[:8] if digest else None}")
        self.mischief.at("something is applied", process.id)

    def saving(self, process: Process, entries: Sequence[Entry]) -> None:
        self.rules.saves(process, entries)
        state = process.disk.state
        first = entries[0].index
        if first <= state.last_index():
            self.tally["truncations"] += 1
            self.note(f"{process.id} drops {first}..{state.last_index()}")
            self.mischief.at("entries are dropped", process.id)
        kept = first - 1 - state.base_index
        previous = state.entries[kept - 1].term if kept > 0 else state.base_term
        for entry in entries:
            self.check(self._log_matching.saved, process.id, entry, previous)
            previous = entry.term

    def installed(self, process: Process, info: SpoolInfo) -> None:
        self.tally["snapshots"] += 1
        self.tally["partial snapshots"] += info.since > 0
        self.note(f"{process.id} installs what changed since {info.since}, as of {info.meta.index}")
        self.check(self._digests.applied, process.id, info.meta.index, process.disk.state.head.digest)
        self.rules.installed(process, info.meta.index)
        self.mischief.at("a snapshot is installed", process.id)

    def arrives(self, process: Process, messages: Sequence[Message]) -> None:
        """It hears these now, and is not paused."""
        for message in messages:
            if isinstance(message, AppendReply | HeartbeatReply) and message.sender in self.config.voters:
                self._heard.answered(process.id, message.sender, self.timeline.now)
                if isinstance(message, AppendReply) and not message.rejected and process.leads:
                    place = message.sender, message.uuid
                    self.acknowledged[place] = max(self.acknowledged.get(place, 0), message.match)

    def ended(self, process: Process, clock: VirtualClock) -> None:
        """A process may end itself only where its disk has failed."""
        if clock.ended or process.clock is not clock:
            return
        if process is self.failing_disk and self._disk_has_failed():
            self.failing_disk = None
            why = "rotten rows" if process.disk.condemned else "failed syncs"
            self.tally[why] += 1
            self.kill(process, 0, why)
            self.clock.callLater(0.1, self.start, process)
        else:
            reason = process.failure.getTraceback() if process.failure else "?"
            self.violate(f"{process.id} has ended itself: {reason}")

    def log_failure(self, failure: Failure) -> None:
        """Nothing may go wrong unnoticed: a failure in the program's own log is a failure of the run."""
        if not self._disk_has_failed():
            self.violate(f"a failure was logged: {failure.getTraceback()}")

    def _disk_has_failed(self) -> bool:
        disk = None if self.failing_disk is None else self.failing_disk.disk
        return disk is not None and (not disk.uuid or disk.condemned)

    # What mischief does

    def kill(self, process: Process, keep: int, how: str) -> None:
        self.tally["crashes"] += 1
        self.note(f"{process.id} dies, {how}")
        self._kill(process, keep)

    def _kill(self, process: Process, keep: int = 0) -> None:
        self.rules.killed(process)
        process.kill(keep)
        if self.store is not None:
            self.store.died(process)

    def start(self, process: Process) -> None:
        if process.ended:
            process.boot()

    def stop(self, process: Process, patience: float) -> None:
        """SIGTERM; whoever has not ended when its time is up is killed."""
        self.note(f"{process.id} is told to stop")
        self.tally["stops"] += 1
        process.stopping, clock = True, process.clock

        def over(_: object = None) -> None:
            if process.clock is clock and not clock.ended:
                self.note(f"{process.id} stops")
                self._kill(process)

        if self.store is not None:
            self.store.stops(process)
        Deferred.fromCoroutine(process.replica.stop()).addBoth(over)
        self.clock.callLater(patience, over)

    def may_forget(self, process: Process) -> bool:
        """See `faults`: what a disk may forget."""
        return self.failing_disk is None and all(map(self.counts, self.voters)) and not self._change_under_way()

    def counts(self, process: Process) -> bool:
        """Is its disk one that all know to have everything?"""
        if self.registrar is None:
            return named_on_disk(process)
        view = self.rules.views.present
        return view is not None and view.in_sync.get(process.id) == process.disk.uuid

    def _change_under_way(self) -> bool:
        """A leader may have asked for a change of the present view, or the register does not have it any more."""
        if self.registrar is None or self.rules.views.present is None:
            return False
        return self._asked >= self.rules.views.present.place or self.registrar.store.view != self.rules.views.present

    def all_remember(self) -> bool:
        """Everyone has the latest view on disk, and none is on its way."""
        known = all(voter.up and voter.disk.hard_state.view == self.rules.views.present for voter in self.voters)
        return known and all(map(self.may_forget, self.voters)) and self.registrar_rests()

    def nobody_knows_yet(self) -> bool:
        """The register has stored a view, and everyone has the one before on disk."""
        before = self.rules.views.before
        known = before is not None and all(voter.up and voter.disk.hard_state.view == before for voter in self.voters)
        return known and self.failing_disk is None and all(map(self._was_in_sync, self.voters)) and self.registrar_rests()

    def _was_in_sync(self, process: Process) -> bool:
        before = self.rules.views.before
        return before is not None and before.in_sync.get(process.id, process.disk.uuid) == process.disk.uuid

    def registrar_rests(self) -> bool:
        return self.registrar is not None and not self.registrar.writing

    def stored(self, view: View) -> None:
        before = self.rules.views.present
        self.note(f"the register stores {view}")
        self.tally["views"] += 1
        self.rules.stored(view)
        if self.failing_disk is not None and set(view.in_sync) == {self.failing_disk.id}:
            self.failing_disk.disk.heal()  # the only one in sync keeps its disk: see `faults`
            self.failing_disk.disk.mend()
            self.failing_disk = None
        self.mischief.at("a view is stored", view.leader)
        if before is not None:
            for node in view.in_sync.keys() - before.in_sync.keys():
                self.tally["joins"] += 1
                self.mischief.at("somebody joins", node)
            for node in before.in_sync.keys() - view.in_sync.keys():
                self.tally["drops"] += 1
                self.mischief.at("somebody is dropped", node)

    def start_register(self) -> None:
        if self.registrar is not None and not self.registrar.up:
            self.registrar.boot()

    def all_is_well(self) -> bool:
        leader = self.leader()
        return (
            leader is not None
            and leader.replica.node.leadership is not None
            and leader.replica.node.leadership.serves
            and self.config.hand_over_ticks is None
            and self.may_forget(leader)
            and self.mischief.nothing_lasts
            and all(p.up and not p.clock.paused and not p.disk.full and not p.disk.stalled for p in self.voters)
        )

    # The run

    def play(self) -> None:
        """Raises `Failed`."""
        observer = FailuresObserver(self.log_failure)
        globalLogPublisher.addObserver(observer)
        try:
            self._play()
        finally:
            globalLogPublisher.removeObserver(observer)

    def _play(self) -> None:
        self.note(str(self.plan.shape))
        self.boot()
        if self.store is not None:
            self.store.boot()
        for client in self.clients.values():
            client.open()
        load = (self.store or self.clients["front-1"]).leader.submit(Request("catalog", self._catalog()), 60.0)
        load.addCallback(lambda _: self._open_shop())
        self._advance(lambda: self.timeline.now >= self.plan.seconds, self.plan.seconds + 0.1)
        self._heal()
        self._advance(self._at_rest, REST)
        self._check_rest()
        self.tally["seconds"] = round(self.timeline.now)

    def _catalog(self) -> LoadCatalog:
        """Each client has a kite, which it adjusts and nobody orders."""
        toys = [CatalogRow(name, 1_000 + number, self.plan.shape.stock) for number, name in enumerate(NAMES)]
        return LoadCatalog((*toys, *(CatalogRow(client.kite, 1, 0) for client in self.clients.values())))

    def _open_shop(self) -> None:
        for client in self.clients.values():
            client.begin()
        self.mischief.begin()

    def _advance(self, holds: Callable[[], bool], within: float) -> None:
        end = self.timeline.now + within
        look = self.timeline.now
        while True:
            if self.timeline.now >= look:
                if holds():
                    return
                look = self.timeline.now + 0.1
            more = self.timeline.advance(end)
            if self.violation:
                raise self._failed(self.violation)
            if not more and not holds():
                raise self._failed(f"not at rest {within} s after everything was healed: {self._unrest()}")

    def _failed(self, what: str) -> Failed:
        return Failed(self.plan, self.timeline.now, what)

    def _heal(self) -> None:
        self.note("everything is healed")
        self.mischief.heal()
        self.links.calm()
        self.failing_disk = None
        for process in self.processes.values():
            process.disk.heal()
            process.disk.mend()
            if process.ended:
                process.boot()
            else:
                process.clock.resume()
                process.release()
        if self.registrar is not None:
            self.start_register()
            self.registrar.clock.resume()
        if self.store is not None:
            self.store.heal()
        for client in self.clients.values():
            client.close_shop()

    def _unrest(self) -> str:
        """What is not as it should be, "" if all is."""
        leader = self.leader()
        if leader is None:
            return "nobody leads"
        for process in self.processes.values():
            if not process.up:
                return f"{process.id} is down"
            node, lead = process.replica.node, leader.replica.node
            if node.leader != leader.id or node.log.applied != lead.log.last_index:
                return f"{process.id} follows {node.leader} at {node.log.applied} of {lead.log.last_index}"
            if process in self.voters and not node.named:
                return f"{process.id} is not named"
        waiting = [f"{client.id} waits for {client.waits_for()}" for client in self.clients.values() if client.waits_for()]
        return "; ".join(waiting)

    def _at_rest(self) -> bool:
        return not self._unrest()

    def _check_rest(self) -> None:
        hashes: dict[str, str] = {}
        states = []
        for process in self.processes.values():
            index = process.replica.node.log.applied
            process.replica.state_hash(index).addCallback(partial(hashes.__setitem__, process.id))
            process.replica.read(everything).addCallback(lambda read: states.append(read[0]))
        self._advance(lambda: len(states) == len(hashes) == len(self.processes), 1.0)
        if len(set(hashes.values())) != 1:
            self.violate(f"the states differ: {hashes}")
        orders, products, changes = states[0]
        self.check(self.orders.ledger, orders)
        self.check(check_times, orders)
        ordered = [product for product in products if product.name not in kites(products)]
        self.check(check_stock, dict.fromkeys(NAMES, self.plan.shape.stock), orders, ordered, changes)
        if not self.plan.shape.restock:
            self.check(self.kites.stock, kites(products))
        if self.store is not None:
            self.store.at_rest()
        self.tally["orders"] += len(orders)
        if self.violation:
            raise self._failed(self.violation)
        self.note(f"at rest, {len(orders)} orders, state {hashes[self.voters[0].id][:16]}")
