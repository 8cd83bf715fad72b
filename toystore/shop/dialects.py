"""How a shopper speaks to a store: one small client for each dialect.

A client makes requests and reads replies; it neither sends nor counts. To add a dialect, write a class with
the methods of `Dialect` and enter it in `DIALECTS`.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from attrs import frozen

TOYS = ("Tux", "Whale", "Fox", "Python", "Barbie", "Lego", "Monopoly", "Frisbee", "Marbles", "Giraffe")
TRADER = tuple(f"stock{n}" for n in range(1, 9))
BAZAAR = ("apple", "tesla", "ford", "amazon", "nvidia", "intel", "meta", "nike", "amc", "gamestop")
FLASK = (
    "FrendCo", "FanStart", "LionCo", "Hellow", "FishCo", "MehirCo", "WorldCo", "GameStart", "EnergyCo", "BoarCo", "FanCo",
)  # fmt: skip
BOOKS = tuple(str(number) for number in range(1, 8))
"""What the stores of these dialects have (rows C1 to C5); books go by their numbers."""

NOT_BOUGHT = "Item is unavailable."
"""How the book store refuses."""


class BadReply(Exception):
    """A reply that this dialect does not have."""


@frozen
class Ask:
    """A request: `body` None is a GET, else a POST of JSON."""

    path: str
    body: bytes | None = None


@frozen
class Reply:
    status: int
    body: bytes

    def json(self) -> Any:
        """Raises BadReply."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise BadReply(f"status {self.status}, and no JSON: {self.body[:80]!r}") from error


@frozen
class Promised:
    """An order as the store promised it, and as it tells of it later; `side` is buy or sell, `number` is None where
    orders have none."""

    number: int | None
    name: str
    quantity: int
    side: str = "buy"


class Dialect(Protocol):
    """`known` are the products to ask for where the dialect has no list and the shopper was told nothing else;
    `sides` are what a shopper does there, buy or sell; `largest` is how many units an order may have (None: no
    limit). `log` asks for all that was ever bought, where orders have no numbers to ask for them by (None: they
    have)."""

    known: Sequence[str]
    sides: Sequence[str]
    largest: int | None
    log: Ask | None

    def refuses(self, reply: Reply) -> bool:
        """Whether a 2xx reply says no all the same."""

    def names(self, after: str | None) -> Ask | None:
        """Ask for a page of product names; None where the dialect has no list."""

    def named(self, reply: Reply) -> tuple[Sequence[str], str | None]:
        """The names, and where the next page begins (None: that was all)."""

    def look(self, name: str) -> Ask: ...

    def quantity(self, reply: Reply) -> int:
        """The stock in a 2xx reply to `look`."""

    def place(self, name: str, quantity: int, side: str) -> Ask:
        """Ask for an order; the side is one of `sides`."""

    def number(self, reply: Reply) -> int | None:
        """The order number in a 2xx reply to `place`; None where orders have none."""

    def query(self, number: int) -> Ask: ...

    def order(self, reply: Reply) -> Promised:
        """The order in a 2xx reply to `query`."""

    def bought(self, reply: Reply) -> Counter[str]:
        """The units bought of each product, in a 2xx reply to `log`."""


class _Numbered:
    """What all dialects share whose orders have numbers."""

    largest: int | None = None
    log: Ask | None = None

    def refuses(self, reply: Reply) -> bool:
        return False

    def bought(self, reply: Reply) -> Counter[str]:
        raise BadReply("this dialect has no list of what was bought")


class V1(_Numbered):
    """The store's own API."""

    known: Sequence[str] = TOYS
    sides: Sequence[str] = ("buy",)

    def names(self, after: str | None) -> Ask | None:
        return Ask("/v1/products?" + urlencode({"limit": 100} | ({"after": after} if after else {})))

    def named(self, reply: Reply) -> tuple[Sequence[str], str | None]:
        page = _object(reply.json())
        return [str(_field(product, "name")) for product in _field(page, "data")], page.get("next")

    def look(self, name: str) -> Ask:
        return Ask(f"/v1/products/{quote(name, safe='')}")

    def quantity(self, reply: Reply) -> int:
        return int(_field(_data(reply), "quantity"))

    def place(self, name: str, quantity: int, side: str) -> Ask:
        lines = [{"name": name, "quantity": quantity}]
        return Ask("/v1/orders", json.dumps({"side": side, "lines": lines}).encode())

    def number(self, reply: Reply) -> int:
        return int(_field(_data(reply), "number"))

    def query(self, number: int) -> Ask:
        return Ask(f"/v1/orders/{number}")

    def order(self, reply: Reply) -> Promised:
        order = _data(reply)
        lines = _field(order, "lines")
        if not isinstance(lines, list) or len(lines) != 1:
            raise BadReply(f"an order of one line came back as {order}")
        return Promised(int(_field(order, "number")), str(_field(lines[0], "name")), int(_field(lines[0], "quantity")))


