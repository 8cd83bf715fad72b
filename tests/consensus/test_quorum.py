"""Counting, against the definition."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toystore.consensus.quorum import Majority


@pytest.mark.parametrize(("voters", "size"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4)])
def test_the_size_of_a_majority(voters: int, size: int) -> None:
    assert Majority(voters).size == size


@settings(deadline=None, derandomize=True, database=None)
@given(
    voters=st.integers(1, 7),
    values=st.dictionaries(st.sampled_from("abcdefg"), st.integers(0, 20), max_size=7),
)
def test_reached_is_the_highest_that_a_majority_has_reached(voters: int, values: dict[str, int]) -> None:
    values = dict(list(values.items())[:voters])
    reached = Majority(voters).reached(values)
    enough = Majority(voters).size

    def have(value: int) -> int:
        return sum(other >= value for other in values.values())

    assert reached == 0 or have(reached) >= enough
    assert have(reached + 1) < enough


def test_who_is_not_counted_has_reached_nothing() -> None:
    assert Majority(3).reached({"a": 9}) == 0
    assert Majority(3).reached({"a": 9, "b": 4}) == 4
    assert Majority(5).reached({"a": 9, "b": 4}) == 0
