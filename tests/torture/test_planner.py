"""Which fault comes when: from the seed alone, with everything of each kind sooner or later."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from toystore.torture.kinds import BY_NAME, COMPILER, KINDS, UnknownKind, chosen
from toystore.torture.layout import Layout
from toystore.torture.ordeal import FAULTS, schedule
from toystore.torture.planner import Shape, bursts

LAYOUT = Layout(1)
SHAPE = Shape(LAYOUT.order_names, LAYOUT.other_names, KINDS)
SEEDS = range(20)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_seed_gives_the_same_bursts(seed: int) -> None:
    assert list(islice(bursts(seed, SHAPE), 5)) == list(islice(bursts(seed, SHAPE), 5))


def test_another_seed_gives_others() -> None:
    assert next(bursts(1, SHAPE)) != next(bursts(2, SHAPE))


@pytest.mark.parametrize("seed", SEEDS)
def test_faults_begin_and_end_within_their_burst(seed: int) -> None:
    for burst in islice(bursts(seed, SHAPE), 20):
        assert burst, "an empty burst shows nothing"
        assert [planned.at for planned in burst] == sorted(planned.at for planned in burst)
        for planned in burst:
            assert 0 <= planned.at < SHAPE.seconds
            assert 0 <= planned.seconds <= planned.kind.longest
            assert planned.ends <= SHAPE.seconds + 0.01


@pytest.mark.parametrize("seed", SEEDS)
def test_twenty_minutes_have_enough_faults_of_every_kind(seed: int) -> None:
    """A burst and the calm after it take 45 s where recovery is slow: 26 bursts."""
    planned = [each for burst in islice(bursts(seed, SHAPE), 26) for each in burst]
    assert len(planned) >= 250
    counts = Counter(each.kind.name for each in planned)
    assert set(counts) == set(BY_NAME)
    assert [each.number for each in planned] == list(range(1, len(planned) + 1))


@pytest.mark.parametrize("seed", SEEDS)
def test_targets_are_whom_the_kind_may_hit(seed: int) -> None:
    for burst in islice(bursts(seed, SHAPE), 10):
        for planned in burst:
            expected = SHAPE.nodes if planned.kind.aim == "any" else list(SHAPE.orders)
            assert sorted(planned.targets) == sorted(expected)


def test_there_is_a_fault_for_each_kind() -> None:
    assert set(FAULTS) == set(BY_NAME)


def test_kinds_are_chosen_by_name() -> None:
    kinds, impossible = chosen(["kill", "clock"], [], {COMPILER})
    assert [kind.name for kind in kinds] == ["kill", "clock"]
    assert impossible == []
    kinds, _ = chosen([], ["wipe"], {COMPILER})
    assert [kind.name for kind in kinds] == [kind.name for kind in KINDS if kind.name != "wipe"]


def test_what_the_machine_can_not_do_is_named() -> None:
    kinds, impossible = chosen(["kill", "clock", "slow-disk"], [], set())
    assert [kind.name for kind in kinds] == ["kill"]
    assert [kind.name for kind in impossible] == ["slow-disk", "clock"]


@pytest.mark.parametrize(
    ("only", "without", "available"), [(["kil"], [], {COMPILER}), ([], ["nothing"], set()), (["clock"], [], set())]
)
def test_a_wish_for_nothing_is_an_error(only: list[str], without: list[str], available: set[str]) -> None:
    with pytest.raises(UnknownKind):
        chosen(only, without, available)


def test_the_schedule_can_be_read() -> None:
    lines = list(schedule(bursts(3, SHAPE), 2))
    assert len(lines) == sum(len(burst) for burst in islice(bursts(3, SHAPE), 2))
    assert all(any(name in line for name in BY_NAME) for line in lines)
