"""Every mutant fits the program and changes it, and is found: by its recorded plan in every run of the tests, by a search
from the first seed on in `tox -e long`. The program holds what it promises under the same plans."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from tests.mutants.mutant import PATCHES, PLANS, ROOT, Mutant, Unfit, hunt, mutants
from tests.mutants.replay import replay
from tests.simulation.lanes import LANES
from tests.simulation.plan import Plan

ALL = mutants()
RECORDED = [mutant for mutant in ALL if mutant.recorded.exists()]
SEARCHED = [mutant for mutant in ALL if mutant.schedules]


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
            found = replay(tree, mutant.lane, mutant.recorded.read_text())
        assert found is not None, f"to record another: python -m tests.mutants {mutant.name} --record"

    def test_breaks_none_of_the_program(self, mutant: Mutant) -> None:
        assert LANES[mutant.lane].play(Plan.from_json(mutant.recorded.read_bytes())).what == ""


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
