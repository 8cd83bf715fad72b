"""All products of a ledger, by name and by number.

The catalog lives in memory whole, in every storage: it is what each command reads, and it does not grow with the number
of orders (some 500 bytes a product).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from toystore.model import Product


class Shelf:
    def __init__(self, products: Iterable[Product] = ()) -> None:
        self._by_name: dict[str, Product] = {}
        self._names: dict[int, str] = {}
        self._numbers: list[int] | None = []
        for product in products:
            self.put(product)

    def __len__(self) -> int:
        return len(self._by_name)

    def put(self, product: Product) -> Product | None:
        """Add or replace; the product that was there before. A product never changes its number."""
        old = self._by_name.get(product.name)
        self._by_name[product.name] = product
        if old is None:
            self._names[product.number] = product.name
            self._numbers = None
        return old

    def take_off(self, product: Product) -> None:
        """Undo the `put` of a new product."""
        del self._by_name[product.name], self._names[product.number]
        self._numbers = None

    def named(self, name: str) -> Product | None:
        return self._by_name.get(name)

    def numbered(self, number: int) -> Product | None:
        name = self._names.get(number)
        return None if name is None else self._by_name[name]

    def highest_number(self) -> int:
        """0 where there are no products."""
        numbers = self._sorted_numbers()
        return numbers[-1] if numbers else 0

    def at_zero(self) -> list[Product]:
        """Those with a stock of exactly 0, by number."""
        return [product for product in self if product.quantity == 0]

    def __iter__(self) -> Iterator[Product]:
        """By number."""
        return (self._by_name[self._names[number]] for number in self._sorted_numbers())

    def find(self, after: int, limit: int, text: str = "", topic: str | None = None) -> list[Product]:
        """By number, those above `after`; `text` is part of the name (case does not matter), `topic` the whole."""
        wanted = text.casefold()
        found: list[Product] = []
        for product in self:
            if len(found) >= limit:
                break
            if product.number <= after or (topic is not None and product.topic != topic):
                continue
            if wanted in product.name.casefold():
                found.append(product)
        return found

    def _sorted_numbers(self) -> list[int]:
        if self._numbers is None:
            self._numbers = sorted(self._names)
        return self._numbers
