"""Figures: what is counted of runs, and the table that shows it."""

from __future__ import annotations

from tests.simulation.figures import COLUMNS, Measured, measure, row, table
from tests.simulation.lanes import LANES


def test_a_run_is_measured() -> None:
    measured = measure(("orders", "raft", 3))
    assert not measured.broken
    assert measured.cpu > 0
    assert measured.simulated > 27
    assert measured.commits > 0
    assert measured.hits <= set(LANES["orders"].points("raft"))


def test_a_table_has_medians_rates_and_what_was_hit() -> None:
    first, second, *_ = LANES["orders"].points("raft")
    runs = [
        Measured(1, 0.5, 30.0, 100, 3, 9, frozenset([first])),
        Measured(2, 1.5, 40.0, 300, 5, 11, frozenset([first, second]), "order 3 is lost"),
        Measured(3, 1.0, 20.0, 150, 4, 10, frozenset()),
    ]
    points = len(LANES["orders"].points("raft"))
    cells = row("orders", "raft", runs, 2.0)
    assert cells == ["orders", "raft", "3", "90", "150", "4", "10", "30", f"2 of {points}", "2"]
    lines = table([cells]).splitlines()
    assert lines[0] == lines[2] == lines[4]
    assert lines[1].split("  ")[0] == COLUMNS[0].ljust(6)[: len(lines[1].split("  ")[0])]
    assert all(len(line) <= len(lines[0]) for line in lines)
