"""Events become operations: what a client asked, with what came of it. Pure.

Times are in nanoseconds, as in the file. An operation of which nobody knows what came of it ends at `NEVER`: it may take
effect at any time, or not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from attrs import define, evolve, field, frozen

from toystore.checking.events import INFO, INVOKE, NEMESIS, OK, BadHistory, Event, Line

NEVER = 2**63 - 1

Lines = tuple[tuple[str, int], ...]
"""Names and quantities."""


@frozen
class Operation:
    """`event` is the index of the event that began it; `outcome` is "ok", "fail" or "info", `error` the reason of the
    last two. `generation` and `index` are those of the answer, 0 where it has none."""

    event: int
    process: int
    front: str
    invoked: int
    ended: int
    outcome: str
    error: str
    generation: int
    index: int

    @property
    def what(self) -> str:
        raise NotImplementedError

    def __str__(self) -> str:
        """For people who look for it in the file."""
        end = "ever" if self.ended == NEVER else f"{self.ended / 1e9:.6f} s"
        through = f" through {self.front}" if self.front else ""
        return f"{self.what} (event {self.event}, client {self.process}{through}, from {self.invoked / 1e9:.6f} s to {end})"


@frozen
class Placing(Operation):
    """A buy or sell. `lines` are what was asked for, those of one product summed; the rest is what was answered, None
    where it was not; `priced` has (name, quantity, unit price) of each line."""

    key: str
    side: str
    lines: Lines
    number: int | None
    total: int | None
    replayed: bool
    at: int | None
    priced: tuple[tuple[str, int, int], ...] | None

    @property
    def what(self) -> str:
        told = "" if self.number is None else f", answered as order {self.number}"
        return f"the {self.side} with key {self.key!r}{told}"


@frozen
class Cancelling(Operation):
    number: int

    @property
    def what(self) -> str:
        return f"the cancellation of order {self.number}"


@frozen
class OrderRead(Operation):
    """A linearizable read. `status` is "unknown" where there was no such order; the rest is None then."""

    number: int
    status: str
    side: str | None
    key: str | None
    lines: Lines | None
    total: int | None

    @property
    def what(self) -> str:
        return f"the read of order {self.number}"


@frozen
class ProductRead(Operation):
    """Of a product as of `index`: `linearizable`, or from what a front end or catalog had. `marked` says that the answer
    bore an age, `age` how many seconds it was (None: unknown)."""

    name: str
    linearizable: bool
    quantity: int
    version: int
    marked: bool
    age: float | None

    @property
    def what(self) -> str:
        kind = "linearizable" if self.linearizable else "cached"
        return f"the {kind} read of {self.name!r}"


@define
class Recording:
    """All operations by kind, each list in the order in which they began. `endings` are the times at which a front end's
    process ended; `passed_over` counts what is not judged: reads without a value, and operations of other kinds."""

    placings: list[Placing] = field(factory=list)
    cancellings: list[Cancelling] = field(factory=list)
    order_reads: list[OrderRead] = field(factory=list)
    stock_reads: list[ProductRead] = field(factory=list)
    product_reads: list[ProductRead] = field(factory=list)
    endings: dict[str, list[int]] = field(factory=dict)
    passed_over: Counter[str] = field(factory=Counter)
    faults: int = 0
    generation: int = 0
    """The highest that any answer named."""
    forgiven: int = 0
    """Answers of an older generation: an operator has accepted that they may be lost."""

    @property
    def count(self) -> int:
        reads = len(self.order_reads) + len(self.stock_reads) + len(self.product_reads)
        return len(self.placings) + len(self.cancellings) + reads + self.passed_over.total()


def recording(events: Iterable[Line]) -> Recording:
    """The operations of a whole history. Raises BadHistory, which names the event."""
    reader = _Reader()
    for event in events:
        try:
            reader.take(event)
        except (KeyError, TypeError, ValueError) as error:
            why = f"{error} is missing in its value" if isinstance(error, KeyError) else str(error)
            raise BadHistory(f"event {event.index} ({event.type} of {event.f}): {why}") from error
    return reader.finished()


class _Reader:
    """Joins the two events of each operation."""

    def __init__(self) -> None:
        self._recording = Recording()
        self._open: dict[int, Line] = {}
        self._ended: set[int] = set()
        self._bodies: dict[Lines, Lines] = {}
        self._names: dict[str, str] = {}
        self._makers = {
            "buy": self._placing,
            "sell": self._placing,
            "cancel": self._cancelling,
            "order": self._order_read,
            "stock": self._product_read,
            "product": self._product_read,
        }

    def take(self, event: Line) -> None:
        process = event.process
        if not isinstance(process, int):
            if process != NEMESIS:
                raise BadHistory(f"its process is {process!r}; it must be a number, or {NEMESIS!r}")
            self._recording.faults += 1
            if event.front:
                self._recording.endings.setdefault(event.front, []).append(event.time)
        elif event.type == INVOKE:
            if process in self._open:
                raise BadHistory(
                    f"process {process} begins another operation before the end of event {self._open[process].index}"
                )
            if process in self._ended:
                raise BadHistory(f"process {process} goes on after an info; it must take a new number")
            self._open[process] = event
        else:
            asked = self._open.pop(process, None)
            if asked is None or asked.f != event.f or event.time < asked.time:
                raise BadHistory(f"it ends nothing that process {process} has begun, or ends it before")
            if event.type == INFO:
                self._ended.add(process)
            self._operation(asked, event)

    def finished(self) -> Recording:
        for asked in self._open.values():
            self._operation(asked, Event(asked.index, asked.time, asked.process, INFO, asked.f, error="the history ends"))
        result = self._recording
        result.placings.sort(key=_began)
        result.cancellings.sort(key=_began)
        result.order_reads.sort(key=_began)
        result.stock_reads.sort(key=_began)
        result.product_reads.sort(key=_began)
        _forgive(result)
        return result

    def _operation(self, asked: Line, told: Line) -> None:
        make = self._makers.get(asked.f)
        if make is None:
            self._recording.passed_over[asked.f] += 1
        else:
            make(asked, told)

    def _base(self, asked: Line, told: Line) -> tuple[int, int, str, int, int, str, str, int, int]:
        """The fields that all operations have."""
        ok = told.type == OK
        ended = NEVER if told.type == INFO else told.time
        index = 0 if not ok or told.value.get("status") == "unknown" else _whole(told.value, "index")
        if ok and told.generation > self._recording.generation:
            self._recording.generation = told.generation
        process = asked.process
        assert isinstance(process, int)
        return asked.index, process, asked.front, asked.time, ended, told.type, told.error, told.generation, index

    def _placing(self, asked: Line, told: Line) -> None:
        key, value = _text(asked.value, "key"), told.value
        units: dict[str, int] = {}
        for name, quantity in asked.value["lines"]:
            units[self._names.setdefault(name, name)] = units.get(name, 0) + quantity
        lines = tuple(units.items())
        lines = self._bodies.setdefault(lines, lines)
        base = self._base(asked, told)
        if told.type != OK:
            self._recording.placings.append(Placing(*base, key, asked.f, lines, None, None, False, None, None))
            return
        priced = value.get("lines")
        full = None if not priced or len(priced[0]) < 3 else tuple((name, n, price) for name, n, price in priced)
        number, total, at = _whole(value, "number"), _whole(value, "total"), value.get("at")
        replayed = bool(value["replayed"])
        self._recording.placings.append(Placing(*base, key, asked.f, lines, number, total, replayed, at, full))

    def _cancelling(self, asked: Line, told: Line) -> None:
        self._recording.cancellings.append(Cancelling(*self._base(asked, told), _whole(asked.value, "number")))

    def _order_read(self, asked: Line, told: Line) -> None:
        number, value = _whole(asked.value, "number"), told.value
        if told.type != OK:
            self._recording.passed_over["order without an answer"] += 1
            return
        base, status = self._base(asked, told), _text(value, "status")
        if status == "unknown":
            read = OrderRead(*base, number, status, None, None, None, None)
        else:
            lines = tuple((line[0], line[1]) for line in value["lines"])
            lines = self._bodies.setdefault(lines, lines)
            side, key, total = _text(value, "side"), _text(value, "key"), _whole(value, "total")
            read = OrderRead(*base, number, status, side, key, lines, total)
        self._recording.order_reads.append(read)

    def _product_read(self, asked: Line, told: Line) -> None:
        name, value = _text(asked.value, "name"), told.value
        if told.type != OK:
            self._recording.passed_over[f"{asked.f} without an answer"] += 1
            return
        name, linearizable = self._names.setdefault(name, name), asked.f == "stock"
        quantity, version, age = _whole(value, "quantity"), _whole(value, "version"), value.get("age")
        if age is not None and not isinstance(age, int | float):
            raise TypeError(f"the age is {age!r}; it must be a number of seconds, or null")
        known = None if age is None or age < 0 else float(age)
        read = ProductRead(*self._base(asked, told), name, linearizable, quantity, version, age is not None, known)
        (self._recording.stock_reads if linearizable else self._recording.product_reads).append(read)


def _began(operation: Operation) -> tuple[int, int]:
    return operation.invoked, operation.event


def _whole(value: Mapping[str, Any], name: str) -> int:
    found = value[name]
    if type(found) is not int:
        raise TypeError(f"{name} is {found!r}; it must be a whole number")
    return found


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value[name]
    if not isinstance(found, str):
        raise TypeError(f"{name} is {found!r}; it must be a text")
    return found


O = TypeVar("O", bound=Operation)  # noqa: E741


def _forgive(recording: Recording) -> None:
    """Whoever was answered in an older generation may have lost what the answer said: it counts as if nobody knew."""
    latest = recording.generation
    if not latest:
        return

    def lost(operation: Operation) -> bool:
        return operation.outcome == OK and operation.generation < latest

    def forgotten(operation: O) -> O:
        if not lost(operation):
            return operation
        recording.forgiven += 1
        return evolve(operation, outcome=INFO, ended=NEVER, index=0)

    recording.placings = [forgotten(placing) for placing in recording.placings]
    recording.cancellings = [forgotten(cancelling) for cancelling in recording.cancellings]
    before = recording.count
    recording.order_reads = [read for read in recording.order_reads if read.status == "unknown" or not lost(read)]
    recording.stock_reads = [read for read in recording.stock_reads if not lost(read)]
    recording.product_reads = [read for read in recording.product_reads if not lost(read)]
    recording.forgiven += before - recording.count
