"""Plans that failed once are replayed, and go on meaning something: their faults still strike."""

from __future__ import annotations

import pytest

from tests.simulation.corpus import FOLDER, Kept, corpus, replayed
from tests.simulation.plan import Fault, Plan

CORPUS = corpus()


@pytest.mark.parametrize("kept", CORPUS, ids=[kept.name for kept in CORPUS])
def test_what_failed_once_holds_and_still_strikes(kept: Kept) -> None:
    broken, hits = replayed(kept.plan)
    assert not broken, f"{kept.found}\npython -m tests.simulation --plan {FOLDER / kept.name}.json --diagram"
    missed = set(kept.hits) - set(hits)
    assert not missed, f"{kept.found}: no longer means anything, shrink a plan that fails anew; not hit: {missed}"


def test_there_are_plans_of_both_elections() -> None:
    assert {kept.plan.election for kept in CORPUS} == {"raft", "appointed"}
    assert len(CORPUS) >= 8


def test_each_says_what_it_found() -> None:
    assert all(len(kept.found) > 10 and kept.says and kept.hits for kept in CORPUS)
    assert len({kept.plan for kept in CORPUS}) == len(CORPUS)


def test_a_fault_that_does_not_strike_is_seen() -> None:
    """There is no fourth replica to stall."""
    faults = (Fault("stall", at=0.5, who="order-4", seconds=0.1), Fault("pause", at=0.5, who="order-1", seconds=0.1))
    assert replayed(Plan(1, seconds=1.0, faults=faults)) == ("", ("pause",))


def test_is_written_and_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("corpus") / "some.json"
    kept = Kept(
        "some", 'what "it" found', "entry # is lost", ("stall",), Plan(7, "appointed", faults=(Fault("stall", at=0.5),))
    )
    path.write_text(kept.to_json())
    assert Kept.read(path) == kept
