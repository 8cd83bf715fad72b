"""Lays states of a trace, opens each, and judges it."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from random import Random

from attrs import define, field, frozen

from tests.disks.calls import Made, calls_of
from tests.disks.choices import choices
from tests.disks.crash import Choice, FileSystem, Point, State, choice_text, points, read_choice
from tests.disks.history import History, ledger_history, view_history
from tests.disks.judge import Judge
from tests.disks.recording import Recording, fast_directory
from tests.disks.recovery import Broken, Ledger, Refused, Views, recover_ledger, recover_views
from tests.disks.trace import Note, Sync, SyncDirectory

AT_A_POINT = 8
"""So many choices at one point, before the next is looked at."""

IN_VAIN = 3_000
"""So many choices in a row that lead to no new state, and the search ends."""


@frozen
class Case:
    """How the files of one kind of workload are opened, and what its calls lead to."""

    recover: Callable[[Path], Ledger | Views | Refused]
    history: Callable[[Sequence[Made]], History[Ledger] | History[Views]]


CASES = {
    "ledger": Case(recover_ledger, ledger_history),
    "ledger-production": Case(recover_ledger, ledger_history),
    "views": Case(recover_views, view_history),
}


@frozen
class Spec:
    """One state: the point after so many events, and the fates of what waits there."""

    events: int
    file_system: FileSystem
    choice: Choice

    def __str__(self) -> str:
        return f"{self.events}:{self.file_system.value}:{choice_text(self.choice)}"

    @classmethod
    def read(cls, text: str) -> Spec:
        """Raises ValueError."""
        events, file_system, choice = text.split(":")
        return cls(int(events), FileSystem(file_system), read_choice(choice))


@frozen
class Violation:
    spec: Spec
    what: str


@define
class Tally:
    """`tried` choices led to `distinct` states. In them was found what there had been at so many
    different `moments`, out of all `calls` (a moment is that after a call)."""

    tried: int = 0
    distinct: int = 0
    refused: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    moments: int = 0
    calls: int = 0
    violations: list[Violation] = field(factory=list)

    def add(self, other: Tally) -> None:
        self.tried += other.tried
        self.distinct += other.distinct
        self.refused += other.refused
        self.moments += other.moments
        self.calls += other.calls
        self.seconds += other.seconds
        self.cpu_seconds += other.cpu_seconds
        self.violations += other.violations

    def __str__(self) -> str:
        return (
            f"{self.tried} states tried, {self.distinct} distinct, {self.refused} refused,"
            f" {self.moments} of {self.calls} moments found, {self.seconds:.1f} s ({self.cpu_seconds:.1f} s of CPU),"
            f" {len(self.violations)} violations"
        )


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for cycles of garbage: a state leaves none, and each search goes through all points of a trace."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Explorer:
    """Explores the states of one recording."""

    def __init__(
        self,
        recording: Recording,
        case: Case,
        before: Sequence[Made] = (),
        file_systems: Iterable[FileSystem] = FileSystem,
    ) -> None:
        """`before`: the calls that led to what the recording began with."""
        self._case, self._trace = case, recording.trace
        self.calls = (*before, *calls_of(recording.trace))
        self.judge = Judge(self.calls, case.history(self.calls))
        self._points = {system: tuple(points(recording.trace, system, recording.start)) for system in file_systems}
        self._verdicts: dict[int, Callable[[int], str | None]] = {}
        self._moments: set[int] = set()

    def point(self, spec: Spec) -> Point:
        return self._points[spec.file_system][spec.events]

    def draw(self, seed: int) -> Spec:
        """Some state."""
        random = Random(seed)
        point = random.choice([point for point in self.points() if len(point.pending) > 1])
        *_, choice = islice(choices(point, random), random.randint(1, AT_A_POINT))
        return Spec(point.events, point.file_system, choice)

    def points(self) -> Iterator[Point]:
        """All, by file system and in the order of the trace."""
        return (point for of_system in self._points.values() for point in of_system)

    def explore(self, states: int, seed: int, violations: int = 1) -> Tally:
        """Until so many distinct states have been looked at, or so many violations were found."""
        tally, begun, cpu_begun, vain = Tally(), time.monotonic(), time.process_time(), 0
        with uncollected():
            for point, choice in self._drawn(Random(seed)):
                if tally.distinct >= states or len(tally.violations) >= violations or vain >= IN_VAIN:
                    break
                vain = 0 if self.look(point, choice, tally) else vain + 1
        tally.seconds, tally.cpu_seconds = time.monotonic() - begun, time.process_time() - cpu_begun
        tally.moments, tally.calls = len(self._moments), len(self.calls)
        return tally

    def _drawn(self, random: Random) -> Iterator[tuple[Point, Choice]]:
        """First, wherever something was synced or acknowledged, that nothing else is kept. Then some choices at every
        point, in an order that is drawn; then some more at each."""
        everywhere = list(self.points())
        random.shuffle(everywhere)
        for point in everywhere:
            if point.events and isinstance(self._trace[point.events - 1], Note | Sync | SyncDirectory):
                yield point, next(choices(point, random))
        streams = [(point, choices(point, random)) for point in everywhere]
        while streams:
            left = []
            for point, stream in streams:
                taken = [choice for _, choice in zip(range(AT_A_POINT), stream, strict=False)]
                yield from ((point, choice) for choice in taken)
                if len(taken) == AT_A_POINT:
                    left.append((point, stream))
            streams = left

    def look(self, point: Point, choice: Choice, tally: Tally) -> bool:
        """Lay this state, open it, judge it; whether it is a new one."""
        state = point.state(choice)
        key = state.key()
        tally.tried += 1
        new = key not in self._verdicts
        if new:
            tally.distinct += 1
            self._verdicts[key] = self.verdict(state, tally)
        wrong = self._verdicts[key](point.events)
        if wrong is not None:
            tally.violations.append(Violation(Spec(point.events, point.file_system, choice), wrong))
        return new

    def verdict(self, state: State, tally: Tally | None = None) -> Callable[[int], str | None]:
        """What is wrong with this state, by how many events have gone before; None where nothing is."""
        with tempfile.TemporaryDirectory(prefix="toystore-state-", dir=fast_directory()) as room:
            state.lay(Path(room))
            try:
                found = self._case.recover(Path(room))
            except Broken as error:
                what = str(error)
                return lambda events: what
        verdict = self.judge.verdict(found)
        if tally is not None:
            tally.refused += isinstance(found, Refused)
            self._moments |= verdict.same
        return verdict.at
