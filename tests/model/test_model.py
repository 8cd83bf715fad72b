"""The search finds no error in the rules, and finds one in each weakened rule."""

from __future__ import annotations

from itertools import permutations

import pytest

from tests.model.actions import Bounds
from tests.model.mutants import MUTANTS, Mutant
from tests.model.search import Found, search
from tests.model.witnesses import (
    ALWAYS,
    Witness,
    commit_in,
    commits_of,
    fresh_read,
    loss_accepted,
    take_over,
    wiped_joins,
)


def report(bounds: Bounds, found: Found) -> str:
    return f"{bounds}: {found}\n{found.counterexample}"


SEARCHES: list[tuple[Bounds, dict[str, Witness]]] = [
    (Bounds(epochs=2, entries=1), {**ALWAYS, "a command": commits_of(1), "epoch 2": commit_in(2)}),
    (Bounds(epochs=3, entries=0), {"epoch 3": commit_in(3)}),
    (Bounds(epochs=1, entries=2), {"both commands": commits_of(2)}),
    (Bounds(epochs=2, entries=0, wipes=1), {"wiped_joins": wiped_joins}),
    (Bounds(epochs=2, entries=0, generations=2), {"loss_accepted": loss_accepted}),
    (Bounds(replicas=2, epochs=2, entries=0, reads=1, versions=3), {"fresh_read": fresh_read}),
    (Bounds(replicas=2, epochs=2, entries=0, registers=2, versions=2), {"take_over": take_over}),
]
"""What the default tests search; `python -m tests.model` takes any bounds."""


LONG = [
    Bounds(epochs=2, entries=2),
    Bounds(epochs=2, entries=1, wipes=1),
    Bounds(epochs=3, entries=1),
]


@pytest.mark.long
@pytest.mark.parametrize("bounds", LONG, ids=lambda bounds: bounds.short)
def test_every_state_within_wider_bounds(bounds: Bounds) -> None:
    found = search(bounds, witnesses=ALWAYS)
    print(report(bounds, found))
    assert found.counterexample is None, report(bounds, found)
    assert found.seen.keys() == ALWAYS.keys(), f"never seen: {ALWAYS.keys() - found.seen.keys()}"


@pytest.mark.parametrize(("bounds", "witnesses"), SEARCHES, ids=[bounds.short for bounds, _ in SEARCHES])
def test_every_state_is_as_it_should_be(bounds: Bounds, witnesses: dict[str, Witness]) -> None:
    found = search(bounds, witnesses=witnesses)
    print(report(bounds, found))
    assert found.counterexample is None, report(bounds, found)
    assert found.seen.keys() == witnesses.keys(), f"never seen: {witnesses.keys() - found.seen.keys()}"


@pytest.mark.parametrize(
    "mutant",
    [pytest.param(m, marks=pytest.mark.long) if m.name == "TakesOverByMembersAlone" else m for m in MUTANTS],
    ids=lambda mutant: mutant.name,
)
def test_a_weakened_rule_is_found(mutant: Mutant) -> None:
    found = mutant.search()
    assert found.counterexample is not None, report(mutant.bounds, found)
    print(found.counterexample)
    assert (found.counterexample.wrong, len(found.counterexample.steps)) == (mutant.wrong, mutant.steps)


@pytest.mark.parametrize(
    "bounds",
    [
        Bounds(epochs=1, entries=1, versions=2),
        Bounds(replicas=2, epochs=2, entries=0, versions=3),
        Bounds(replicas=2, epochs=1, entries=1, wipes=1, versions=3),
    ],
    ids=lambda bounds: bounds.short,
)
def test_reductions_lose_nothing(bounds: Bounds) -> None:
    """What is on the disks and committed is the same, whether states are told apart or not. (So it is with three replicas
    and `Bounds(epochs=2, entries=0, versions=3)`, which takes ten minutes:
    435,927 states, 1,428 of them told apart.)"""
    assert outcomes(bounds, frozenset()) == outcomes(bounds, frozenset(range(2, 9)))


def outcomes(bounds: Bounds, without: frozenset[int]) -> set[object]:
    reached: set[object] = set()
    found = search(bounds, without=without, visit=lambda state: reached.add((state.committed, alike(state.replicas))))
    assert found.counterexample is None, report(bounds, found)
    return reached


def alike(replicas: tuple[object, ...]) -> object:
    """The logs, however the replicas are called."""
    return min(permutations(replica.log for replica in replicas))  # type: ignore[attr-defined]
