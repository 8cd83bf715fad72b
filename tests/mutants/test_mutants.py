"""Every mutant fits the program and changes it, and is found: by its recorded plan in every run of the tests, by a search
from the first seed on in `tox -e long`. The program holds what it promises under the same plans."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import pytest
from attrs import evolve

from tests.mutants.mutant import PATCHES, PLANS, ROOT, Mutant, Unfit, hunt, mutants
from tests.mutants.record import smaller
from tests.mutants.replay import replay
from tests.simulation.plan import Fault, Plan
from tests.simulation.world import World

ALL = mutants()
RECORDED = [mutant for mutant in ALL if mutant.recorded.exists()]
STORES = find_spec("tests.simulation.store_swarm") is not None
"""Can the simulator play whole stores?"""
SEARCHED = [mutant for mutant in ALL if mutant.schedules and (STORES or mutant.lane != "store")]


def of_each(some: list[Mutant]) -> Callable[..., pytest.MarkDecorator]:
    return pytest.mark.parametrize("mutant", some, ids=lambda mutant: mutant.name)


def test_there_are_at_least_thirty_that_are_found() -> None:
    assert len(SEARCHED) >= 30


@of_each(ALL)
class TestAMutant:
    def test_fits_the_program_and_changes_it(self, mutant: Mutant) -> None:
        with mutant.tree() as tree:
            for file in mutant.files:
                text = (tree / file).read_text()
                assert text != (ROOT / file).read_text()
                compile(text, file, "exec")

    def test_says_what_is_wrong_and_why(self, mutant: Mutant) -> None:
        assert mutant.files
        assert mutant.wrong
        assert mutant.breaks


@of_each(RECORDED)
class TestARecordedPlan:
    def test_breaks_a_promise_of_the_mutant(self, mutant: Mutant) -> None:
        with mutant.tree() as tree:
            found = replay(tree, mutant.recorded.read_text())
        assert found is not None, f"to record another: python -m tests.mutants {mutant.name} --record"

    def test_breaks_none_of_the_program(self, mutant: Mutant) -> None:
        World(Plan.from_json(mutant.recorded.read_bytes())).play()


def test_every_recorded_plan_has_its_mutant() -> None:
    assert {path.stem for path in PLANS.glob("*.json")} <= {mutant.name for mutant in ALL}


@pytest.mark.long
@of_each(SEARCHED)
def test_a_mutant_is_found(mutant: Mutant, record_property: Callable[[str, object], None]) -> None:
    with mutant.tree() as tree:
        for election in mutant.elections:
            found = hunt(mutant, tree, election, 1, mutant.schedules)
            record_property(election, f"after {found.schedule} schedules: {found.what}")
            assert found.schedule, f"not found under {election} in {mutant.schedules} schedules"


class TestAPatch:
    def test_that_does_not_fit_any_more_says_so(self) -> None:
        fits = Mutant.read(PATCHES / "votes-twice.patch")
        stale = evolve(fits, name="stale", diff=fits.diff.replace(" granted = (", " given = ("))
        with pytest.raises(Unfit, match=r"stale.patch does not apply"), stale.tree():
            pass

    def test_that_does_not_exist_is_told(self) -> None:
        with pytest.raises(Unfit, match="there is no mutant nonsense"):
            mutants(("nonsense",))


class TestSmaller:
    """Against a cluster that fails where two certain faults are there, after the later of them."""

    def fails(self, plan: Plan) -> float | None:
        times = {fault.kind: fault.at for fault in plan.faults}
        if not {"wipe", "crash"} <= times.keys() or plan.seconds < times["crash"]:
            return None
        return times["crash"]

    def test_keeps_what_is_needed_and_no_more(self) -> None:
        faults = tuple(Fault("wipe" if at == 3 else "crash" if at == 11 else "cut", at=float(at)) for at in range(20))
        small = smaller(Plan(1, faults=faults), 11.0, self.fails, trials=100)
        assert [fault.kind for fault in small.faults] == ["wipe", "crash"]
        assert small.seconds == pytest.approx(11.05)

    def test_stops_after_so_many_trials(self) -> None:
        tried: list[Plan] = []

        def fails(plan: Plan) -> float | None:
            tried.append(plan)
            return None

        faults = tuple(Fault("cut", at=float(at)) for at in range(20))
        plan = Plan(1, faults=faults)
        assert smaller(plan, 20.0, fails, trials=5) is not None
        assert len(tried) <= 6