class _Unlisted(_Numbered):
    """What most of the older dialects share: no list of products."""

    def names(self, after: str | None) -> Ask | None:
        return None

    def named(self, reply: Reply) -> tuple[Sequence[str], str | None]:
        raise BadReply("this dialect has no list")

    def quantity(self, reply: Reply) -> int:
        return int(_field(_data(reply), "quantity"))


class Toys(_Unlisted):
    """The toy store's API (rows Q1, O1 and G1, in both shapes of G1)."""

    known: Sequence[str] = TOYS
    sides: Sequence[str] = ("buy",)

    def look(self, name: str) -> Ask:
        return Ask(f"/products/{quote(name, safe='')}")

    def place(self, name: str, quantity: int, side: str) -> Ask:
        return Ask("/orders/", json.dumps({"name": name, "quantity": quantity}).encode())

    def number(self, reply: Reply) -> int:
        return int(_field(_data(reply), "order_number"))

    def query(self, number: int) -> Ask:
        return Ask(f"/orders/{number}")

    def order(self, reply: Reply) -> Promised:
        order = _data(reply)
        if "data" in order:  # the verbatim shape has it twice
            order = _object(order["data"])
        return Promised(int(_field(order, "number")), str(_field(order, "name")), int(_field(order, "quantity")))


class Bazaar(_Unlisted):
    """The stock bazaar's API (rows Q4, O8 and G4)."""

    known: Sequence[str] = BAZAAR
    sides: Sequence[str] = ("buy", "sell")
    number_of_an_order = "number"

    def look(self, name: str) -> Ask:
        return Ask(f"/stocks/{quote(name, safe='')}")

    def place(self, name: str, quantity: int, side: str) -> Ask:
        return Ask("/orders", json.dumps({"name": name, "type": side, "quantity": quantity}).encode())

    def number(self, reply: Reply) -> int:
        return int(_field(_data(reply), "transaction_number"))

    def query(self, number: int) -> Ask:
        return Ask(f"/orders/{number}")

    def order(self, reply: Reply) -> Promised:
        order = _data(reply)
        number, side = int(_field(order, self.number_of_an_order)), str(_field(order, "type")).lower()
        return Promised(number, str(_field(order, "name")), int(_field(order, "quantity")), side)


class Flask(Bazaar):
    """The API of the stock service written with Flask (row O11)."""

    known: Sequence[str] = FLASK
    number_of_an_order = "transaction_number"


class Trader(Bazaar):
    """The stock trader's API (rows Q3, O6, O7 and G3): it refuses with status 200."""

    known: Sequence[str] = TRADER

    def refuses(self, reply: Reply) -> bool:
        return "error" in _object(reply.json())

    def look(self, name: str) -> Ask:
        return Ask("/stocks?" + urlencode({"stockname": name}))

    def place(self, name: str, quantity: int, side: str) -> Ask:
        return super().place(name, quantity, side.upper())

    def query(self, number: int) -> Ask:
        return Ask(f"/orders?order-number={number}")


class Books:
    """The book store's API (rows Q6, Q8, O12 and F4): books go by their numbers, an order is for one, and has none."""

    known: Sequence[str] = BOOKS
    sides: Sequence[str] = ("buy",)
    largest: int | None = 1
    log: Ask | None = Ask("/files/")

    def refuses(self, reply: Reply) -> bool:
        return bool(reply.json() == NOT_BOUGHT)

    def names(self, after: str | None) -> Ask | None:
        return Ask("/list")

    def named(self, reply: Reply) -> tuple[Sequence[str], str | None]:
        books = reply.json()
        if not isinstance(books, list):
            raise BadReply(f"expected an array, found {books!r}")
        return [str(_field(book, "item_number")) for book in books], None

    def look(self, name: str) -> Ask:
        return Ask(f"/lookup/{quote(name, safe='')}")

    def quantity(self, reply: Reply) -> int:
        return int(_field(reply.json(), "quantity"))

    def place(self, name: str, quantity: int, side: str) -> Ask:
        return Ask("/buy/", json.dumps({"item_number": name}).encode())

    def number(self, reply: Reply) -> None:
        if not isinstance(reply.json(), str):
            raise BadReply(f"expected a text, found {reply.json()!r}")

    def query(self, number: int) -> Ask:
        raise BadReply("orders have no numbers here")

    def order(self, reply: Reply) -> Promised:
        raise BadReply("orders have no numbers here")

    def bought(self, reply: Reply) -> Counter[str]:
        units: Counter[str] = Counter()
        for row in csv.DictReader(reply.body.decode("utf-8", "replace").splitlines()):
            if _field(row, "query") == "buy":
                units[str(_field(row, "item_number"))] += int(_field(row, "value"))
        return units


DIALECTS: dict[str, Dialect] = {
    "v1": V1(),
    "toys": Toys(),
    "trader": Trader(),
    "bazaar": Bazaar(),
    "flask": Flask(),
    "books": Books(),
}


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadReply(f"expected an object, found {value!r}")
    return value


def _field(value: Any, name: str) -> Any:
    found = _object(value)
    if name not in found:
        raise BadReply(f"no {name!r} in {found}")
    return found[name]


def _data(reply: Reply) -> dict[str, Any]:
    return _object(_field(reply.json(), "data"))
