"""Recordings one after the other, from one seed, until so many states have been looked at."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from itertools import pairwise
from random import Random

from attrs import define, evolve, field, frozen

from tests.disks.calls import as_of
from tests.disks.explore import CASES, Explorer, Spec, Tally, Violation
from tests.disks.recording import End, Recording, record
from tests.disks.trace import Note, Sync, SyncDirectory, Truncate, Write

STATES_OF_ONE = 600
"""Distinct states of one recording at most; then comes the next."""

STATES_OF_NEXT = 200
"""And of the recording of what comes after a power failure in it."""


@frozen
class Plan:
    """One recording: what is run, and how it may be repeated."""

    workload: str
    seed: int
    steps: int
    mutant: str | None = None
    ends: tuple[End, ...] = ()
    after: Spec | None = None
    """The power has failed in a recording that is otherwise the same, and this was left."""

    def explorer(self, first: Explorer | None = None) -> tuple[Recording, Explorer]:
        """The recording, and who explores it. `first`: who explores that before the power failure; else it is made again."""
        case, what = CASES[self.workload], (self.workload, self.seed, self.steps, self.mutant, self.ends)
        if self.after is None:
            recording = record(*what)
            return recording, Explorer(recording, case)
        if first is None:
            _, first = evolve(self, after=None).explorer()
        recording = record(*what, first.point(self.after).state(self.after.choice))
        return recording, Explorer(recording, case, as_of(first.calls, self.after.events))

    def record(self) -> Recording:
        return self.explorer()[0]

    def command(self, spec: Spec) -> str:
        """Lays one state of it in a directory, and opens a copy."""
        values = {"workload": self.workload, "seed": self.seed, "steps": self.steps, "mutant": self.mutant}
        given = [f"--{name}={value}" for name, value in values.items() if value is not None]
        given += [f"--end={end}" for end in self.ends]
        given += [f"--after={self.after}"] if self.after else []
        return shlex.join(["python", "-m", "tests.disks", *given, f"--state={spec}", "--keep=the-state"])


PLANS = (("ledger", 12), ("ledger", 30), ("views", 12), ("ledger-production", 25), ("ledger", 60), ("ledger-production", 60))
"""Workloads and their steps, in turn."""


def plans(seed: int, workload: str | None = None, steps: int | None = None) -> Iterator[Plan]:
    """For ever; seeds count up from `seed`."""
    while True:
        name, many = PLANS[seed % len(PLANS)]
        if workload in (None, name):
            yield Plan(name, seed, steps or many, ends=ends(seed, steps or many))
        seed += 1


def ends(seed: int, steps: int) -> tuple[End, ...]:
    """How its processes end: every second recording is that of one process, others have one or two before it."""
    random = Random(seed)
    if seed % 2:
        return ()
    return tuple(
        End(random.choice(("kill", "kill", "fail")), random.randint(1, 10 * steps)) for _ in range(1 + seed // 2 % 2)
    )


def ends_before_answers(plan: Plan, how: str) -> list[End]:
    """For an end in the place of each sync that is the last before a call is done."""
    counted = (Write, Truncate, Sync, SyncDirectory) if how == "kill" else (Sync,)
    found, number = [], 0
    for event, then in pairwise(plan.record().trace):
        number += isinstance(event, counted)
        if isinstance(event, Sync | SyncDirectory) and isinstance(event, counted) and isinstance(then, Note):
            found.append(End(how, number))
    return found


@define
class Campaign:
    """What came of the recordings so far."""

    recordings: int = 0
    writes: int = 0
    syncs: int = 0
    bytes_written: int = 0
    tally: Tally = field(factory=Tally)
    last: Tally = field(factory=Tally)
    """Of the last recording."""
    violated: list[tuple[Plan, Violation]] = field(factory=list)

    def __str__(self) -> str:
        recorded = f"{self.recordings} recordings, {self.writes} writes, {self.syncs} syncs, {self.bytes_written} bytes"
        return f"{recorded}: {self.tally}"

    def add(self, plan: Plan, states: int, violations: int = 1, first: Explorer | None = None) -> Explorer:
        """One more recording; `first` as in `Plan.explorer`."""
        recording, explorer = plan.explorer(first)
        self.recordings += 1
        self.writes += recording.writes
        self.syncs += recording.syncs
        self.bytes_written += recording.bytes_written
        tally = explorer.explore(states, plan.seed, violations)
        self.tally.add(tally)
        self.violated += [(plan, violation) for violation in tally.violations]
        self.last = tally
        return explorer

    def report(self) -> str:
        """The figures; then each violation, with the command that lays its state."""
        lines = [str(self)]
        for plan, violation in self.violated:
            lines += [f"violation: {violation.what}", f"  to repeat: {plan.command(violation.spec)}"]
        return "\n".join(lines)


def campaign(states: int, source: Iterator[Plan], tell: Callable[[str], None] = lambda _: None) -> Campaign:
    """Until so many distinct states were looked at, or one is a violation. From one state of each recording, which is drawn,
    the storage goes on, and that is recorded, too."""
    result = Campaign()

    def look(plan: Plan, most: int, first: Explorer | None = None) -> Explorer | None:
        left = states - result.tally.distinct
        if left <= 0 or result.violated:
            return None
        explorer = result.add(plan, min(most, left), first=first)
        life = "".join(f", {end}" for end in plan.ends) + (", after a power failure" if plan.after else "")
        tell(f"{plan.workload} {plan.seed} ({plan.steps} steps{life}): {result.last}")
        return explorer

    while explorer := look(plan := next(source), STATES_OF_ONE):
        look(evolve(plan, after=explorer.draw(plan.seed)), STATES_OF_NEXT, explorer)
    return result
