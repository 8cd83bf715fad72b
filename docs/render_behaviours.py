"""Write docs/behaviours.rst from behaviours.csv, faults.csv and the marks of the tests.

`python docs/render_behaviours.py`; a test fails where the page is not what this writes.
"""

from __future__ import annotations

import ast
import csv
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

DOCS = Path(__file__).resolve().parent
TESTS = DOCS.parent / "tests"
Marks = dict[str, list[str]]

HEAD = """\
Behaviours
==========

toystore does what five older systems did (S0 to S4; L0 and L1 are the descriptions that they answered), and makes their
faults impossible. Each row is a promise with at least one test that carries its id
(``@pytest.mark.row("C1")``, ``@pytest.mark.fault(3)``). This page is written by ``python docs/render_behaviours.py``.

The state is one of *done*, *done in purpose* (what the system did inside; the purpose is served by the ledger and our own
peer protocol), *not done* and *not asked for*. Behind a colon stands where a row is answered otherwise than its words say,
and why.

"""


@cache
def marks(name: str) -> Marks:
    """Tests by the arguments of their marks of this name; read once."""
    found: Marks = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        where = path.relative_to(TESTS.parent).as_posix()
        for test, argument in _marks_in(ast.parse(path.read_text()), name):
            found[str(argument)].append(f"{where}::{test}")
    return found


def _marks_in(tree: ast.Module, name: str) -> Iterator[tuple[str, object]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == f"pytest.mark.{name}":
                    for argument in decorator.args:
                        yield node.name, ast.literal_eval(argument)


def rows() -> list[dict[str, str]]:
    with (DOCS / "behaviours.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def faults() -> list[dict[str, str]]:
    with (DOCS / "faults.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _table(header: list[str], widths: str, body: list[list[str]]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in [header, *body]:
        for position, cell in enumerate(row):
            lines.append(("   * - " if position == 0 else "     - ") + cell)
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Text of a cell: backquotes become literals, what reStructuredText would read as markup does not."""
    pieces = text.split("`")
    for position, piece in enumerate(pieces):
        if position % 2:
            pieces[position] = f"``{piece}``"
        else:
            pieces[position] = piece.replace("\\", "\\\\").replace("*", "\\*").replace("|", "\\|").replace("_", "\\_")
    joined = ""
    for position, piece in enumerate(pieces):
        glue = "\\ " if position % 2 or (position and joined.endswith("``")) else ""
        joined += (glue if joined and not joined.endswith(" ") and not piece.startswith(" ") else "") + piece
    return joined


def _tests(names: list[str]) -> str:
    return ", ".join(f"``{name}``" for name in names) or "none"


def render() -> str:
    by_row, by_fault = marks("row"), marks("fault")
    page = HEAD
    page += _table(
        ["id", "seen in", "behaviour", "state", "tests"],
        "5 7 50 8 30",
        [
            [row["id"], row["seed"], _plain(row["behaviour"]), _plain(row["state"]), _tests(by_row[row["id"]])]
            for row in rows()
        ],
    )
    page += "\nFaults of the five that must be impossible\n------------------------------------------\n\n"
    page += _table(
        ["fault", "what went wrong", "tests"],
        "5 55 40",
        [[row["number"], _plain(row["fault"]), _tests(by_fault[row["number"]])] for row in faults()],
    )
    return page


if __name__ == "__main__":
    (DOCS / "behaviours.rst").write_text(render())
