"""The products that a store begins with, from a CSV file: `name,price,quantity[,number,topic,volume]`.

Prices are decimal text in major units of the currency and become minor units exactly. All faults are told at
once, each with its line.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from toystore.model import BOUND, CatalogRow
from toystore.money import minor_units
from toystore.names import product_name

T = TypeVar("T")

REQUIRED = ("name", "price", "quantity")
OPTIONAL = ("number", "topic", "volume")
MAX_TOPIC = 64


class CatalogError(Exception):
    """The file is not usable. The message has one line for each fault, `faults` has them as (line number,
    text), with 0 for the whole file."""

    def __init__(self, path: Path, faults: Sequence[tuple[int, str]]) -> None:
        super().__init__("\n".join(f"{path}: {f'line {line}: ' if line else ''}{fault}" for line, fault in faults))
        self.faults = tuple(faults)


def read_catalog(path: Path, currency: str) -> tuple[CatalogRow, ...]:
    """The rows of a catalog file (UTF-8), in its order. Raises CatalogError with all faults."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CatalogError(path, [(0, f"can not be read: {error.strerror}")]) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CatalogError(path, [(line, f"not UTF-8: {error.reason}")]) from error
    rows, faults = parse_catalog(text, currency)
    if faults:
        raise CatalogError(path, faults)
    return rows


def parse_catalog(text: str, currency: str) -> tuple[tuple[CatalogRow, ...], list[tuple[int, str]]]:
    """The rows that are right, and what is wrong with the others, as (line number, text)."""
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    sheet = _Sheet(currency)
    try:
        sheet.columns = next(reader, [])
        fault = _header_fault(sheet.columns)
        if fault:
            return (), [(1, fault)]
        for cells in reader:
            if cells:
                sheet.add(reader.line_num, cells)
    except csv.Error as error:
        sheet.faults.append((reader.line_num, f"not CSV: {error}"))
    return tuple(sheet.rows), sheet.faults


def _header_fault(columns: Sequence[str]) -> str:
    expected = ",".join((*REQUIRED, f"[{','.join(OPTIONAL)}]"))
    known = set(columns) <= {*REQUIRED, *OPTIONAL} and len(set(columns)) == len(columns)
    if not known or not set(REQUIRED) <= set(columns):
        return f"expected the header {expected}, found {','.join(columns)!r}"
    return ""


class _Sheet:
    """The rows so far: each name and each number stands once."""

    def __init__(self, currency: str) -> None:
        self.columns: Sequence[str] = ()
        self.rows: list[CatalogRow] = []
        self.faults: list[tuple[int, str]] = []
        self._currency = currency
        self._lines: dict[str | int, int] = {}
        self._next_number = 1

    def add(self, line: int, cells: Sequence[str]) -> None:
        if len(cells) != len(self.columns):
            self.faults.append((line, f"expected {len(self.columns)} values, found {len(cells)}"))
            return
        cell = dict(zip(self.columns, cells, strict=True))
        before = len(self.faults)
        name = self._read(line, "name", product_name, cell["name"])
        price = self._read(line, "price", self._price, cell["price"])
        quantity = self._read(line, "quantity", lambda text: _whole(text, 0), cell["quantity"])
        number = self._read(line, "number", lambda text: _whole_or(None, text, 1), cell.get("number", ""))
        topic = self._read(line, "topic", _topic, cell.get("topic", ""))
        volume = self._read(line, "volume", lambda text: _whole_or(0, text, 0), cell.get("volume", ""))
        if name is not None:
            self._once(line, name, f"the name {name!r}")
        if len(self.faults) == before:
            taken = self._next_number if number is None else number
            self._next_number = max(self._next_number, taken + 1)
            self._once(line, taken, f"the number {taken}")
        if len(self.faults) == before and name is not None and price is not None and quantity is not None:
            self.rows.append(CatalogRow(name, price, quantity, number, topic or "", volume or 0))

    def _price(self, text: str) -> int:
        return minor_units(text.strip(), self._currency)

    def _read(self, line: int, column: str, read: Callable[[str], T], text: str) -> T | None:
        try:
            return read(text)
        except ValueError as error:
            self.faults.append((line, f"{column}: {error}"))
            return None

    def _once(self, line: int, value: str | int, what: str) -> None:
        first = self._lines.setdefault(value, line)
        if first != line:
            self.faults.append((line, f"{what} is there already, in line {first}"))


def _whole(text: str, low: int) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 16 and low <= int(digits) <= BOUND):
        raise ValueError(f"expected a whole number from {low} to {BOUND}, found {text!r}")
    return int(digits)


def _whole_or(default: T, text: str, low: int) -> int | T:
    """The number, or the default in an empty cell."""
    return _whole(text, low) if text.strip() else default


def _topic(text: str) -> str:
    if len(text) > MAX_TOPIC or not text.isprintable():
        raise ValueError(f"expected at most {MAX_TOPIC} printable characters, found {text!r}")
    return text
