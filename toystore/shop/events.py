"""What a shopper tells while it shops, to whoever prints or records it."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from toystore.shop.dialects import Promised


@frozen
class Answer:
    """A request of this kind came to its end: it was sent at `at`, in seconds of the shopper's clock, and took so many;
    the outcome is one of `tally.OUTCOMES`."""

    kind: str
    at: float
    outcome: str
    seconds: float


@frozen
class Looked:
    """What the store said of a product."""

    name: str
    body: bytes


@frozen
class Placing:
    """An order is about to be sent."""

    name: str
    quantity: int
    side: str


@frozen
class Placed:
    """The store has promised the order, in these words."""

    promised: Promised
    body: bytes


@frozen
class Checked:
    """The store was asked for a promised order; `fault` says what is wrong, None: it is as it was promised."""

    promised: Promised
    fault: str | None


Event = Answer | Looked | Placing | Placed | Checked
Tell = Callable[[Event], None]


def tell_nobody(event: Event) -> None:
    """Nobody wants to know."""
