"""The judge is judged: what keeps less than it promises is found out, within the states that are stated."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from attrs import evolve

from tests.contracts.storage_worlds import Log, result_of
from tests.disks.__main__ import one
from tests.disks.calls import Apply, Close, Flush, Made, Open, RenewUuid, Save, calls_of
from tests.disks.campaign import Plan, ends_before_answers
from tests.disks.crash import KEPT, FileSystem, State, points
from tests.disks.explore import CASES, Explorer, Spec, Tally
from tests.disks.history import Lost, ledger_history
from tests.disks.judge import Judge, Known
from tests.disks.mutants import MUTANTS, Mutant
from tests.disks.recording import COMPILERS, Recording
from tests.disks.recovery import Broken, Refused, Views, recover_ledger
from tests.disks.trace import Create, Event, Note, Sync, SyncDirectory
from tests.integration.storm.needs import need
from toystore.consensus.messages import HardState
from toystore.consensus.views import View
from toystore.storage.interface import Recovered
from toystore.storage.memory import MemoryDisk, MemoryStorage


@pytest.fixture(autouse=True, scope="module")
def _compiler() -> None:
    need(*COMPILERS)


# What must be there at a point, by hand


def made(call: object, begun: int, done: int | None) -> Made:
    return Made(call, begun, done, "u" if isinstance(call, RenewUuid) else None)  # type: ignore[arg-type]


CALLS = (
    made(Open(), 1, 5),
    made(Save(HardState(1), ()), 6, 9),
    made(Apply(()), 10, 11),
    made(Save(HardState(2), ()), 12, 20),
    made(Flush(), 13, None),
)


def views(count: int) -> list[Views]:
    return [Views(View("r", 1, version, 1, "a", {})) for version in range(count)]


@pytest.mark.parametrize(
    ("events", "durable", "begun"),
    [(0, 0, 0), (1, 0, 1), (5, 1, 1), (8, 1, 2), (9, 2, 2), (10, 2, 3), (11, 2, 3), (13, 2, 5), (19, 2, 5), (20, 4, 5)],
)  # fmt: skip
def test_what_is_acknowledged_and_what_has_begun(events: int, durable: int, begun: int) -> None:
    """An apply is not made durable by being done; but by the save that is acknowledged after it."""
    assert Judge(CALLS, views(6)).known(events) == Known(durable, begun)


def test_only_what_was_shown_between_the_two_is_right() -> None:
    judge, shown = Judge(CALLS, views(6)), views(7)
    right = [number for number, view in enumerate(shown) if judge.verdict(view).at(10) is None]
    assert right == [2, 3]
    assert "so it was after call 1" in (judge.verdict(shown[1]).at(10) or "")
    assert "so it never was" in (judge.verdict(shown[6]).at(10) or "")
    assert "nothing of this is to be refused" in (judge.verdict(Refused("it is torn")).at(10) or "")


def opened(uuid: str) -> Recovered:
    return evolve(result_of(MemoryStorage(MemoryDisk(lambda: uuid)).open()), uuid=uuid)


def test_a_uuid_that_was_never_told_may_be_any() -> None:
    """The process ended while it took a new one; the next says which it is."""
    calls = (
        Made(Open(), 1, 2, opened("a")),
        Made(Save(HardState(1), ()), 3, 4),
        Made(RenewUuid(), 5),
        Made(Open(), 7, 8, evolve(opened("b"), hard_state=HardState(1))),
    )
    history = ledger_history(calls)
    assert [shown.uuid for shown in history] == [None, "a", "a", None, "b"]
    judge, found = Judge(calls, history), evolve(history[2], uuid="c")
    assert [judge.verdict(found).at(events) is None for events in (4, 5, 7, 8)] == [False, True, True, False]


def test_a_process_that_comes_back_to_less_is_noticed_at_once() -> None:
    """Though no power has failed."""
    calls = Made(Open(), 1, 2, opened("a")), Made(Save(HardState(1), ()), 3, 4), Made(Open(), 5, 6, opened("a"))
    with pytest.raises(Lost, match="at no moment from call 2 to call 2"):
        ledger_history(calls)


LOG = Log()
ENTRIES = LOG.noop(), LOG.noop()


def closing(done: int | None, applied: int) -> tuple[Made, ...]:
    """Two entries are saved, one after the other applied, the first durably. While it closes, the process ends, or it is
    done with that; the next finds so many applied, and applies what is left."""
    found = evolve(opened("a"), entries=ENTRIES, applied=applied)
    return (
        Made(Open(), 1, 2, opened("a")),
        Made(Save(None, ENTRIES), 3, 4),
        Made(Apply(ENTRIES[:1]), 5, 6),
        Made(Flush(), 7, 8),
        Made(Apply(ENTRIES[1:]), 9, 10),
        Made(Close(), 11, done),
        Made(Open(), 13, 14, found),
        Made(Apply(ENTRIES[applied:]), 15, 16),
    )


@pytest.mark.parametrize(("done", "applied"), [(None, 1), (None, 2), (12, 2)])
def test_what_was_applied_is_there_after_a_close_or_need_not_be_where_that_was_cut_off(
    done: int | None, applied: int
) -> None:
    history = ledger_history(closing(done, applied))
    assert [shown.applied for shown in history] == [0, 0, 0, 1, 1, 2, 2, applied, 2]


@pytest.mark.parametrize(("done", "applied", "call"), [(None, 0, 4), (12, 1, 6)])
def test_a_process_that_closes_loses_nothing_durable(done: int | None, applied: int, call: int) -> None:
    with pytest.raises(Lost, match=f"at no moment from call {call} to call 6"):
        ledger_history(closing(done, applied))


# A trace that lies about its syncs


@cache
def recording() -> Recording:
    return Plan("ledger", 1, 30).record()


def without(trace: tuple[Event, ...], is_lost: Callable[[Event], bool]) -> tuple[Event, ...]:
    """The same in all places, but that these syncs have not been."""
    nothing = SyncDirectory("nowhere")
    return tuple(nothing if is_lost(event) else event for event in trace)


def files(trace: tuple[Event, ...], suffix: str) -> set[int]:
    return {event.file for event in trace if isinstance(event, Create) and event.path.endswith(suffix)}


def acknowledged_at_once(trace: tuple[Event, ...]) -> list[Event]:
    """The syncs behind which a call is done."""
    return [event for event, then in pairwise(trace) if isinstance(event, Sync) and isinstance(then, Note)]


LIES: dict[str, Callable[[tuple[Event, ...]], Callable[[Event], bool]]] = {
    "no sync at all": lambda trace: lambda event: isinstance(event, Sync | SyncDirectory),
    "none of the log": lambda trace: lambda event: isinstance(event, Sync) and event.file in files(trace, "-wal"),
    "none of the database": lambda trace: lambda event: isinstance(event, Sync) and event.file in files(trace, ".db"),
    "none of directories": lambda trace: lambda event: isinstance(event, SyncDirectory),
    "not that of the directory above": lambda trace: lambda event: event == SyncDirectory(""),
    "not one in the middle": lambda trace: lambda event: event is acknowledged_at_once(trace)[15],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_disk_that_lies_is_found_out(lie: str) -> None:
    honest = recording()
    lying = Recording(without(honest.trace, LIES[lie](honest.trace)))
    tally = Explorer(lying, CASES["ledger"]).explore(200, seed=1)
    assert tally.violations, f"{lie}: {tally}"


# A storage that lies


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_a_weakened_storage_is_found_out(mutant: Mutant) -> None:
    """Within so many states."""
    plan = Plan(mutant.workload, 1, mutant.steps, mutant.name)
    if mutant.how is not None:
        plan = evolve(plan, ends=(ends_before_answers(plan, mutant.how)[1],))
    result = one(plan, mutant.states)
    assert result.violated, str(result)


def test_the_command_that_comes_with_a_violation_shows_it_again() -> None:
    plan = Plan("ledger", 1, 2, "log-as-found")
    plan = evolve(plan, ends=(ends_before_answers(plan, "kill")[1],))
    ((_, violation),) = one(plan, 200).violated
    assert plan.command(violation.spec).endswith(f"--end={plan.ends[0]} --state={violation.spec} --keep=the-state")
    again = Explorer(plan.record(), CASES[plan.workload])
    spec = Spec.read(str(violation.spec))
    assert again.verdict(again.point(spec).state(spec.choice))(spec.events), violation


# A state that is spoilt behind the back of the storage


def all_kept(recorded: Recording) -> dict[str, bytes | None]:
    *_, last = points(recorded.trace, FileSystem.POSIX, recorded.start)
    return dict(last.state(tuple(KEPT for _ in last.pending)).tree)


def test_the_end_of_the_trace_is_as_it_should_be(tmp_path: Path) -> None:
    recorded = recording()
    State(all_kept(recorded)).lay(tmp_path)
    explorer = Explorer(recorded, CASES["ledger"])
    found = recover_ledger(tmp_path)
    assert explorer.judge.verdict(found).at(len(recorded.trace)) is None
    assert explorer.judge.verdict(evolve(found, applied=0)).at(len(recorded.trace)) is not None


def test_a_page_that_nobody_has_read_is_not_overlooked(tmp_path: Path) -> None:
    """An index that lacks its rows shows nothing wrong in what is read at opening."""
    State(all_kept(recording())).lay(tmp_path)
    database = tmp_path / "order-1" / "ledger.db"
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA writable_schema = ON")
    root, size = connection.execute("SELECT rootpage, 4096 FROM sqlite_schema WHERE name = 'orders_changed'").fetchone()
    connection.close()
    data = bytearray(database.read_bytes())
    data[(root - 1) * size : root * size] = b"\x0a\0\0\0\0\x10\0\0" + bytes(size - 8)
    database.write_bytes(data)
    with pytest.raises(Broken, match="integrity_check"):
        recover_ledger(tmp_path)


def test_every_call_of_the_trace_is_done() -> None:
    calls = calls_of(recording().trace)
    assert len(calls) > 30
    assert all(made.done is not None and made.failed is None for made in calls)
    assert {type(made.call) for made in calls} >= {Open, Save, Apply, RenewUuid}


def test_a_tally_counts_states_once() -> None:
    recorded = recording()
    tally = Explorer(recorded, CASES["ledger"]).explore(50, seed=3)
    assert tally.distinct == 50 <= tally.tried
    assert re.fullmatch(r"\d+ states tried, 50 distinct, .* 0 violations", str(tally))
    assert Tally().distinct == 0
