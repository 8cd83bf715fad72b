"""The stage of a run: what the faults of a plan act upon, and may ask about it. `mischief` knows it by these names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.simulation.cluster import Process, leading
from tests.simulation.mischief import End
from tests.simulation.network import Links
from tests.simulation.plan import ANYONE, Plan
from tests.simulation.witness import Messages, Trace, Witness
from toystore.consensus.views import View

REST = 15.0
"""Seconds in which a healed cluster must have come to rest."""


class Stage(Witness):
    """A witness of replicas that can be killed and healed. `clients` say what they wait for, by their names."""

    processes: Mapping[str, Process]
    clients: Mapping[str, Any]

    def __init__(self, plan: Plan, trace: Trace | None = None, messages: Messages | None = None) -> None:
        super().__init__(plan, trace, messages)
        self.links = Links(plan.stream, lambda: self.timeline.now)
        self._slow: list[tuple[str, float, float]] = []
        self._slow_applies: list[tuple[str, float]] = []

    # Disks

    def write_seconds(self, name: str) -> Callable[[], float]:
        """How long each of its writes takes."""
        usual, slow = (self.plan.stream(f"disk/{name}/{kind}") for kind in ("usual", "slow"))

        def seconds() -> float:
            taken = 0.0005 + 0.0025 * usual.random()
            for who, share, by in self._slow:
                if who in (ANYONE, name) and slow.random() < share:
                    taken += by * slow.random()
            return taken

        return seconds

    def slow_writes(self, who: str, share: float, by: float) -> End:
        """Of that node, or of all: this share takes up to `by` seconds longer."""
        slow = (who, share, by)
        self._slow.append(slow)
        return lambda: self._slow.remove(slow)

    def apply_seconds(self, name: str) -> float:
        """How long its disk takes to apply what it is given at once."""
        return 0.0001 + sum(by for who, by in self._slow_applies if who in (ANYONE, name))

    def slow_applies(self, who: str, by: float) -> End:
        """Of that node, or of all."""
        slow = (who, by)
        self._slow_applies.append(slow)
        return lambda: self._slow_applies.remove(slow)

    def may_forget(self) -> bool:
        """See `faults`: what a disk may forget."""
        return self.failing_disk is None and all(map(self.counts, self.voters)) and not self._change_under_way()

    def _change_under_way(self) -> bool:
        """A leader may have asked for a change of the present view, or the register does not have it any more."""
        present = self.rules.views.present
        if self.registrar is None or present is None:
            return False
        return self._asked >= present.place or self.registrar.store.view != present

    # Processes

    def leader(self) -> Process | None:
        return leading(self.voters)

    def kill(self, process: Process, keep: int, how: str) -> None:
        self.tally["crashes"] += 1
        self.note(f"{process.id} dies, {how}")
        self.end(process, keep)

    def end(self, process: Process, keep: int = 0) -> None:
        """It is no more; so many of the calls of its disk under way have been carried out."""
        self.rules.killed(process)
        process.kill(keep)

    def start(self, process: Process) -> None:
        if process.ended:
            process.boot()

    def all_is_well(self) -> bool:
        leader = self.leader()
        return (
            leader is not None
            and leader.node.leadership.serves
            and self.config.hand_over_ticks is None
            and self.may_forget()
            and self.mischief.nothing_lasts
            and all(p.up and not p.clock.paused and not p.disk.full and not p.disk.stalled for p in self.voters)
        )

    # The register

    def start_register(self) -> None:
        if self.registrar is not None and not self.registrar.up:
            self.registrar.boot()

    def register_rests(self) -> bool:
        return self.registrar is not None and not self.registrar.writing

    def nobody_knows_yet(self) -> bool:
        """The register has stored a view, and everyone has the one before on disk."""
        before = self.rules.views.before
        known = before is not None and all(voter.up and voter.disk.hard_state.view == before for voter in self.voters)
        return known and self.failing_disk is None and self.has_all_of(before) and self.register_rests()

    def has_all_of(self, view: View) -> bool:
        """Each voter that is in sync by it has the disk that was."""
        return all(view.in_sync.get(voter.id, voter.disk.uuid) == voter.disk.uuid for voter in self.voters)

    # The end

    def heal(self) -> None:
        """Nothing goes wrong any more; who is down starts."""
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

    def unrest(self) -> str:
        """What is not as it should be, "" if all is."""
        leader = self.leader()
        if leader is None:
            return "nobody leads"
        last = leader.node.log.last_index
        for process in self.processes.values():
            if not process.up:
                return f"{process.id} is down"
            node = process.node
            if node.leader != leader.id or node.log.applied != last:
                return f"{process.id} follows {node.leader} at {node.log.applied} of {last}"
            if process in self.voters and not node.named:
                return f"{process.id} is not named"
        clients = self.clients.values()
        return "; ".join(f"{client.id} waits for {waits}" for client in clients if (waits := client.waits_for()))
