"""Commands as shops send them, drawn from a seed."""

from __future__ import annotations

from random import Random

from toystore.encoding import encode_entry
from toystore.model import (
    AdjustStock,
    CancelOrder,
    Command,
    Line,
    PlaceOrder,
    PutProduct,
    Request,
    RestockEmpty,
    SetPrice,
)

NAMES = ("Tux", "Fox", "Whale", "Python", "Élan", "Lego", "Barbie", "Yo-Yo")

LONG = 6000
"""Characters of a topic that does not fit a page of the database."""


class Commands:
    """`draw` gives the data of the next log entry."""

    names = NAMES

    def __init__(self, random: Random, life: int) -> None:
        """`life`: which process this is; no other uses the same request ids, and time goes on."""
        self._random = random
        self._drawn = 10_000 * life
        self._at = 1_000_000 * (life + 1)

    def draw(self, command: Command | None = None) -> bytes:
        """`command`, or one that is drawn; now and then under a request id, or with a key, that was used before."""
        self._drawn += 1
        self._at += self._random.randint(0, 20)
        number = self._random.randint(max(1, self._drawn - 5), self._drawn) if self._random.random() < 0.05 else self._drawn
        return encode_entry(self._at, Request(f"request-{number}", command or self._command()))

    def _command(self) -> Command:
        random, name = self._random, self._random.choice(NAMES)
        match random.choices(("order", "cancel", "adjust", "price", "put", "restock"), (60, 12, 8, 5, 5, 10))[0]:
            case "order":
                count = random.choice((1, 1, 1, 2, 4))
                lines = tuple(Line(random.choice(NAMES), random.randint(1, 9)) for _ in range(count))
                key = random.choice((self._drawn, self._drawn, self._drawn, max(1, self._drawn - 3)))
                return PlaceOrder(random.choice(("buy", "buy", "sell")), lines, f"key-{key}-{'k' * random.choice((0, 90))}")
            case "cancel":
                return CancelOrder(random.randint(0, max(1, self._drawn // 2)))
            case "adjust":
                return AdjustStock(name, random.randint(-30, 30), random.random() < 0.5)
            case "price":
                return SetPrice(name, random.randint(1, 5000))
            case "put":
                topic = random.choice(("toys", "games", "t" * LONG) if random.random() < 0.3 else ("toys", "games"))
                return PutProduct(random.choice((name, f"new-{self._drawn}")), random.randint(1, 999), topic)
            case _:
                return RestockEmpty(50, 0)
