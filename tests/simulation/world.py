"""One run: a cluster, its clients, its faults, and the checkers that watch all of it. First safety while things go wrong;
then everything is healed, and the cluster must come to rest with every question answered.

What is watched is what is promised: what goes to the disks and comes from the ledgers (`watch`), who leads and
what is committed after each turn of a process, what clients are told.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from tests.simulation.checkers import (
    CommittedForEver,
    Durable,
    EqualDigests,
    FreshReads,
    LogMatching,
    OneLeaderATerm,
    Orders,
    Views,
    Violation,
    check_stock,
)
from tests.simulation.clock import VirtualClock
from tests.simulation.cluster import Cluster, Process
from tests.simulation.faults import Faults, Mischief
from tests.simulation.network import Links
from tests.simulation.shape import drawn_config, drawn_pace
from tests.simulation.shoppers import Shopper
from tests.simulation.watch import (
    FailuresObserver,
    WatchedStorage,
    everything,
    holds_on_disk,
    named_on_disk,
    renames,
)
from toystore.consensus.messages import Ask, Entry, Message
from toystore.consensus.views import View
from toystore.model import CatalogRow, LoadCatalog, Request
from toystore.storage.interface import Applied, SpoolInfo
from toystore.storage.memory import MemoryStorage, Work

CATALOG = tuple(CatalogRow(name, 1_000 + number, 60) for number, name in enumerate(("Tux", "Fox", "Lego", "Whale")))

FAULTY = 5.0
"""Seconds for which things go wrong."""

REST = 15.0
"""Seconds in which a healed cluster must have come to rest."""


class Failed(AssertionError):
    """A run in which a promise was broken; says how to repeat it."""


class World(Cluster):
    def __init__(
        self,
        seed: int,
        without: tuple[str, ...] = (),
        trace: Callable[[str], None] | None = None,
        election: str = "raft",
    ) -> None:
        self.seed = seed
        self._without, self._trace, self._election = without, trace, election
        self._hash = hashlib.sha256()
        self.tally: Counter[str] = Counter()
        random = self._stream("shape")
        self.faults = Faults.drawn(self._stream, (*without, "lie") if election == "appointed" else without)
        faults = self.faults
        self.links = Links(self._stream, faults.loss, faults.repeat, faults.late, random.uniform(0.05, 0.5))
        voters = random.choice((3, 3, 5))
        super().__init__(
            voters,
            random.randint(0, 2),
            config=drawn_config(random, election),
            pace=drawn_pace(random),
            fate=self.links.fate,
            streams=self._stream,
        )
        for process in self.processes.values():
            self.skew[process.id] = random.uniform(-5, 5)
            process.disk.latency = self._latency(process)
        self._leaders, self._log_matching = OneLeaderATerm(), LogMatching()
        self._committed, self._durable = CommittedForEver(), Durable(voters)
        self._digests, self.reads, self.orders = EqualDigests(), FreshReads(), Orders()
        self.views = Views()
        self._asked: tuple[int, int] = (0, 0)
        """The highest version of which any leader has asked for a change, with the generation."""
        if self.registrar is not None:
            self.registrar.latency = self._register_latency()
            self.network.fate = self._overheard
        self._seen: dict[str, tuple[bool, int, int]] = {}
        self.violation: str = ""
        self.failing_disk: Process | None = None
        self.forgetful: dict[str, str] = {}
        """Whose disk has lost what it may have acknowledged, under which uuid; until another is named."""
        self._healed = False
        self.clients = {f"front-{n}": Shopper(self, f"front-{n}") for n in range(1, random.randint(2, 4))}
        self.mischief = Mischief(self, self._stream)

    def _stream(self, name: str) -> Random:
        return Random(f"{self.seed}/{name}")

    def _latency(self, process: Process) -> Callable[[Work], float]:
        usual, slow = (self._stream(f"disk/{process.id}/{kind}") for kind in ("usual", "slow"))

        def latency(work: Work) -> float:
            if work == "read":
                return 0.0
            seconds = usual.uniform(0.0005, 0.003) if work == "save" else 0.0001
            if slow.random() < self.faults.slow_disk and not self.links.calm:
                seconds += slow.uniform(0.005, 0.3)
            return seconds

        return latency

    def _register_latency(self) -> Callable[[], float]:
        usual, slow = (self._stream(f"disk/register/{kind}") for kind in ("usual", "slow"))

        def latency() -> float:
            seconds = usual.uniform(0.0005, 0.003)
            if slow.random() < self.faults.slow_disk and not self.links.calm:
                seconds += slow.uniform(0.005, 0.3)
            return seconds

        return latency

    def _overheard(self, message: Message) -> list[float]:
        if isinstance(message, Ask) and self.views.present is not None:
            self._asked = max(self._asked, (self.views.present.generation, message.version))
        return self.links.fate(message)

    # The trace

    def show_messages(self, show: Callable[[str], None]) -> None:
        """Each message as it is sent, and how long its copies take; not part of the trace that is compared."""

        carry = self.network.fate

        def fate(message: Message) -> list[float]:
            delays = carry(message)
            way = ", ".join(f"{delay:.4f} s" for delay in delays) or "lost"
            show(f"{self.timeline.now:10.6f}     {message} ({way})")
            return delays

        self.network.fate = fate

    def note(self, what: str) -> None:
        """A line of the trace. The same seed gives the same lines, in any process."""
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
        self.note(f"{process.id} is up, storage {node.uuid}, log {node.log.base_index}..{node.log.last_index}")

    def seen(self, process: Process) -> None:
        node = process.replica.node
        led, term, commit = self._seen[process.id]
        leads = node.leadership is not None
        if leads and not (led and term == node.hard_state.term):
            self._new_leader(process)
        elif led and not leads:
            self.note(f"{process.id} leads no more")
        for index in range(commit + 1, node.log.commit + 1):
            entry_term = node.log.term_at(index)
            if entry_term is not None:
                self._new_commit(process, index, entry_term)
        self._seen[process.id] = (leads, node.hard_state.term, max(commit, node.log.commit))

    def _new_leader(self, process: Process) -> None:
        log, term = process.replica.node.log, process.replica.term()
        self.tally["elections"] += 1
        self.note(f"{process.id} leads in term {term}, log {log.base_index}..{log.last_index}")
        self.check(self._leaders.leads, term, process.id)
        if self.registrar is not None:
            self.check(self.views.leads, process.id, term)
        terms = [log.term_at(index) for index in range(log.base_index, log.last_index + 1)]
        self.check(self._committed.leads, process.id, term, log.base_index, terms)

    def _new_commit(self, process: Process, index: int, term: int) -> None:
        during = process.replica.term()
        if self.check(self._committed.committed, process.id, index, term, during):
            self.tally["commits"] += 1
            self.tally["renames"] += renames(process, index)
            holders = [voter.id for voter in self.voters if holds_on_disk(voter, index, term) or self._has_forgotten(voter)]
            if self.registrar is None:
                self.check(self._durable.committed, index, holders)
            else:
                disks = {voter.id: voter.disk.uuid for voter in self.voters}
                self.check(self.views.committed, index, disks, holders)
            self.note(f"{process.id} commits {index} of term {term}: {' '.join(holders)}")

    def _has_forgotten(self, process: Process) -> bool:
        """It may have acknowledged what is not on its disk any more, and its acknowledgement may still be under way."""
        uuid = self.forgetful.get(process.id)
        if uuid is not None and uuid != process.disk.uuid and self.counts(process):
            del self.forgetful[process.id]
            uuid = None
        return uuid is not None

    def applied(self, process: Process, rows: Sequence[Applied]) -> None:
        for row in rows:
            digest = process.disk.state.digest_at(row.index)
            assert digest is not None
            self.check(self._digests.applied, process.id, row.index, digest)
        self.note(f"{process.id} applies {rows[0].index}..{rows[-1].index} {digest.hex()[:8] if digest else None}")

    def saving(self, process: Process, entries: Sequence[Entry]) -> None:
        state = process.disk.state
        first = entries[0].index
        if first <= state.last_index():
            self.tally["truncations"] += 1
            self.note(f"{process.id} drops {first}..{state.last_index()}")
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

    def ended(self, process: Process, clock: VirtualClock) -> None:
        """A process may end itself only where its disk has failed."""
        if clock.ended or process.clock is not clock:
            return
        if process is self.failing_disk and not process.disk.uuid:
            self.failing_disk = None
            self.tally["failed syncs"] += 1
            self.kill(process, False, "a sync failed")
            self.clock.callLater(0.1, self.start, process)
        else:
            reason = process.failure.getTraceback() if process.failure else "?"
            self.violate(f"{process.id} has ended itself: {reason}")

    def log_failure(self, failure: Failure) -> None:
        """Nothing may go wrong unnoticed: a failure in the program's own log is a failure of the run."""
        expected = self.failing_disk is not None and not self.failing_disk.disk.uuid
        if not expected:
            self.violate(f"a failure was logged: {failure.getTraceback()}")

    # What mischief does

    def kill(self, process: Process, keep: bool, how: str) -> None:
        self.tally["crashes"] += 1
        self.note(f"{process.id} dies {how}")
        process.kill(keep)

    def start(self, process: Process) -> None:
        if process.ended:
            process.boot()

    def stop(self, process: Process) -> None:
        """SIGTERM; whoever has not ended when its time is up is killed."""
        self.note(f"{process.id} is told to stop")
        self.tally["stops"] += 1
        clock = process.clock

        def over(_: object = None) -> None:
            if process.clock is clock and not clock.ended:
                self.note(f"{process.id} stops")
                process.kill()

        Deferred.fromCoroutine(process.replica.stop()).addBoth(over)
        self.clock.callLater(1.5, over)

    def may_forget(self, process: Process) -> bool:
        """See `faults`: what a disk may forget."""
        return self.failing_disk is None and all(map(self.counts, self.voters)) and not self._change_under_way()

    def counts(self, process: Process) -> bool:
        """Is its disk one that all know to have everything?"""
        if self.registrar is None:
            return named_on_disk(process)
        view = self.views.present
        return view is not None and view.in_sync.get(process.id) == process.disk.uuid

    def _change_under_way(self) -> bool:
        """A leader may have asked for a change of the present view, or the register does not have it any more."""
        if self.registrar is None or self.views.present is None:
            return False
        return self._asked >= self.views.present.place or self.registrar.store.view != self.views.present

    def all_remember(self) -> bool:
        """Everyone has the latest view on disk, and none is on its way."""
        known = all(voter.up and voter.disk.hard_state.view == self.views.present for voter in self.voters)
        return known and all(map(self.may_forget, self.voters)) and self.registrar_rests()

    def registrar_rests(self) -> bool:
        return self.registrar is not None and not self.registrar.writing

    def stored(self, view: View) -> None:
        before = self.views.present
        self.note(f"the register stores {view}")
        self.tally["views"] += 1
        if before is not None:
            self.tally["joins"] += len(view.in_sync.keys() - before.in_sync.keys())
            self.tally["drops"] += len(before.in_sync.keys() - view.in_sync.keys())
        self.check(self.views.stored, view)
        if self.failing_disk is not None and set(view.in_sync) == {self.failing_disk.id}:
            self.failing_disk.disk.heal()  # the only one in sync keeps its disk: see `faults`
            self.failing_disk = None

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
        self.note(f"{len(self.voters)} voters, {len(self.config.learners)} learners; {self.faults}")
        self.boot()
        for client in self.clients.values():
            client.open()
        load = self.clients["front-1"].leader.submit(Request("catalog", LoadCatalog(CATALOG)), 60.0)
        load.addCallback(lambda _: self._open_shop())
        long = 14.0 if self.faults.sleep else FAULTY
        self._advance(lambda: self.timeline.now >= long, long + 0.1)
        self._heal()
        self._advance(self._at_rest, REST)
        self._check_rest()

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
        without = "".join(f" --without {name}" for name in self._without)
        election = f" --election {self._election}" if self._election != "raft" else ""
        return Failed(
            f"seed {self.seed}, at {self.timeline.now:.6f} s: {what}\n"
            f"To repeat it: python -m tests.simulation {self.seed} --trace{without}{election}"
        )

    def _heal(self) -> None:
        self.note("everything is healed")
        self.mischief.over = self.links.calm = self._healed = True
        self.failing_disk = None
        for process in self.processes.values():
            process.disk.heal()
            if process.ended:
                process.boot()
            else:
                process.clock.resume()
                process.release()
        if self.registrar is not None:
            self.start_register()
            self.registrar.clock.resume()
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
        orders, products = states[0]
        self.check(self.orders.ledger, orders)
        self.check(check_stock, {row.name: row.quantity for row in CATALOG}, orders, products)
        self.tally["orders"] += len(orders)
        if self.violation:
            raise self._failed(self.violation)
        self.note(f"at rest, {len(orders)} orders, state {hashes[self.voters[0].id][:16]}")
