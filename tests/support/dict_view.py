"""The smallest storage there is: the ledger's state in dicts, changed only by carrying out effects."""

from __future__ import annotations

from collections.abc import Sequence

from toystore.consensus.messages import Kind
from toystore.encoding import encode_entry, encode_outcome
from toystore.ledger import (
    EMPTY_DIGEST,
    Effect,
    Remember,
    SaveChange,
    SaveOrder,
    SaveProduct,
    SetClock,
    SetLastRestock,
    apply,
    chain,
)
from toystore.model import CatalogChange, Command, Order, Outcome, Product, Request


class DictView:
    def __init__(self) -> None:
        self.products: dict[str, Product] = {}
        self.orders: dict[int, Order] = {}
        self.outcomes: dict[str, tuple[int, Outcome]] = {}
        self.changes: list[CatalogChange] = []
        self.at = 0
        self.restocked = 0
        self.index = 0
        self.digest = EMPTY_DIGEST

    # What the ledger sees

    def product(self, name: str) -> Product | None:
        return self.products.get(name)

    def products_at_zero(self) -> Sequence[Product]:
        return sorted((p for p in self.products.values() if p.quantity == 0), key=lambda p: p.number)

    def highest_product_number(self) -> int:
        return max((p.number for p in self.products.values()), default=0)

    def product_with_number(self, number: int) -> Product | None:
        return next((p for p in self.products.values() if p.number == number), None)

    def order(self, number: int) -> Order | None:
        assert 0 <= number < 2**63, "more than a database can look for"
        return self.orders.get(number)

    def order_with_key(self, key: str) -> Order | None:
        return next((order for order in self.orders.values() if order.key == key), None)

    def next_order_number(self) -> int:
        return len(self.orders)

    def remembered(self, request_id: str) -> Outcome | None:
        return self.outcomes[request_id][1] if request_id in self.outcomes else None

    def clock(self) -> int:
        return self.at

    def last_restock(self) -> int:
        return self.restocked

    # What changes it

    def carry_out(self, effect: Effect) -> None:
        match effect:
            case SaveProduct(product):
                self.products[product.name] = product
            case SaveOrder(order):
                self.orders[order.number] = order
            case SaveChange(change):
                self.changes.append(change)
            case Remember(request_id, index, outcome, forget):
                self.outcomes[request_id] = index, outcome
                self.outcomes = {key: kept for key, kept in self.outcomes.items() if kept[0] > forget}
            case SetClock(at):
                self.at = at
            case SetLastRestock(index):
                self.restocked = index

    def do(self, request: Request, at: int = 0, index: int | None = None, term: int = 1) -> Outcome:
        """Apply a request at the next index, or at a later one."""
        self.index = self.index + 1 if index is None else index
        outcome, effects = apply(self, self.index, term, at, request)
        for effect in effects:
            self.carry_out(effect)
        data = encode_entry(at, request)
        self.digest = chain(self.digest, self.index, Kind.COMMAND, data, encode_outcome(outcome))
        return outcome

    def __call__(self, command: Command, at: int = 0) -> Outcome:
        """Apply a command under a request id of its own."""
        return self.do(Request(f"request-{self.index + 1}", command), at)
