"""One run of the core: its replicas, the register, clients, the faults of a plan, and the checkers that watch all of it.

As `simulation.world`, by the same names where `simulation.faults` and `simulation.mischief` use them, so that a fault is the
same thing in both. What is not here: ledger, wire format, the loop of the replicator.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence

from attrs import evolve

import tests.simulation.faults  # noqa: F401  (fills the catalogue)
from tests.core.disk import Disk
from tests.core.points import NOT_OF_THE_CORE
from tests.core.process import Process
from tests.core.proposers import Proposer
from tests.core.registrar import REGISTRAR, Registrar
from tests.core.snapshots import Part, PartReply
from tests.core.watching import Watched
from tests.simulation.checkers import (
    Violation,
)
from tests.simulation.mischief import End, Mischief
from tests.simulation.network import Links
from tests.simulation.plan import ANYONE, Plan
from tests.simulation.world import REST, Failed
from toystore.consensus.messages import (
    Append,
    AppendReply,
    Ask,
    Heartbeat,
    Message,
    Ping,
    TimeoutNow,
    Vote,
    VoteReply,
)

ARRIVES = "an acknowledgement arrives"
SENT = {
    AppendReply: "entries are acknowledged",
    Vote: "a vote is asked for",
    VoteReply: "a vote is sent",
    Ask: "a change is asked for",
    TimeoutNow: "leadership is handed over",
    Part: "a snapshot is sent",
}
"""The moment at which a message leaves."""
OF_OFFICES = {Append, Heartbeat, Ask, Ping}
"""Where leaders are appointed: what only a leader, or the register, sends."""


class CoreWorld(Watched):
    """`trace` is given each line of what happens, and `messages` each message as it is sent."""

    def __init__(
        self,
        plan: Plan,
        trace: Callable[[str], None] | None = None,
        messages: Callable[[float, Message, Sequence[float]], None] | None = None,
    ) -> None:
        super().__init__(plan, trace)
        self._messages = messages
        self.clock = self.timeline
        shape = plan.shape
        voters = tuple(f"order-{n}" for n in range(1, shape.voters + 1))
        learners = tuple(f"catalog-{n}" for n in range(1, shape.learners + 1))
        appointed = plan.election == "appointed"
        self.config = evolve(
            shape.config(plan.election), voters=voters, learners=learners, register=REGISTRAR if appointed else None
        )
        self.parts = 1 + 4_000 // shape.snapshot_chunk
        """Of a snapshot."""
        self.links = Links(plan.stream, lambda: self.timeline.now)
        self._slow: list[tuple[str, float, float]] = []
        self.processes = {
            node: Process(self, node, Disk(_uuids(node), self._save_seconds(node))) for node in (*voters, *learners)
        }
        self.voters = [self.processes[node] for node in voters]
        self.registrar = Registrar(self, self._save_seconds("register")) if appointed else None
        self.between: Process | None = None
        self.skew: dict[str, float] = {}
        self._asked = (0, 0)
        self.clients = {f"front-{n}": Proposer(self, f"front-{n}") for n in range(1, shape.fronts + 1)}
        self.mischief = Mischief(self, plan.without(*NOT_OF_THE_CORE).faults)

    @property
    def front_ends(self) -> list[str]:
        """The names of the clients."""
        return list(self.clients)

    # Disks

    def _save_seconds(self, name: str) -> Callable[[], float]:
        usual, slow = (self.plan.stream(f"disk/{name}/{kind}") for kind in ("usual", "slow"))

        def seconds() -> float:
            taken = 0.0005 + 0.0025 * usual.random()
            for who, share, by in self._slow:
                if who in (ANYONE, name) and slow.random() < share:
                    taken += by * slow.random()
            return taken

        return seconds

    def slow_writes(self, who: str, share: float, by: float) -> End:
        slow = (who, share, by)
        self._slow.append(slow)
        return lambda: self._slow.remove(slow)

    # The network

    def carry(self, sender: Process | Registrar, message: Message) -> None:
        kind = type(message)
        if kind in OF_OFFICES and self.registrar is not None:
            self.rules.sent(message)
        if kind is not Part and kind is not PartReply and isinstance(sender, Process):
            self.reveals(sender, message)
        delays = self.links.fate(message)
        moment = SENT.get(kind)
        if moment is not None:
            self._leaves(moment, message, delays)
        if self._messages is not None:
            self._messages(self.timeline.now, message, delays)
        to = self.processes.get(message.to) or self.registrar
        for delay in delays:
            self.timeline.callLater(delay, to.arrive, message)  # type: ignore[union-attr]

    def _leaves(self, moment: str, message: Message, delays: Sequence[float]) -> None:
        if isinstance(message, AppendReply):
            if message.rejected:
                return
            if delays and self.mischief.awaits(ARRIVES):
                self.timeline.callLater(delays[0], self.mischief.at, ARRIVES, message.to)
        elif isinstance(message, VoteReply):
            if message.pre or not message.granted:
                return
        elif isinstance(message, Ask) and self.rules.views.present is not None:
            self._asked = max(self._asked, (self.rules.views.present.generation, message.version))
        self.mischief.at(moment, message.sender)

    def refused(self, message: Message) -> None:
        """Nobody listens where it has come to, as a refused connection says."""
        sender = self.processes.get(message.sender) or self.registrar
        if sender is not None and sender.up:
            sender.clock.later(0.0, sender.unreachable, message.to)

    # What mischief does

    def leader(self) -> Process | None:
        """The one that leads in the highest term."""
        leaders = [process for process in self.voters if process.leads]
        return max(leaders, key=lambda process: process.node.hard_state.term, default=None)

    def sync_failed(self, process: Process) -> None:
        """It ends itself."""
        if process is not self.failing_disk:
            self.violate(f"{process.id} has ended itself")
        self.failing_disk = None
        self.tally["failed syncs"] += 1
        self.kill(process, 0, "a sync failed")
        self.timeline.callLater(0.1, self.start, process)

    def kill(self, process: Process, keep: int, how: str) -> None:
        self.tally["crashes"] += 1
        self.note(f"{process.id} dies, {how}")
        self.rules.killed(process)
        process.kill(keep)

    def start(self, process: Process) -> None:
        if process.ended:
            process.boot()

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
                self._end(process)

        def killed() -> None:
            if not life.ended:
                self._end(process)

        life.later(0.0, over)
        self.timeline.callLater(patience, killed)

    def _end(self, process: Process) -> None:
        self.rules.killed(process)
        process.kill()

    def may_forget(self, process: Process) -> bool:
        """See `simulation.faults`: what a disk may forget."""
        return self.failing_disk is None and all(map(self.counts, self.voters)) and not self._change_under_way()

    def _change_under_way(self) -> bool:
        if self.registrar is None or self.rules.views.present is None:
            return False
        return self._asked >= self.rules.views.present.place or self.registrar.store.view != self.rules.views.present

    def all_is_well(self) -> bool:
        leader = self.leader()
        return (
            leader is not None
            and leader.node.leadership is not None
            and leader.node.leadership.serves
            and self.config.hand_over_ticks is None
            and self.may_forget(leader)
            and self.mischief.nothing_lasts
            and all(p.up and not p.clock.paused and not p.disk.full and not p.disk.stalled for p in self.voters)
        )

    # The register

    def all_remember(self) -> bool:
        """May the register's disk be lost? Here one replica that has the latest view on its own is enough: whoever takes
        over waits for all of them, and so for the disks of all that are in sync by it."""
        view = self.rules.views.present
        known = any(voter.disk.hard_state.view == view for voter in self.voters)
        there = view is not None and all(view.in_sync.get(v.id, v.disk.uuid) == v.disk.uuid for v in self.voters)
        return known and there and self.failing_disk is None and self._register_rests()

    def nobody_knows_yet(self) -> bool:
        """The register has stored a view, and everyone has the one before on disk."""
        before = self.rules.views.before
        known = before is not None and all(voter.up and voter.disk.hard_state.view == before for voter in self.voters)
        return known and self.failing_disk is None and all(map(self._was_in_sync, self.voters)) and self._register_rests()

    def _was_in_sync(self, process: Process) -> bool:
        before = self.rules.views.before
        return before is not None and before.in_sync.get(process.id, process.disk.uuid) == process.disk.uuid

    def _register_rests(self) -> bool:
        return self.registrar is not None and not self.registrar.writing

    def start_register(self) -> None:
        if self.registrar is not None and not self.registrar.up:
            self.registrar.boot()

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
        self._heal()
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
            raise self._failed(self.violation)

    def _failed(self, what: str) -> Failed:
        return Failed(self.plan, self._violated_at if self.violation else self.timeline.now, what)

    def _heal(self) -> None:
        self.note("everything is healed")
        self.mischief.heal()
        self.links.calm()
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
            client.close()

    def _rest(self) -> None:
        """Everything is answered, and all logs are equal, within `REST` seconds; and what was promised still holds."""
        end = self.timeline.now + REST
        while unrest := self._unrest():
            if self.timeline.now >= end:
                raise self._failed(f"not at rest {REST} s after everything was healed: {unrest}")
            self._advance(self.timeline.now + 0.25)
        heads = {process.id: process.disk.state.head.digest for process in self.processes.values()}
        if len(set(heads.values())) != 1:
            raise self._failed(f"the logs differ: {heads}")
        self.note(f"at rest: {self.tally['acknowledged']} acknowledged, digest {min(heads.values()):08x}")

    def _unrest(self) -> str:
        """What is not as it should be, "" if all is."""
        leader = self.leader()
        if leader is None:
            return "nobody leads"
        last = leader.node.log.last_index
        for process in self.processes.values():
            if not process.up:
                return f"{process.id} is down"
            node, applied = process.node, process.disk.state.head.applied
            if node.leader != leader.id or applied != last:
                return f"{process.id} follows {node.leader} at {applied} of {last}"
            if process in self.voters and not node.named:
                return f"{process.id} is not named"
        return "; ".join(
            f"{client.id} waits for {waits}" for client in self.clients.values() if (waits := client.waits_for())
        )


def _uuids(node: str) -> Iterator[str]:
    return (f"{node}:{count}" for count in range(1, 1_000_000))
