"""A recorded run as files: the history, and the folder of what the ledger held at the end (`final`)."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from toystore.checking.events import BadHistory
from toystore.checking.final import CHANGES, INITIAL, ORDERS, PRODUCTS, Final
from toystore.checking.history import read_lines
from toystore.checking.operations import Recording, recording
from toystore.checking.report import Report, check
from toystore.checking.staleness import BOUND
from toystore.encoding import EncodingError, from_json
from toystore.model import CatalogChange, Order, Product

T = TypeVar("T")


def judge(history: Path, final: Path, *, bound: int = BOUND, windows: int = 20) -> Report:
    """Read both and run all checkers (`report.check`). Raises BadHistory, OSError."""
    with _much_will_be_kept():
        return check(read_recording(history), read_final(final), bound=bound, windows=windows)


def read_recording(path: Path) -> Recording:
    """Raises BadHistory, OSError."""
    with path.open("rb") as file:
        return recording(read_lines(file))


def read_final(folder: Path) -> Final:
    """Raises BadHistory, OSError."""
    orders = _rows(folder / ORDERS, Order)
    products = _rows(folder / PRODUCTS, Product)
    changes = _rows(folder / CHANGES, CatalogChange) if (folder / CHANGES).exists() else None
    initial = None
    if (folder / INITIAL).exists():
        try:
            initial = from_json((folder / INITIAL).read_bytes(), dict[str, int])
        except EncodingError as error:
            raise BadHistory(f"{folder / INITIAL}: {error}") from error
    return Final(orders, products, changes, initial)


def _rows(path: Path, cls: type[T]) -> list[T]:
    with path.open("rb") as file:
        return read_rows(file, cls, str(path))


def read_rows(lines: Iterable[bytes], cls: type[T], what: str) -> list[T]:
    """The rows of an export. Raises BadHistory, which names `what` and the line."""
    rows: list[T] = []
    for line in lines:
        try:
            rows.append(from_json(line, cls))
        except EncodingError as error:
            raise BadHistory(f"{what}, line {len(rows) + 1}: {error}") from error
    return rows


@contextmanager
def _much_will_be_kept() -> Iterator[None]:
    """Millions of values without a cycle among them: to look for garbage in these again and again takes most of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
