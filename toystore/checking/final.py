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

from collections.abc import Mapping, Sequence

from attrs import frozen

from toystore.model import CatalogChange, Order, Product

ORDERS, PRODUCTS, CHANGES, INITIAL = "orders.jsonl", "products.jsonl", "changes.jsonl", "initial.json"


@frozen
class Final:
    """`changes` None: not known; then `initial` is what there was, None: not known either."""

    orders: Sequence[Order]
    products: Sequence[Product]
    changes: Sequence[CatalogChange] | None = None
    initial: Mapping[str, int] | None = None
