"""One run: a cluster, its clients, the faults of its plan, and the checkers that watch all of it. First safety while things
go wrong; then everything is healed, and the cluster must come to rest with every question answered.

What is watched is what is promised: what goes to the disks and comes from the ledgers (`watch`), who leads and what is
committed after each turn of a process (`witness`), what clients are told. What may go wrong is on the `stage`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

import tests.simulation.faults
import tests.simulation.store_faults  # noqa: F401  (both fill the catalogue)
from tests.simulation.checkers import Orders, check_stock
from tests.simulation.clock import VirtualClock
from tests.simulation.cluster import Cluster, Process
from tests.simulation.mischief import Mischief
from tests.simulation.plan import Plan
from tests.simulation.promises import Kites, OneOutcome, check_times, kites
from tests.simulation.shoppers import Shopper
from tests.simulation.stage import REST, Stage
from tests.simulation.store import Store
from tests.simulation.watch import FailuresObserver, WatchedStorage, everything
from tests.simulation.witness import Messages, Trace
from toystore.consensus.messages import AppendReply, HeartbeatReply, Message
from toystore.model import CatalogRow, LoadCatalog, Request
from toystore.storage.interface import Applied
from toystore.storage.memory import MemoryStorage, Work

NAMES = ("Tux", "Fox", "Lego", "Whale")
"""What is ordered."""


class World(Stage, Cluster):
    """The production loop, ledger and clients; where the plan says so, the whole store."""

    def __init__(self, plan: Plan, trace: Trace | None = None, messages: Messages | None = None) -> None:
        Stage.__init__(self, plan, trace, messages)
        self._hash = hashlib.sha256()
        shape = plan.shape
        Cluster.__init__(
            self,
            shape.voters,
            shape.learners,
            config=shape.config(plan.election),
            pace=shape.pace(),
            fate=self._overheard,
            streams=plan.stream,
        )
        skew = plan.stream("skew")
        for process in self.processes.values():
            self.skew[process.id] = skew.uniform(-5, 5)
            process.disk.latency = partial(self._latency, process.id, self.write_seconds(process.id))
        if self.registrar is not None:
            self.registrar.latency = self.write_seconds("register")
        self.orders, self.outcomes, self.kites = Orders(), OneOutcome(), Kites()
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

    def _latency(self, node: str, write_seconds: Callable[[], float], work: Work) -> float:
        return write_seconds() if work == "save" else 0.0 if work == "read" else self.apply_seconds(node)

    def _overheard(self, message: Message) -> Sequence[float]:
        self.rules.sent(message)
        delays = self.links.fate(message)
        self.leaves(message, delays)
        return delays

    # The trace

    def note(self, what: str) -> None:
        """A line of the trace. The same plan gives the same lines, in any process."""
        line = self._line(what)
        self._hash.update(line.encode() + b"\n")
        if self._trace is not None:
            self._trace(line)

    @property
    def fingerprint(self) -> str:
        """Of all that happened."""
        return self._hash.hexdigest()

    # Watching

    def open_storage(self, process: Process) -> MemoryStorage:
        return WatchedStorage(self, process)

    def started(self, process: Process) -> None:
        super().started(process)
        if self.store is not None:
            self.store.started(process)

    def seen(self, process: Process) -> None:
        led = process.led
        super().seen(process)
        if led and process.led:
            self.leads_on(process)

    def applied(self, process: Process, rows: Sequence[Applied]) -> None:
        digests = [(row.index, process.disk.state.digest_at(row.index)) for row in rows]
        assert all(digest is not None for _, digest in digests)
        self.has_applied(process, digests)
        for row in rows:
            if row.request_id is not None and row.outcome is not None:
                self.check(self.outcomes.applied, process.id, row.index, row.request_id, row.outcome)
        if self.store is not None:
            self.store.applied(rows)
        last, digest = digests[-1]
        self.note(f"{process.id} applies {rows[0].index}..{last} {digest.hex()[:8]}")

    def arrives(self, process: Process, messages: Sequence[Message]) -> None:
        for message in messages:
            if isinstance(message, AppendReply | HeartbeatReply):
                self.answer_arrives(process, message)

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

    def end(self, process: Process, keep: int = 0) -> None:
        super().end(process, keep)
        if self.store is not None:
            self.store.died(process)

    def stop(self, process: Process, patience: float) -> None:
        """SIGTERM; whoever has not ended when its time is up is killed."""
        self.note(f"{process.id} is told to stop")
        self.tally["stops"] += 1
        process.stopping, clock = True, process.clock

        def over(_: object = None) -> None:
            if process.clock is clock and not clock.ended:
                self.note(f"{process.id} stops")
                self.end(process)

        if self.store is not None:
            self.store.stops(process)
        Deferred.fromCoroutine(process.replica.stop()).addBoth(over)
        self.clock.callLater(patience, over)

    def may_forget(self) -> bool:
        """A disk on which rot was found is gone, although it still has its name until it is opened."""
        return super().may_forget() and not any(voter.disk.condemned for voter in self.voters)

    def all_remember(self) -> bool:
        """Everyone has the latest view on disk, and none is on its way."""
        known = all(voter.up and voter.disk.hard_state.view == self.rules.views.present for voter in self.voters)
        return known and self.may_forget() and self.register_rests()

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
        self.heal()
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
                raise self.failed(self.violation)
            if not more and not holds():
                raise self.failed(f"not at rest {within} s after everything was healed: {self.unrest()}")

    def heal(self) -> None:
        super().heal()
        if self.store is not None:
            self.store.heal()
        for client in self.clients.values():
            client.close_shop()

    def _at_rest(self) -> bool:
        return not self.unrest()

    def _check_rest(self) -> None:
        hashes: dict[str, str] = {}
        states = []
        for process in self.processes.values():
            index = process.node.log.applied
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
            raise self.failed(self.violation)
        self.note(f"at rest, {len(orders)} orders, state {hashes[self.voters[0].id][:16]}")
