"""The ledger in the file formats of the systems that toystore grew out of (rows F1 to F5 of docs/behaviours.rst).

Pure: rows in, bytes out. A format of orders or of changes only ever grows at its end (but for a closing `tail`), so that a
file can be kept up to date; a format of products is the whole state. A cancelled order stays in these files.
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing

from attrs import frozen

from toystore.model import CatalogChange, Order, Product
from toystore.money import decimal_text, decimals


@frozen
class Growing:
    """A format that grows: `head`, the rows with `glue` between them, `tail`."""

    head: bytes = b""
    glue: bytes = b""
    tail: bytes = b""

    def more(self, rows: Sequence[bytes], first: bool) -> bytes:
        """What takes the place of the tail when `rows` come; `first`: there were none before."""
        return (b"" if first or not rows else self.glue) + self.glue.join(rows) + self.tail

    def whole(self, rows: Sequence[bytes]) -> bytes:
        return self.head + self.more(rows, first=True)


@frozen
class OrderFormat(Growing):
    rows: Callable[[Order], list[bytes]] = lambda order: []


@frozen
class ChangeFormat(Growing):
    """Catalog changes and trades, by log index; the numbers of products are given by name. A price is a cost here, in
    whole major units of the currency, as everywhere in the book store."""

    def change(self, change: CatalogChange, currency: str) -> bytes:
        if change.field == "price":
            return _csv(change.command, "cost", change.number, _cost(int(change.value), currency))
        value = change.value if change.delta is None else change.delta
        return _csv(change.command, change.field, change.number, value)

    def trade(self, order: Order, numbers: Mapping[str, int]) -> list[bytes]:
        return [_csv(order.side.value, "quantity", numbers[line.name], line.quantity) for line in order.lines]

    def merged(
        self, changes: Iterable[CatalogChange], orders: Iterable[Order], numbers: Mapping[str, int], currency: str
    ) -> list[bytes]:
        """Both in the order of the log; both must be ascending."""
        keyed = [((change.index, change.sequence), [self.change(change, currency)]) for change in changes]
        keyed += [((order.index, 0), self.trade(order, numbers)) for order in orders]
        return [row for _, rows in sorted(keyed, key=lambda pair: pair[0]) for row in rows]


@frozen
class ProductFormat:
    """The whole catalog; `whole(products, currency)`, with the products by number."""

    whole: Callable[[Sequence[Product], str], bytes]


def _cost(price: int, currency: str) -> int:
    """A fraction is cut off."""
    unit: int = 10 ** decimals(currency)
    return price // unit


def _csv(*values: object) -> bytes:
    """One line as Python's csv module writes it, with CRLF."""
    out = io.StringIO()
    csv.writer(out).writerow(values)
    return out.getvalue().encode()


def _toys_orders(order: Order) -> list[bytes]:
    return [_csv(order.number, line.name, line.quantity) for line in order.lines]


def _toys_raft(order: Order) -> list[bytes]:
    return [_csv(order.number, order.term, line.name, line.quantity) for line in order.lines]


def _trader_orders(order: Order) -> list[bytes]:
    return [_csv(order.number + 1, line.name, order.side.name, line.quantity) for line in order.lines]


def _bazaar_orders(order: Order) -> list[bytes]:
    """An object has one value for a key: of several lines the first."""
    line = order.lines[0]
    value = {"name": line.name, "type": order.side.value, "quantity": line.quantity}
    return [f'"{order.number}": {json.dumps(value)}'.encode()]


def _toys_catalog(products: Sequence[Product], currency: str) -> bytes:
    rows = [_csv(p.name, decimal_text(p.price, currency), p.quantity) for p in products]
    return _csv("name", "price", "quantity") + b"".join(rows)


def _bazaar_catalog(products: Sequence[Product], currency: str) -> bytes:
    def row(p: Product) -> dict[str, object]:
        return {"price": float(decimal_text(p.price, currency)), "volume": p.volume, "quantity": p.quantity}

    return json.dumps({p.name: row(p) for p in products}).encode()


def _books_database(products: Sequence[Product], currency: str) -> bytes:
    """An SQLite database with the one table that the book store's catalog had; made anew each time, so that the same
    products give the same bytes (by the same version of SQLite)."""
    rows = [(p.number, p.name, p.topic, _cost(p.price, currency), p.quantity) for p in products]
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(
            "CREATE TABLE books_1 (item_number INTEGER PRIMARY KEY, title TEXT, topic TEXT, cost INTEGER, quantity INTEGER)"
        )
        database.executemany("INSERT INTO books_1 VALUES (?, ?, ?, ?, ?)", rows)
        database.commit()
        return database.serialize()


Format = OrderFormat | ChangeFormat | ProductFormat

FORMATS: Mapping[str, Format] = {
    "toys-orders": OrderFormat(rows=_toys_orders),
    "toys-raft": OrderFormat(rows=_toys_raft),
    "toys-catalog": ProductFormat(_toys_catalog),
    "trader-orders": OrderFormat(head=_csv("transaction_number", "stockname", "ordertype", "quantity"), rows=_trader_orders),
    "books-changes": ChangeFormat(head=_csv("query", "field", "item_number", "value")),
    "books-database": ProductFormat(_books_database),
    "bazaar-orders": OrderFormat(head=b"{", glue=b", ", tail=b"}", rows=_bazaar_orders),
    "bazaar-catalog": ProductFormat(_bazaar_catalog),
}
