"""The search, on a register and on the store: what can and what can not be put in an order."""

from __future__ import annotations

import pytest

from tests.checking.stories import Story, final, order
from toystore.checking import second_opinion
from toystore.checking.linearizability import Call, Undecided, stuck_at
from toystore.checking.operations import NEVER
from toystore.checking.store_model import (
    Action,
    Cancel,
    Place,
    Refuse,
    SeeOrder,
    SeeReplay,
    SeeStock,
    Set,
    Store,
    step,
)

Operation = tuple[str, int]
"""("write" or "read", a number)."""


def register(state: int, action: Operation) -> int | None:
    kind, number = action
    if kind == "write":
        return number
    return state if number == state else None


def history(*calls: tuple[int, int, str, int]) -> list[Call[Operation]]:
    return [Call(invoked, ended, (kind, number), f"{kind} {number}") for invoked, ended, kind, number in calls]


@pytest.mark.parametrize(
    "calls",
    [
        [],
        [(1, 2, "write", 1), (3, 4, "read", 1)],
        [(1, 6, "write", 1), (2, 3, "read", 0), (4, 5, "read", 1)],
        [(1, 3, "write", 1), (2, 6, "write", 2), (4, 5, "read", 1)],
        [(1, NEVER, "write", 1), (5, 6, "read", 0), (7, 8, "read", 1)],
        [(1, NEVER, "write", 1), (5, 6, "read", 0)],
        [(1, 2, "write", 1), (2, 3, "write", 0), (2, 4, "read", 1)],
    ],
)
def test_linearizable(calls: list[tuple[int, int, str, int]]) -> None:
    assert stuck_at(history(*calls), 0, register) is None


@pytest.mark.parametrize(
    ("calls", "stuck"),
    [
        ([(1, 2, "read", 1)], "read 1"),
        ([(1, 2, "write", 1), (3, 4, "read", 0)], "read 0"),
        ([(1, 6, "write", 1), (2, 3, "read", 1), (4, 5, "read", 0)], "read 0"),
        ([(1, NEVER, "write", 1), (5, 6, "read", 1), (7, 8, "read", 0)], "read 0"),
        ([(5, NEVER, "write", 1), (3, 4, "read", 1)], "read 1"),
        ([(1, 2, "write", 1), (1, 2, "write", 2), (3, 4, "read", 1), (5, 6, "read", 2)], "read 2"),
    ],
)
def test_not_linearizable(calls: list[tuple[int, int, str, int]], stuck: str) -> None:
    found = stuck_at(history(*calls), 0, register)
    assert found is not None
    assert found.name == stuck


def test_given_up_where_it_would_take_too_long() -> None:
    calls = [(0, NEVER, "write", number) for number in range(1, 30)]
    with pytest.raises(Undecided):
        stuck_at(history(*calls, (1, 2, "read", -1)), 0, register, limit=1_000)


def test_a_stretch_that_is_given_up_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_opinion, "stuck_at", lambda calls, store, step: stuck_at(calls, store, step, limit=1))
    story = Story().bought("a", 0, 10, (1, 4)).bought("b", 1, 11, (1, 3)).unsure("c", (1, 2))
    report = story.judge(final(order(0, "a", 10), order(1, "b", 11), order(2, "c", 12)))
    assert report.good
    assert "1 could not be decided" in report.text()


TWO = Store((5, 1))
ORDER = Place(((0, -2), (1, -1)), 0, 10)
PLACED = Store((3, 0), next=1, position=10)
BACK_AGAIN = Store((5, 1), 1, 12, frozenset({0}))
BACK = Cancel(0, ((0, 2), (1, 1)), 12)


@pytest.mark.parametrize(
    ("before", "action", "after"),
    [
        (TWO, ORDER, PLACED),
        (TWO, Place(((0, -2), (1, -1)), None), Store((3, 0), next=1)),
        (PLACED, ORDER, None),
        (PLACED, Place(((1, -1),), 1, 11), None),
        (PLACED, Place(((0, -1),), 1, 10), None),
        (PLACED, Refuse(((0, -1), (1, -1))), PLACED),
        (PLACED, Refuse(((0, -3),)), None),
        (PLACED, BACK, BACK_AGAIN),
        (TWO, BACK, None),
        (BACK_AGAIN, BACK, BACK_AGAIN),
        (BACK_AGAIN, Cancel(0, (), 12, 12), BACK_AGAIN),
        (BACK_AGAIN, Cancel(0, (), 12, 11), None),
        (BACK_AGAIN, Cancel(0, (), 12, 12, first=True), None),
        (PLACED, Refuse(((0, -4),), 0), PLACED),
        (TWO, Refuse(((0, -9),), 0), None),
        (PLACED, Set(((1, 7),), 11, 10), Store((3, 7), 1, 11)),
        (PLACED, Set(((1, 7),), 11, 9), None),
        (PLACED, SeeStock(0, 3, 10), PLACED),
        (PLACED, SeeStock(0, 3), PLACED),
        (PLACED, SeeStock(0, 4), None),
        (PLACED, SeeStock(0, 3, 11), None),
        (PLACED, SeeOrder(0, False), PLACED),
        (PLACED, SeeOrder(0, True), None),
        (PLACED, SeeOrder(0, None), None),
        (TWO, SeeOrder(0, None), TWO),
        (PLACED, SeeReplay(0, 10), PLACED),
        (TWO, SeeReplay(0), None),
    ],
)
def test_the_store_as_one_client_after_the_other_sees_it(before: Store, action: Action, after: Store | None) -> None:
    assert step(before, action) == after
