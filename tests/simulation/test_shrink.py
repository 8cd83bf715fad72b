"""Shrinking: delta debugging by itself, on failures that are made up, and on a run of the simulator."""

from __future__ import annotations

from collections import Counter

import pytest
from attrs import evolve

from tests.simulation.lanes import Outcome
from tests.simulation.plan import ANYONE, Fault, Plan, Shape
from tests.simulation.shrink import Budget, HoldsError, ddmin, kind_of, shrink
from tests.simulation.world import World


class TestDeltaDebugging:
    @pytest.mark.parametrize("needed", [set(), {0}, {7}, {3, 4}, {0, 19}, {1, 8, 9, 15}, set(range(20))])
    def test_leaves_what_is_needed(self, needed: set[int]) -> None:
        assert set(ddmin(range(20), lambda items: needed <= set(items))) == needed

    def test_keeps_the_order(self) -> None:
        assert ddmin([3, 1, 2], lambda items: {1, 3} <= set(items)) == [3, 1]

    def test_what_is_left_is_minimal_where_failures_are_not_monotonic(self) -> None:
        def fails(items: list[int]) -> bool:
            return sum(items) % 7 == 3 and bool(items)

        left = ddmin(range(1, 24), fails) if fails(list(range(1, 24))) else [3]
        assert fails(left)
        assert not any(fails([other for other in left if other != item]) for item in left)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "entry 3 is committed; ['order-3', 'order-4'] in sync lacks it: View(register='r:1', in_sync={'order-1': 'x'})",
            "entry 84 is committed; ['order-1'] in sync lacks it: View(register='r:7', in_sync={})",
        ),
        (
            "order-3 leads in term 4 and has at index 15 an entry of term 4; that of term 3 was committed there in term 3",
            "order-1 leads in term 5 and has at index 7 an entry of term None; that of term 3 was committed there in term 4",
        ),
        (
            "entry 1 is committed and is only on the disks of order-1",
            "entry 9 is committed and is only on the disks of nobody",
        ),
        (
            "entry 1 is committed and is only on the disks of order-1, order-2",
            "entry 1 is committed and is only on the disks of order-5",
        ),
        ("order 21 was given to 'front-2-15' and to 'front-2-16'", "order 3 was given to 'front-1-1' and to 'front-2-16'"),
        (
            "not at rest 15.0 s after everything was healed: order-1 follows order-5 at 27 of 41",
            "not at rest 15.0 s after everything was healed: nobody leads",
        ),
        (
            "order-2 has ended itself: Traceback (most recent call last):\n  File 'x', line 3\nbuiltins.KeyError: 17",
            "catalog-1 has ended itself: Traceback (most recent call last):\n  File 'y', line 30\nbuiltins.KeyError: 4",
        ),
    ],
)
def test_what_differs_by_names_and_numbers_is_of_one_kind(one: str, other: str) -> None:
    assert kind_of(one) == kind_of(other)


def test_other_checkers_find_other_kinds() -> None:
    texts = [
        "term 3 has two leaders, order-1 and order-2",
        "epoch 3 has two leaders, order-1 and order-2",
        "order-1 and order-2 differ at index 28",
        "order-2 goes back from (0, 4) to (0, 2)",
        "key 'front-1-7' has two orders",
        "a failure was logged: Traceback (most recent call last):\nbuiltins.KeyError: 17",
        "a failure was logged: Traceback (most recent call last):\nbuiltins.ValueError: 17",
    ]
    assert len({kind_of(text) for text in texts}) == len(texts)


BIG = Shape(voters=5, learners=2, fronts=2, keep_entries=4)


