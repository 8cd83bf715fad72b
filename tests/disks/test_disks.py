"""The storage comes back from every state in which a power failure may leave its disk (design 7.1)."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise
from random import Random

import pytest
from attrs import evolve

from tests.disks.calls import Apply, Close
from tests.disks.campaign import Campaign, Plan, campaign, ends_before_answers, plans
from tests.disks.choices import all_subsets, choices
from tests.disks.explore import CASES, Explorer, Spec, Tally
from tests.disks.recording import COMPILERS, End, nursery
from tests.disks.trace import Rename, Sync, Truncate, Unlink, Write
from tests.integration.storm.needs import need

SEED = 1


@pytest.fixture(autouse=True, scope="module")
def _compiler() -> None:
    need(*COMPILERS)


def check(result: Campaign, states: int) -> None:
    print(result.report())
    assert not result.violated, result.report()
    assert result.tally.distinct >= states
    assert result.tally.refused == 0


@pytest.mark.fault(11)
def test_whatever_a_power_failure_leaves_everything_acknowledged_is_there() -> None:
    check(campaign(2000, plans(SEED)), 2000)


@pytest.mark.parametrize("workload", ["ledger", "views"])
def test_the_first_moments_in_every_combination(workload: str) -> None:
    """From an empty directory to the first calls, wherever few enough changes wait: no choice is left out."""
    explorer, tally = Explorer(Plan(workload, SEED, 2).record(), CASES[workload]), Tally()
    for point in islice(explorer.points(), 250):
        if sum(not pending.settled for pending in point.pending) <= 6:
            for choice in all_subsets(point):
                explorer.look(point, choice, tally)
    assert not tally.violations, tally.violations
    assert tally.refused == 0
    assert tally.distinct >= (100 if workload == "ledger" else 8), tally


def test_a_workload_does_all_that_a_replica_does() -> None:
    """What is to be found after a crash must have been in the trace: checkpoints, new logs, spools, all kinds of calls."""
    recording = Plan("ledger", SEED, 60).record()
    explorer = Explorer(recording, CASES["ledger"])
    calls = Counter(type(made.call).__name__ for made in explorer.calls)
    assert calls.keys() == {"Open", "Save", "Apply", "Flush", "Compact", "Install", "RenewUuid", "Close"}, calls
    events = Counter(type(event) for event in recording.trace)
    assert min(events[kind] for kind in (Write, Sync, Truncate, Unlink)) >= 5, events
    assert any(isinstance(event, Rename) for event in Plan("views", SEED, 5).record().trace)


@pytest.mark.parametrize("workload", ["ledger", "ledger-production", "views"])
def test_a_recording_is_the_same_for_the_same_seed(workload: str) -> None:
    """Else the command that comes with a violation would not show it."""
    seed = Random().randrange(1_000_000)
    print("seed", seed)
    first = Plan(workload, seed, 15).record()
    nursery.cache_clear()  # the second has other hashes
    assert first.trace == Plan(workload, seed, 15).record().trace


# Processes that end, on a machine that goes on; and later its power fails


def check_around(workload: str, end: End, states: int) -> None:
    """What may be found of a process that ended so, and of the one after it."""
    result = Campaign()
    result.add(Plan(workload, SEED, 2, ends=(end,)), states)
    check(result, 10)


@pytest.mark.parametrize("which", [1, 2, -1])
def test_what_a_killed_process_had_not_synced_is_durable_before_the_next_tells_of_it(which: int) -> None:
    """Else a replica would acknowledge entries, or stand by a vote, that are only in the memory of the kernel."""
    check_around("ledger", ends_before_answers(Plan("ledger", SEED, 2), "kill")[which], 60)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_what_a_failed_sync_has_left_in_memory_only_does_not_come_between(which: int) -> None:
    """Linux forgets that it could not write it, and no later sync does: a hole in the log, with new entries behind it."""
    check_around("ledger", ends_before_answers(Plan("ledger", SEED, 2), "fail")[which], 60)


@pytest.mark.parametrize("which", [0, 1])
def test_a_view_that_a_killed_register_had_not_synced_is_durable_before_the_next_tells_of_it(which: int) -> None:
    check_around("views", ends_before_answers(Plan("views", SEED, 2), "kill")[which], 40)


def test_what_a_power_failure_while_the_storage_closes_has_lost_is_applied_again() -> None:
    """What was applied last is durable only once it has closed."""
    plan, result = Plan("ledger", SEED, 60), Campaign()
    _, before = plan.explorer()
    at = next(n for n, pair in enumerate(pairwise(before.calls), 2) if [type(made.call) for made in pair] == [Apply, Close])
    events = before.calls[at - 1].begun
    point = next(point for point in before.points() if point.events == events)
    after = Spec(events, point.file_system, next(choices(point, Random(SEED))))
    again = result.add(evolve(plan, after=after), 60)
    opened = next(made for made in again.calls if made.begun)
    assert opened.result.applied < before.judge.history[at].applied
    check(result, 60)


@pytest.mark.long
class TestEveryEnd:
    """In the place of each write and each sync of a short trace."""

    @pytest.mark.parametrize("how", ["kill", "fail"])
    def test_of_a_replica(self, how: str) -> None:
        for number in range(1, 90 if how == "kill" else 14):
            check_around("ledger", End(how, number), 60)

    def test_of_a_register(self) -> None:
        for number in range(1, 10):
            check_around("views", End("kill", number), 40)


STATES_OF_A_SHARD = 12_500


@pytest.mark.long
class TestEvenShards:
    """100,000 states together with the odd ones: two classes, so that two workers have one each."""

    @pytest.mark.parametrize("shard", [0, 2, 4, 6])
    def test_whatever_a_power_failure_leaves(self, shard: int) -> None:
        check(campaign(STATES_OF_A_SHARD, plans(1000 * (shard + 1))), STATES_OF_A_SHARD)


@pytest.mark.long
class TestOddShards:
    @pytest.mark.parametrize("shard", [1, 3, 5, 7])
    def test_whatever_a_power_failure_leaves(self, shard: int) -> None:
        check(campaign(STATES_OF_A_SHARD, plans(1000 * (shard + 1))), STATES_OF_A_SHARD)
