"""The scripted cases of the stock trader's client (row B4): three orders, and two that the store must refuse.

What is right follows from the stock that the store tells before each case, so that the script may be run again; nobody
else should trade in these stocks meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from attrs import frozen

from toystore.shop.dialects import Ask, BadReply, Promised, Reply, Trader
from toystore.shop.shopper import Sender

INSUFFICIENT = "refused: Trading not permitted due to insufficient volume"
NOT_FOUND = "refused: Stock not found"
KEPT = "an order that is kept as it was placed"


@frozen
class Case:
    """What is asked for; `side` is what the client writes as the type of the order."""

    label: str
    name: str
    side: str
    quantity: int

    def expected(self, stock: int) -> str:
        """What the store must answer when it has so many."""
        if self.side not in ("BUY", "SELL") or self.quantity < 1:
            return NOT_FOUND
        return INSUFFICIENT if self.side == "BUY" and self.quantity > stock else KEPT


@frozen
class Judged:
    """What a case came to."""

    case: Case
    expected: str
    seen: str

    @property
    def right(self) -> bool:
        return self.expected == self.seen


CASES: Sequence[Case] = (
    Case("sell 25 of stock3", "stock3", "SELL", 25),
    Case("buy 100 of stock5", "stock5", "BUY", 100),
    Case("buy 10 of stock8", "stock8", "BUY", 10),
    Case("buy -5 of stock1, a negative quantity", "stock1", "BUY", -5),
    Case("an order of type 'word' for stock1", "stock1", "word", 1),
)

_trader = Trader()


class NoAnswer(Exception):
    """The store did not answer, so nothing can be said of the cases."""


async def try_case(sender: Sender, case: Case) -> Judged:
    """Raises NoAnswer."""
    try:
        stock = _trader.quantity(await _ask(sender, _trader.look(case.name)))
        body = {"name": case.name, "quantity": case.quantity, "type": case.side}
        reply = await _ask(sender, Ask("/orders", json.dumps(body).encode()))
        return Judged(case, case.expected(stock), await _seen(sender, case, reply))
    except (BadReply, ValueError) as error:
        raise NoAnswer(f"{case.label}: {error}") from error


async def _seen(sender: Sender, case: Case, reply: Reply) -> str:
    if _trader.refuses(reply):
        return f"refused: {reply.json()['error']['message']}"
    number = _trader.number(reply)
    order = _trader.order(await _ask(sender, _trader.query(number)))
    promised = Promised(number, case.name, case.quantity, case.side.lower())
    return KEPT if order == promised else f"order {number} is {order}"


async def _ask(sender: Sender, ask: Ask) -> Reply:
    answer = await sender.send(ask)
    if answer.reply is None:
        raise NoAnswer(f"{ask.path}: {answer.outcome}")
    return answer.reply
