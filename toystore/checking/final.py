"""What the ledger held at the end, once everything had come to rest: a folder of JSON lines.

===================  ====================================================================================================
``orders.jsonl``     what `toystore export orders` writes
``products.jsonl``   what `toystore export products` writes
``changes.jsonl``    the history of catalog changes (`GET /export/changes` of a replica, page by page), from which the stock
                     at the beginning and all that came or went other than by orders is known; may be absent
``initial.json``     without the former: what there was of each product, {"Tux": 100}; then nobody may have changed the
                     stock but by orders; may be absent too, and then stocks are not checked
===================  ====================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from attrs import frozen

from toystore.checking.history import BadHistory
from toystore.encoding import EncodingError, from_json
from toystore.model import CatalogChange, Order, Product

T = TypeVar("T")

ORDERS, PRODUCTS, CHANGES, INITIAL = "orders.jsonl", "products.jsonl", "changes.jsonl", "initial.json"


@frozen
class Final:
    """`changes` None: not known; then `initial` is what there was, None: not known either."""

    orders: Sequence[Order]
    products: Sequence[Product]
    changes: Sequence[CatalogChange] | None = None
    initial: Mapping[str, int] | None = None


def read_rows(lines: Iterable[bytes], cls: type[T], what: str) -> list[T]:
    """The rows of an export. Raises BadHistory, which names `what` and the line."""
    rows: list[T] = []
    for line in lines:
        try:
            rows.append(from_json(line, cls))
        except EncodingError as error:
            raise BadHistory(f"{what}, line {len(rows) + 1}: {error}") from error
    return rows
