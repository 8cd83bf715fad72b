"""Reading a table of a TOML file into frozen attrs: every fault is collected, none stops the reading.

A class says in the metadata of its fields how each is read (`whole`, `text`, `table`, ...); a field without
such metadata is not in the file. A value that can not be read leaves its default in its place, or None where
it has none: what was read may only be trusted when there are no faults.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

import attrs
from attrs import frozen

T = TypeVar("T")

READ = "toystore.read"
KEY = "toystore.key"


@frozen
class Fault:
    """What is wrong with the value at `where`, such as `order[2].listen` , where tables count from 1."""

    where: str
    what: str


Read = Callable[[object, str, list[Fault]], Any]
"""Reads a value found at a path; adds to the faults, and gives None, where it can not."""

Metadata = Mapping[str, object]

REQUIRED = object()
"""Stands for the default of a key that must be there."""


@frozen
class Key:
    """A key that a table may have."""

    read: Read
    default: Any = REQUIRED


def shown(value: object) -> str:
    """A value as a fault names it: its kind and, where that helps, what it is."""
    match value:
        case dict():
            return "a table"
        case list():
            return "an array"
        case bool():
            return "true" if value else "false"
        case str():
            return repr(value) if len(value) <= 80 else f"{value[:77]!r}..."
        case _:
            return str(value)


# Tables -----------------------------------------------------------------------------------------------------


def read_keys(values: Mapping[str, object], keys: Mapping[str, Key], where: str, faults: list[Fault]) -> dict[str, Any]:
    """The value of each key that the table has; unknown and missing keys become faults."""
    at = f"{where}." if where else ""
    for name in values:
        if name not in keys:
            close = difflib.get_close_matches(name, keys, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys are {', '.join(keys)}"
            faults.append(Fault(at + name, f"unknown key; {hint}"))
    read = {}
    for name, key in keys.items():
        if name in values:
            before = len(faults)
            value = key.read(values[name], at + name, faults)
            if len(faults) == before or value is not None:
                read[name] = value
        elif key.default is REQUIRED:
            faults.append(Fault(at + name, "missing; this key is required"))
    return read


def read_table(cls: type[T], values: object, where: str, faults: list[Fault]) -> T | None:
    """An instance of an attrs class from a table."""
    if not isinstance(values, dict):
        faults.append(Fault(where, f"expected a table, found {shown(values)}"))
        return None
    fields: Any = attrs.fields(cls)  # type: ignore[arg-type]
    names = {f.metadata.get(KEY) or f.name: f for f in fields if READ in f.metadata}
    required = {name for name, f in names.items() if f.default is attrs.NOTHING}
    keys = {name: Key(f.metadata[READ], REQUIRED if name in required else None) for name, f in names.items()}
    read = read_keys(values, keys, where, faults)
    return cls(**{f.name: read.get(name) for name, f in names.items() if name in read or name in required})


def table(cls: type[Any]) -> Metadata:
    return {READ: lambda value, where, faults: read_table(cls, value, where, faults)}


def tables(read: Callable[[object, str, list[Fault]], Any], key: str, required: bool = False) -> Metadata:
    """An array of tables, `[[key]]`, each read by `read`."""

    def read_all(value: object, where: str, faults: list[Fault]) -> tuple[Any, ...]:
        if not isinstance(value, list):
            faults.append(Fault(where, f"expected an array of tables, [[{key}]], found {shown(value)}"))
            return ()
        if required and not value:
            faults.append(Fault(where, f"expected at least one [[{key}]], found none"))
        each = (read(item, f"{where}[{n}]", faults) for n, item in enumerate(value, 1))
        return tuple(item for item in each if item is not None)

    return {READ: read_all, KEY: key}


def rows(cls: type[Any], key: str, required: bool = False) -> Metadata:
    """An array of tables that all become `cls`."""
    return tables(lambda value, where, faults: read_table(cls, value, where, faults), key, required)


# Values -----------------------------------------------------------------------------------------------------


def value(read: Callable[[object], T]) -> Metadata:
    """A value read by a function that raises ValueError, saying what it expected."""
    return {READ: reading(read)}


def reading(read: Callable[[object], T]) -> Read:
    def read_value(found: object, where: str, faults: list[Fault]) -> T | None:
        try:
            return read(found)
        except ValueError as error:
            faults.append(Fault(where, f"expected {error}, found {shown(found)}"))
            return None

    return read_value


def whole(low: int, high: int) -> Callable[[object], int]:
    def read(found: object) -> int:
        if isinstance(found, bool) or not isinstance(found, int) or not low <= found <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return found

    return read


def seconds(low: float, high: float, low_excluded: bool = False) -> Callable[[object], float]:
    def read(found: object) -> float:
        number = found if isinstance(found, int | float) and not isinstance(found, bool) else math.nan
        if low <= number <= high and not (low_excluded and number == low):  # never true of nan
            return float(number)
        reach = f"above {low:g}, at most {high:g}" if low_excluded else f"from {low:g} to {high:g}"
        raise ValueError(f"a number of seconds {reach}")

    return read


def pair(read_one: Callable[[object], T]) -> Callable[[object], tuple[T, T]]:
    def read(found: object) -> tuple[T, T]:
        if not isinstance(found, list) or len(found) != 2:
            raise ValueError("an array of two: [lowest, highest]")
        try:
            return read_one(found[0]), read_one(found[1])
        except ValueError as error:
            raise ValueError(f"an array of two, each {error}") from error

    return read


def boolean(found: object) -> bool:
    if not isinstance(found, bool):
        raise ValueError("true or false")
    return found


def text(found: object, expected: str = "a text that is not empty") -> str:
    if not isinstance(found, str) or not found:
        raise ValueError(expected)
    return found


def one_of(choices: Collection[str]) -> Callable[[object], str]:
    def read(found: object) -> str:
        if not isinstance(found, str) or found not in choices:
            close = difflib.get_close_matches(found, choices, n=1) if isinstance(found, str) else []
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise ValueError(f"one of {', '.join(map(repr, choices))}{hint}")
        return found

    return read


def repeated(values: Iterable[tuple[str, T]]) -> Iterable[tuple[str, T, str]]:
    """Those (place, value) whose value was there before, each with the place where it was first."""
    first: dict[T, str] = {}
    for where, found in values:
        if found in first:
            yield where, found, first[found]
        else:
            first[found] = where
