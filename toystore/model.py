"""What the store speaks of: products, orders, the commands that change them and what comes of a command.

Everything here is a frozen value. Money is in integer minor units of the cluster's currency (cents for USD), stock in
integer units, times in integer milliseconds since 1970 (UTC). No integer of the ledger exceeds `BOUND`, so that every
JSON reader can hold it exactly.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from attrs import frozen

BOUND = 2**53
"""The largest integer (stock, price, total, volume) the ledger holds; beyond it a movement is refused."""

MAX_LINES = 100
MAX_NAME = 64
MAX_KEY = 128


class Side(enum.Enum):
    BUY = "buy"
    SELL = "sell"


class OrderStatus(enum.Enum):
    PLACED = "placed"
    CANCELLED = "cancelled"


class Refusal(enum.Enum):
    """Why the ledger says no. Refusing is a normal outcome, not an exception."""

    UNKNOWN_PRODUCT = "unknown_product"
    BAD_SIDE = "bad_side"
    BAD_QUANTITY = "bad_quantity"
    INSUFFICIENT_STOCK = "insufficient_stock"
    LIMIT = "limit"
    KEY_REUSED = "key_reused"
    VERSION_MISMATCH = "version_mismatch"
    UNKNOWN_ORDER = "unknown_order"
    MALFORMED = "malformed"


class Position(NamedTuple):
    """A point in the history of the ledger; positions compare as (generation, index).

    The generation rises only when an operator accepts a loss; an index of an older generation means nothing.
    """

    generation: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks a position for


ORIGIN = Position(0, 0)


@frozen
class Product:
    """One product. `number` counts from 1 in catalog order, `version` is the log index of its last change,
    `volume` the units traded so far (bought plus sold, less what was cancelled), on top of what its catalog began with."""

    name: str
    number: int
    price: int
    quantity: int
    topic: str
    version: int
    volume: int


@frozen
class Line:
    """What a client asks for: so many units of one product."""

    name: str
    quantity: int


@frozen
class OrderLine:
    """What was sold: `unit_price` is the price at the moment of the order, in minor units."""

    name: str
    quantity: int
    unit_price: int


@frozen
class Order:
    """One order. `number` is consecutive from 0; `index` and `term` are those of the log entry that placed it,
    `changed` is the index of its last change (equal to `index` until it is cancelled); `key` is for ever."""

    number: int
    side: Side
    lines: tuple[OrderLine, ...]
    status: OrderStatus
    at: int
    index: int
    term: int
    changed: int
    key: str

    @property
    def total(self) -> int:
        """The sum over the lines, in minor units."""
        return sum(line.quantity * line.unit_price for line in self.lines)


@frozen
class CatalogRow:
    """One row of the catalog that a ledger starts with; `number` None means "the next one", `volume` was traded before."""

    name: str
    price: int
    quantity: int
    number: int | None = None
    topic: str = ""
    volume: int = 0


@frozen
class CatalogChange:
    """One row of the history of catalog changes: at `index` the `field` of a product became `value`.

    `delta` is the difference where the change was a relative one, else None. `sequence` counts the changes that one
    command made, from 0.
    """

    index: int
    sequence: int
    at: int
    command: str
    name: str
    number: int
    field: str
    value: str
    delta: int | None


# Commands -----------------------------------------------------------------------------------------------------------


@frozen
class LoadCatalog:
    """The first products; refused (VERSION_MISMATCH) by a ledger that has any."""

    rows: tuple[CatalogRow, ...]


@frozen
class PutProduct:
    """Create a product or change its price and topic (None: leave as it is; a new product needs a price).

    `quantity` of an existing product is set only where `expected_version` is given and is its version;
    `expected_version` 0 means "must not exist yet".
    """

    name: str
    price: int | None
    topic: str | None = None
    quantity: int | None = None
    expected_version: int | None = None


@frozen
class SetPrice:
    name: str
    price: int


@frozen
class AdjustStock:
    """Move the stock by `delta`; below zero it is refused, or stops at zero where `clamp` is set."""

    name: str
    delta: int
    clamp: bool = False


@frozen
class RestockEmpty:
    """Set every product with a stock of exactly 0 to `to`.

    `after` is the index of the last restock that the sender has seen (0: none); refused if another came since, so
    that several senders do the work of one.
    """

    to: int
    after: int


@frozen
class PlaceOrder:
    """Buy or sell. `side` is the text the client gave and is judged by the ledger, after the names.

    `key` is the client's Idempotency-Key, or the request id.
    """

    side: str
    lines: tuple[Line, ...]
    key: str


@frozen
class CancelOrder:
    number: int


Command = LoadCatalog | PutProduct | SetPrice | AdjustStock | RestockEmpty | PlaceOrder | CancelOrder


@frozen
class Request:
    """A command with its request id, unique for each client request; a repeated id gets the first outcome again."""

    request_id: str
    command: Command


# Outcomes -----------------------------------------------------------------------------------------------------------


@frozen
class Done:
    """The command was carried out by the log entry at `index`.

    `products` are the rows as they are after it (each product that it touched), `order` the order that it placed,
    found (`replayed`) or cancelled. A replay names the index of the entry that answered it, not of the order.
    """

    index: int
    order: Order | None = None
    products: tuple[Product, ...] = ()
    replayed: bool = False


@frozen
class Refused:
    """The command changed nothing. `detail` says what was wrong and what would be right."""

    refusal: Refusal
    detail: str


Outcome = Done | Refused
