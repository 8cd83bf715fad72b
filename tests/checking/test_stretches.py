"""Which operations stand in which stretch of a long history: what a real store did under faults, in few words."""

from __future__ import annotations

from tests.checking.stories import Lines, Story, final, order
from toystore.checking.final import Final

ORDERS = 220
"""One a second, of one unit each: more than are judged whole."""
CANCELLED = 3
ONE: Lines = (("Tux", 1),)


def index_of(number: int) -> int:
    """Every other index, so that there is room for a cancellation."""
    return 10 + 2 * number


CANCELLED_AT = index_of(CANCELLED) + 1


def ledger() -> Final:
    """Of all that there was one unit is left, which came back."""
    rows = [
        order(n, f"k{n}", index_of(n), ONE, cancelled_at=CANCELLED_AT if n == CANCELLED else None) for n in range(ORDERS)
    ]
    return final(*rows, initial=ORDERS)


def story(unheard: tuple[int, ...] = ()) -> Story:
    """All bought, in turn; at the end there is too little for two."""
    told = Story()
    for n in range(ORDERS):
        span = (float(n), n + 0.5)
        if n in unheard:
            told.unsure(f"k{n}", span, ONE)
        else:
            told.bought(f"k{n}", n, index_of(n), span, ONE)
    return told.refused("late", (300.0, 300.5), (("Tux", 2),))


def test_such_a_history_is_right() -> None:
    assert story().cancelled(CANCELLED, CANCELLED_AT, (3.6, 3.9)).faults(ledger()) == ""


def test_who_cancels_again_much_later_stands_where_that_was_answered() -> None:
    told = story().cancelled(CANCELLED, CANCELLED_AT, (3.6, 3.9))
    assert told.cancelled(CANCELLED, index_of(ORDERS) + 5, (310.0, 310.5)).faults(ledger()) == ""


def test_a_cancellation_may_be_answered_as_of_a_later_index() -> None:
    """The front end asked twice, under one request id: the second leader answered."""
    assert story().cancelled(CANCELLED, index_of(CANCELLED + 2), (3.6, 5.9)).faults(ledger()) == ""


def test_a_cancellation_may_be_that_of_an_attempt_that_never_heard() -> None:
    told = story().tell("cancel", (3.6, 3.9), {"number": CANCELLED}, "info")
    assert told.cancelled(CANCELLED, index_of(ORDERS) + 5, (310.0, 310.5)).faults(ledger()) == ""


def test_a_second_attempt_that_never_heard_does_not_lengthen_its_stretch() -> None:
    told = story(unheard=(7,)).cancelled(CANCELLED, CANCELLED_AT, (3.6, 3.9))
    assert told.unsure("k7", (310.0, 310.5), ONE).faults(ledger()) == ""


def test_a_refusal_without_reason_is_still_found_by_both() -> None:
    told = story().cancelled(CANCELLED, CANCELLED_AT, (3.6, 3.9)).refused("early", (50.6, 50.9), ONE)
    faults = told.faults(ledger())
    assert "lack of stock" in faults
    assert "stretches" in faults
