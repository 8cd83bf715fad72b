"""docs/behaviours.rst is what the tests say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
spec = importlib.util.spec_from_file_location("render_behaviours", DOCS / "render_behaviours.py")
assert spec is not None
assert spec.loader is not None
page = importlib.util.module_from_spec(spec)
spec.loader.exec_module(page)

ROWS = {row["id"]: row for row in page.rows()}
FAULTS = {row["number"] for row in page.faults()}
STATES = {"done", "done in purpose", "not done", "not asked for"}


def test_the_page_is_up_to_date() -> None:
    assert (DOCS / "behaviours.rst").read_text() == page.render(), "run: python docs/render_behaviours.py"


@pytest.mark.parametrize("id_", ROWS)
def test_a_row_that_is_done_has_a_test(id_: str) -> None:
    state, _, _ = ROWS[id_]["state"].partition(": ")
    assert state in STATES
    if state.startswith("done"):
        assert page.marks("row")[id_], f"{id_} is {state}, and no test carries its id"


def test_marks_name_rows_and_faults_that_exist() -> None:
    assert set(page.marks("row")) <= set(ROWS)
    assert set(page.marks("fault")) <= FAULTS
