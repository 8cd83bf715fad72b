"""One line of a history. What the words mean stands in `history.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from attrs import field, frozen

NEMESIS = "nemesis"
INVOKE, OK, FAIL, INFO = TYPES = ("invoke", "ok", "fail", "info")

Value = Mapping[str, Any]


class BadHistory(ValueError):
    """The file is no history; says in which line, and why."""


@frozen
class Event:
    """One line. `index` counts from 0, `time` is in nanoseconds of one clock that never goes back; `process` is a number,
    or "nemesis". `error` is why, for a `fail` or an `info`."""

    index: int
    time: int
    process: int | str
    type: str
    f: str
    value: dict[str, Any] = field(factory=dict)
    front: str = ""
    generation: int = 0
    error: str = ""


class Line(Protocol):
    """The same, by whatever class: an `Event`, or what a file is read into."""

    @property
    def index(self) -> int: ...

    @property
    def time(self) -> int: ...

    @property
    def process(self) -> int | str: ...

    @property
    def type(self) -> str: ...

    @property
    def f(self) -> str: ...

    @property
    def value(self) -> dict[str, Any]: ...

    @property
    def front(self) -> str: ...

    @property
    def generation(self) -> int: ...

    @property
    def error(self) -> str: ...
