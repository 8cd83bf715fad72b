"""What happened so far, read from one catalog page by page, and cut at one point in time."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from toystore.model import CatalogChange, Order, Position, Product
from toystore.web.interface import CatalogService, Dated

PAGE = 500


@frozen
class History:
    """Orders and changes of the catalog, each in the order of the log; `numbers` has those of all products."""

    orders: tuple[Order, ...]
    changes: tuple[CatalogChange, ...]
    numbers: Mapping[str, int]


async def read_history(catalog: CatalogService, at_least: Position | None = None) -> Dated[History]:
    """As of the last page of changes; orders and products are read after it, so that none is missing.

    Raises CatalogBehind where the catalog has not applied `at_least` within a second.
    """
    await catalog.products(0, 1, at_least=at_least)
    changes: list[CatalogChange] = []
    start = (0, 0)
    while True:
        page = await catalog.changes_from(*start, PAGE)
        changes += page.value
        if len(page.value) < PAGE:
            break
        start = (changes[-1].index, changes[-1].sequence + 1)
    asof = page.asof
    orders: list[Order] = []
    while len(found := (await catalog.orders_from(len(orders), PAGE)).value) == PAGE:
        orders += found
    orders += found
    products: list[Product] = []
    while len((listed := await catalog.products(products[-1].number if products else 0, PAGE)).value) == PAGE:
        products += listed.value
    products += listed.value
    before = tuple(order for order in orders if order.index <= asof.index)
    return Dated(History(before, tuple(changes), {product.name: product.number for product in products}), asof, listed.age)
