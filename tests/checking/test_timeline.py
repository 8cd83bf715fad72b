"""Stock over time, against the plainest way to say the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.checking.stories import final, order
from toystore.checking.timeline import Shelf, shelves

SHELVES = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)), min_size=1, unique_by=lambda row: row[0]).map(
    lambda rows: Shelf("Tux", [index for index, _ in sorted(rows)], [left for _, left in sorted(rows)])
)


@given(SHELVES, st.integers(0, 70))
def test_what_was_left_at_an_index(shelf: Shelf, index: int) -> None:
    known = [row for row in zip(shelf.indices, shelf.quantities, strict=True) if row[0] <= index]
    assert shelf.at(index) == (known[-1] if known else None)


@given(SHELVES, st.integers(0, 10), st.integers(0, 70))
def test_where_less_was_left_for_the_first_time(shelf: Shelf, quantity: int, index: int) -> None:
    def left(at: int) -> int | None:
        known = shelf.at(at)
        return None if known is None else known[1]

    naive = next((at for at in range(index, 80) if (there := left(at)) is not None and there < quantity), None)
    assert shelf.first_below(quantity, index) == naive


def test_orders_and_cancellations_move_it() -> None:
    ledger = final(order(0, "a", 10), order(1, "b", 11, (("Tux", 5),), side="sell"), order(2, "c", 12, cancelled_at=14))
    over_time = shelves(ledger)
    assert over_time is not None
    assert over_time["Tux"].indices == [-1, 10, 11, 12, 14]
    assert over_time["Tux"].quantities == [100, 98, 103, 101, 103]
