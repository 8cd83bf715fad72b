"""How two of the older systems' clients told what they did, line by line (rows B2 and B3). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from toystore.shop.events import Checked, Event, Looked, Placed, Placing
from toystore.shop.shopper import Habits
from toystore.shop.tally import Tally
from toystore.shop.verdict import Verdict


class Style(Protocol):
    """`habits` are what its client did where it was told nothing else, all by itself over one connection."""

    habits: Habits

    def line(self, event: Event) -> str | None:
        """What is printed of an event; None: nothing."""

    def summary(self, tally: Tally, verdict: Verdict, habits: Habits) -> Iterator[str]:
        """The lines at the end."""


def average(tally: Tally, kind: str) -> float | None:
    """In seconds, None where there was no answer."""
    milliseconds = tally.latency(kind)["avg"]
    return None if milliseconds is None else milliseconds / 1000


class ToysStyle:
    """The toy store's client: each order is asked for right after it was bought."""

    habits = Habits(50, 0.4, (1, 10), check_at_once=True)

    def line(self, event: Event) -> str | None:
        match event:
            case Looked(name, body):
                return f"Query result for {name}: {_text(body)}"
            case Placing(name, quantity):
                return f"placing order for {name}, {quantity}"
            case Placed(promised, body):
                return f"Order result for {promised.name}: {_text(body)}"
            case Checked(promised, None):
                return f"Verified order {promised.number}: {promised.name} {promised.quantity}"
            case Checked(promised, fault):
                return f"Order {promised.number} is NOT as it was promised: {fault}"
        return None

    def summary(self, tally: Tally, verdict: Verdict, habits: Habits) -> Iterator[str]:
        yield f"Results for buy/purchase probability: {100 * habits.probability:.1f}%"
        for label, kind in (("Product Query", "lookup"), ("Order Query", "order query"), ("Buy Request", "buy")):
            seconds = average(tally, kind)
            shown = "N/A" if seconds is None else f"{seconds:.6f} seconds"
            yield f"***Average Response Time {label}: {shown}***"


class BazaarStyle:
    """The stock bazaar's client: all orders are asked for at the end."""

    habits = Habits(100, 0.4, (1, 100))

    def line(self, event: Event) -> str | None:
        match event:
            case Checked(promised, fault):
                order = f"{promised.number}: {promised.side} {promised.quantity} {promised.name}"
                return f"Order {order}: {'MATCH' if fault is None else f'NO MATCH ({fault})'}"
        return None

    def summary(self, tally: Tally, verdict: Verdict, habits: Habits) -> Iterator[str]:
        if verdict.wrong:
            yield "A NON-MATCH WAS FOUND"
        elif verdict.unanswered:
            yield f"NOT SURE: {len(verdict.unanswered)} orders could not be asked for"
        else:
            yield "ALL ORDERS VERIFIED"
        yield f"Successful Trades Made: {tally.orders}"
        for label, kind in (("Lookup", "lookup"), ("Trade", "buy"), ("Order Query", "order query")):
            seconds = average(tally, kind)
            yield f"Average {label} Time: {'N/A' if seconds is None else f'{1000 * seconds:.3f} ms'}"


STYLES: dict[str, Style] = {"toys": ToysStyle(), "bazaar": BazaarStyle()}


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")
