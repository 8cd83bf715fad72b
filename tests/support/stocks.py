"""A shop that speaks one of the dialects of stocks, over the fake front end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from twisted.internet.testing import StringTransport
from twisted.logger import formatEvent, globalLogPublisher

from tests.support.front import Customer, Front, Got
from toystore.frontend.dialects import make_dialect
from toystore.model import BOUND, CatalogRow, Line, PlaceOrder, Request
from toystore.web.answers import ErrorShape
from toystore.web.site import make_site

NOT_WHOLE = ("", "3", "ten", 0.5, 1.5, True, False, None, [], {}, BOUND + 1, -BOUND - 1, 10**30)
"""Quantities that are no whole number the ledger could hold."""


class StockShop:
    """`options` are those of the dialect, `front` those of the front end."""

    errors: ErrorShape

    def __init__(
        self, dialect: str, rows: Sequence[CatalogRow], front: dict[str, Any] | None = None, **options: Any
    ) -> None:
        self.front = Front(rows=rows, **(front or {}))
        made = make_dialect(dialect, self.front.store, "USD", self.front.new_id, options)
        self.errors = made.errors
        self.resource = made.resource()
        self.customer = Customer(self.resource, self.front.clock)

    def trade(self, name: Any, type_: Any, quantity: Any, path: str = "/orders", **options: Any) -> Got:
        return self.customer.post(path, {"name": name, "type": type_, "quantity": quantity}, **options)

    def sell_elsewhere(self, name: str, quantity: int) -> None:
        """Through another front end: this one hears of it by the feed."""
        self.front.orders[2].submit([Request("elsewhere", PlaceOrder("sell", (Line(name, quantity),), "elsewhere"))])

    def lose_leader(self) -> None:
        """The third replica dies, and the second one leads."""
        dead, heir = self.front.orders[2], self.front.orders[1]
        dead.unreachable, dead.leads = True, False
        heir.leads, heir.term = True, 2

    def raw(self, request: bytes) -> bytes:
        """What a connection of its own gives back, byte for byte."""
        site = make_site(self.resource, self.front.clock, errors=self.errors)
        channel: Any = site.buildProtocol(None)
        transport = StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(request)
        return transport.value()

    def stock(self, name: str) -> int:
        return self.front.ledger.product(name).quantity

    def volume(self, name: str) -> int:
        return self.front.ledger.product(name).volume


def error(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


@contextmanager
def log_lines() -> Iterator[list[str]]:
    """What is logged meanwhile, at any level."""
    lines: list[str] = []

    def hear(event: Any) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(hear)
    try:
        yield lines
    finally:
        globalLogPublisher.removeObserver(hear)
