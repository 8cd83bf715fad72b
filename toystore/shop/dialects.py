"""How a shopper speaks to a store: one small client for each dialect.

A client makes requests and reads replies; it neither sends nor counts. To add a dialect, write a class with
these four methods and enter it in `DIALECTS`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from attrs import frozen


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
class Bought:
    """An order as the store promised it, and as it tells of it later."""

    number: int
    name: str
    quantity: int


class Dialect(Protocol):
    def names(self, after: str | None) -> Ask | None:
        """Ask for a page of product names; None where the dialect has no list."""

    def named(self, reply: Reply) -> tuple[Sequence[str], str | None]:
        """The names, and where the next page begins (None: that was all)."""

    def look(self, name: str) -> Ask: ...

    def quantity(self, reply: Reply) -> int:
        """The stock in a 2xx reply to `look`."""

    def buy(self, name: str, quantity: int) -> Ask: ...

    def number(self, reply: Reply) -> int:
        """The order number in a 2xx reply to `buy`."""

    def query(self, number: int) -> Ask: ...

    def order(self, reply: Reply) -> Bought:
        """The order in a 2xx reply to `query`."""


class V1:
    """The store's own API."""

    def names(self, after: str | None) -> Ask | None:
        return Ask("/v1/products?" + urlencode({"limit": 100} | ({"after": after} if after else {})))

    def named(self, reply: Reply) -> tuple[Sequence[str], str | None]:
        page = _object(reply.json())
        return [str(_field(product, "name")) for product in _field(page, "data")], page.get("next")

    def look(self, name: str) -> Ask:
        return Ask(f"/v1/products/{quote(name, safe='')}")

    def quantity(self, reply: Reply) -> int:
        return int(_field(_data(reply), "quantity"))

    def buy(self, name: str, quantity: int) -> Ask:
        lines = [{"name": name, "quantity": quantity}]
        return Ask("/v1/orders", json.dumps({"side": "buy", "lines": lines}).encode())

    def number(self, reply: Reply) -> int:
        return int(_field(_data(reply), "number"))

    def query(self, number: int) -> Ask:
        return Ask(f"/v1/orders/{number}")

    def order(self, reply: Reply) -> Bought:
        order = _data(reply)
        lines = _field(order, "lines")
        if not isinstance(lines, list) or len(lines) != 1:
            raise BadReply(f"an order of one line came back as {order}")
        return Bought(int(_field(order, "number")), str(_field(lines[0], "name")), int(_field(lines[0], "quantity")))


class Toys:
    """The toy store's API (rows Q1, O1 and G1, in both shapes of G1)."""

    def names(self, after: str | None) -> Ask | None:
        return None

    def named(self, reply: Reply) -> tuple[Sequence[str], str | None]:
        raise BadReply("this dialect has no list")

    def look(self, name: str) -> Ask:
        return Ask(f"/products/{quote(name, safe='')}")

    def quantity(self, reply: Reply) -> int:
        return int(_field(_data(reply), "quantity"))

    def buy(self, name: str, quantity: int) -> Ask:
        return Ask("/orders/", json.dumps({"name": name, "quantity": quantity}).encode())

    def number(self, reply: Reply) -> int:
        return int(_field(_data(reply), "order_number"))

    def query(self, number: int) -> Ask:
        return Ask(f"/orders/{number}")

    def order(self, reply: Reply) -> Bought:
        order = _data(reply)
        if "data" in order:  # the verbatim shape has it twice
            order = _object(order["data"])
        return Bought(int(_field(order, "number")), str(_field(order, "name")), int(_field(order, "quantity")))


DIALECTS: dict[str, Dialect] = {"v1": V1(), "toys": Toys()}

TOYS = ("Tux", "Whale", "Fox", "Python", "Barbie", "Lego", "Monopoly", "Frisbee", "Marbles", "Giraffe")
"""What a shopper asks for where the dialect has no list and it was told nothing else (row C1)."""


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