class Pretended:
    """A simulator that breaks a promise 0.5 s after a crash of order-2 that follows a cut, where there are three replicas or
    more; whatever else happens. Each fault strikes."""

    def __init__(self, what: str = "term 3 has two leaders, order-1 and order-2") -> None:
        self.runs = 0
        self.what = what

    def play(self, plan: Plan) -> Outcome:
        self.runs += 1
        struck = {fault: fault for fault in plan.faults}
        cuts = [fault.at for fault in plan.faults if fault.kind == "cut" and fault.seconds >= 0.2]
        crashes = [fault.at for fault in plan.faults if fault.kind == "crash" and fault.who == "order-2"]
        after = [crash + 0.5 for crash in crashes if any(cut <= crash for cut in cuts)]
        if not after or plan.shape.voters < 3 or min(after) > plan.seconds:
            return Outcome(Counter(), Counter(), struck)
        return Outcome(Counter(), Counter(), struck, min(after), self.what.replace("3", str(self.runs)))


def many() -> Plan:
    faults = [Fault("pause", at=float(second), who="order-1", seconds=0.5) for second in range(20)]
    faults += [
        Fault("cut", "halves", 4.25, "leader", ("order-1", "order-2"), seconds=1.23456),
        Fault("crash", "tears", 9.87654, "order-2", seconds=0.7),
        Fault("crash", "tears", 15.0, "order-2", seconds=0.7),
        Fault("drop", who=ANYONE, whom=(ANYONE,), seconds=27.0, share=0.123),
    ]
    return Plan(4711, shape=BIG, faults=tuple(sorted(faults, key=lambda fault: fault.at)))


class TestShrinking:
    def test_leaves_what_matters_in_its_simplest_form(self) -> None:
        shrunk = shrink(many(), Pretended().play)
        crash, cut = sorted(shrunk.plan.faults, key=lambda fault: fault.kind)
        assert (shrunk.before, shrunk.steady) == (24, 10)
        assert (cut.kind, len(cut.whom), crash.kind, crash.way, crash.who) == ("cut", 1, "crash", "loses", "order-2")
        assert 0.2 <= cut.seconds < 0.4
        assert crash.seconds == 0
        assert shrunk.plan.seconds < 1.0
        assert shrunk.plan.seed == 1
        assert shrunk.plan.shape == Shape(learners=0, fronts=1, rate=1.0)

    def test_is_said_in_words(self) -> None:
        said = str(shrink(many(), Pretended().play))
        assert said.startswith("24 faults before, 2 now (")
        assert "10 of 10 other seeds fail in the same way" in said
        assert "cut: halves at leader" in said

    def test_keeps_to_its_budget(self) -> None:
        pretended = Pretended()
        shrunk = shrink(many(), pretended.play, Budget(runs=30))
        assert pretended.runs == shrunk.budget.played == 30
        assert shrunk.outcome.what
        assert len(shrunk.plan.faults) < 24

    def test_a_plan_that_holds_is_refused(self) -> None:
        with pytest.raises(HoldsError):
            shrink(evolve(many(), faults=()), Pretended().play)

    def test_another_violation_does_not_count(self) -> None:
        def play(plan: Plan) -> Outcome:
            """Fails with the pause by a promise, without by another one."""
            what = "the sky falls" if any(fault.kind == "pause" for fault in plan.faults) else "the earth quakes"
            return Outcome(at=1.0, what=what)

        assert [fault.kind for fault in shrink(many(), play).plan.faults] == ["pause"]

    def test_of_a_run_of_the_simulator(self) -> None:
        """A promise that is pretended, broken by whoever is killed while a cut lasts: what is left are a cut and a crash."""

        def play(plan: Plan) -> Outcome:
            world = World(plan)
            world.play()
            points = world.mischief.points
            broken = points["cut: one"] and any(points[f"crash: {way}"] for way in ("loses", "keeps", "tears"))
            return Outcome(world.tally, points, world.mischief.struck, plan.seconds - 0.5, "cut and dead" if broken else "")

        faults = [Fault("stall", at=0.8 + 0.1 * n, who=f"order-{n}", seconds=0.1) for n in (1, 2, 3)]
        faults += [Fault("cut", "one", 1.0, "order-1", seconds=0.5), Fault("crash", "loses", 1.2, "order-2", seconds=0.1)]
        shrunk = shrink(Plan(1, seconds=2.0, faults=tuple(faults)), play, Budget(runs=20))
        assert sorted(fault.kind for fault in shrunk.plan.faults) == ["crash", "cut"], shrunk
