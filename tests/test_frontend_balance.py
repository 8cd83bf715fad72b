"""Whose turn it is."""

from __future__ import annotations

import pytest

from toystore.frontend.balance import Balance, RoundRobinByKind


def firsts(balance: Balance, count: int, now: float = 0.0) -> list[str]:
    return [balance.order("product", now)[0] for _ in range(count)]


def test_each_in_turn() -> None:
    balance = Balance(["a", "b", "c"])
    assert firsts(balance, 4) == ["a", "b", "c", "a"]


def test_the_others_follow_in_turn() -> None:
    balance = Balance(["a", "b", "c"])
    assert balance.order("product", 0.0) == ["a", "b", "c"]
    assert balance.order("product", 0.0) == ["b", "c", "a"]


def test_one_that_failed_comes_last_until_one_request_may_try_it() -> None:
    balance = Balance(["a", "b"], pause=1.0)
    balance.failed("a", 0.0)
    assert balance.live() == ["b"]
    assert firsts(balance, 4, now=0.9) == ["b"] * 4
    assert firsts(balance, 4, now=1.0) == ["a", "b", "b", "b"]
    balance.worked("a")
    assert firsts(balance, 2, now=1.0) == ["a", "b"]


def test_the_rest_of_one_that_fails_again_grows_to_a_bound() -> None:
    balance = Balance(["a"], pause=1.0, longest=3.0)
    for now in (0.0, 0.0, 0.0):
        balance.failed("a", now)
    assert firsts(balance, 1, now=2.9) == ["a"]  # there is no other
    other = Balance(["a", "b"], pause=1.0, longest=3.0)
    for _ in range(5):
        other.failed("a", 0.0)
    assert firsts(other, 2, now=2.9) == ["b", "b"]
    assert firsts(other, 2, now=3.0) == ["a", "b"]


def test_a_kind_of_request_can_have_its_own_turn() -> None:
    class ByKind:
        def turn(self, kind: str, count: int) -> int:
            return len(kind) % count

    balance = Balance(["a", "b"], ByKind())
    assert balance.order("list", 0.0)[0] == "a"
    assert balance.order("query", 0.0)[0] == "b"


def test_no_nodes() -> None:
    assert Balance([]).order("product", 0.0) == []


@pytest.mark.row("H1")
def test_a_turn_for_each_kind_that_begins_with_the_second() -> None:
    balance = Balance(["a", "b"], RoundRobinByKind())
    kinds = ("list", "lookup", "lookup", "list", "get_quantity", "lookup")
    assert [balance.order(kind, 0.0)[0] for kind in kinds] == ["b", "b", "a", "a", "b", "b"]
    assert firsts(Balance(["a", "b", "c"], RoundRobinByKind()), 4) == ["b", "c", "a", "b"]
    assert firsts(Balance(["a"], RoundRobinByKind()), 2) == ["a", "a"]
