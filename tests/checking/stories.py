"""Histories made by hand, in a few words."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from attrs import define, field

from toystore.checking.final import Final
from toystore.checking.history import HistoryWriter, read_events
from toystore.checking.operations import Recording, recording
from toystore.checking.report import Report, check
from toystore.model import Order, OrderLine, OrderStatus, Product, Side

PRICE = 10
Span = tuple[float, float]
"""From when to when, in seconds."""
Lines = Sequence[tuple[str, int]]
TUX: Lines = (("Tux", 2),)


@define
class Story:
    """Each operation is that of a client of its own."""

    _events: list[tuple[int, int, dict[str, Any]]] = field(factory=list)
    _clients: int = 0

    def tell(
        self,
        f: str,
        span: Span,
        asked: dict[str, Any],
        type_: str,
        told: dict[str, Any] | None = None,
        *,
        front: str = "front-1",
        error: str = "",
        generation: int = 0,
    ) -> Story:
        self._clients += 1
        rest = {"process": self._clients, "f": f, "front": front}
        self._add(span[0], {**rest, "type_": "invoke", "value": asked})
        end = {"type_": type_, "value": told or {}, "error": error, "generation": generation}
        self._add(span[1], {**rest, **end})
        return self

    def _add(self, time: float, event: dict[str, Any]) -> None:
        self._events.append((int(time * 1e9), len(self._events), event))

    def bought(
        self, key: str, number: int, index: int, span: Span, lines: Lines = TUX, *, side: str = "buy", **more: Any
    ) -> Story:
        """Answered with the order `number`, as of `index`."""
        changes = {name: more.pop(name) for name in ("replayed", "total", "lines_told", "at") if name in more}
        told = {
            "number": number,
            "index": index,
            "lines": changes.pop("lines_told", [[name, n, PRICE] for name, n in lines]),
            "total": sum(n for _, n in lines) * PRICE,
            "replayed": False,
            **changes,
        }
        return self.tell(side, span, {"key": key, "lines": list(map(list, lines))}, "ok", told, **more)

    def unsure(self, key: str, span: Span, lines: Lines = TUX, *, side: str = "buy", **more: Any) -> Story:
        return self.tell(side, span, {"key": key, "lines": list(map(list, lines))}, "info", **more)

    def refused(
        self, key: str, span: Span, lines: Lines = TUX, *, side: str = "buy", error: str = "insufficient_stock", **more: Any
    ) -> Story:
        return self.tell(side, span, {"key": key, "lines": list(map(list, lines))}, "fail", error=error, **more)

    def cancelled(self, number: int, index: int, span: Span, **more: Any) -> Story:
        return self.tell("cancel", span, {"number": number}, "ok", {"index": index}, **more)

    def saw_order(self, number: int, index: int, span: Span, key: str = "a", **changes: Any) -> Story:
        told = {"index": index, "status": "placed", "side": "buy", "key": key, "lines": [["Tux", 2]], "total": 2 * PRICE}
        return self.tell("order", span, {"number": number}, "ok", {**told, **changes})

    def saw_no_order(self, number: int, span: Span) -> Story:
        return self.tell("order", span, {"number": number}, "ok", {"status": "unknown"})

    def saw(
        self, quantity: int, version: int, index: int, span: Span, *, f: str = "product", age: Any = None, **more: Any
    ) -> Story:
        """Some of "Tux"."""
        told = {"name": "Tux", "quantity": quantity, "version": version, "index": index, "age": age}
        return self.tell(f, span, {"name": "Tux"}, "ok", told, **more)

    def ended(self, front: str, time: float) -> Story:
        """The process of a front end."""
        self._add(time, {"process": "nemesis", "type_": "info", "f": "kill", "front": front})
        return self

    def recording(self) -> Recording:
        """By way of the file."""
        file = io.BytesIO()
        writer = HistoryWriter(file)
        for time, _, event in sorted(self._events, key=lambda item: item[:2]):
            writer.record(time, **event)
        return recording(read_events(io.BytesIO(file.getvalue())))

    def judge(self, final: Final, **options: Any) -> Report:
        return check(self.recording(), final, **options)

    def faults(self, final: Final, **options: Any) -> str:
        """All that is wrong, as text; "" if nothing is."""
        return "\n".join(map(str, self.judge(final, **options).anomalies))


def order(
    number: int, key: str, index: int, lines: Lines = TUX, *, side: str = "buy", cancelled_at: int | None = None
) -> Order:
    status = OrderStatus.PLACED if cancelled_at is None else OrderStatus.CANCELLED
    rows = tuple(OrderLine(name, n, PRICE) for name, n in lines)
    return Order(number, Side(side), rows, status, 1_000 + index, index, 1, cancelled_at or index, key)


def final(*orders: Order, initial: int = 100, left: int | None = None, version: int | None = None) -> Final:
    """A ledger of nothing but "Tux"; `left` and `version`: as the orders say."""
    quantity, changed = initial, 0
    for placed in orders:
        changed = max(changed, placed.changed)
        for line in placed.lines:
            if placed.status is OrderStatus.PLACED:
                quantity += line.quantity if placed.side is Side.SELL else -line.quantity
    changed = changed if version is None else version
    product = Product("Tux", 1, PRICE, quantity if left is None else left, "", changed, 0)
    return Final(orders, [product], initial={"Tux": initial})
