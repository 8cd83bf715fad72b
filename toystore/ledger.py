"""The ledger: one pure, deterministic state machine that every replica applies the same log to.

`apply` reads the state through a `View` and changes nothing; what must change comes back as effects, which the storage
carries out in the transaction that also moves the applied index. Two replicas that have applied the same entries hold
the same rows and the same `digest`, byte for byte. (Schneider, "Implementing fault-tolerant services using the state
machine approach", ACM Computing Surveys 22(4), 1990.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

from attrs import evolve, frozen

from toystore.model import (
    BOUND,
    AdjustStock,
    CancelOrder,
    CatalogChange,
    Command,
    Done,
    LoadCatalog,
    Order,
    OrderLine,
    OrderStatus,
    Outcome,
    PlaceOrder,
    Product,
    PutProduct,
    Refusal,
    Refused,
    Request,
    RestockEmpty,
    SetPrice,
    Side,
)

REMEMBERED = 100_000
"""For how many log entries an outcome is remembered by its request id: at 5,000 commands a second, twice the longest
deadline of a request (10 s)."""

EMPTY_DIGEST = b"\0" * 32


class View(Protocol):
    """The state as of the entry before the one being applied."""

    def product(self, name: str) -> Product | None: ...

    def products_at_zero(self) -> Sequence[Product]:
        """Those with a stock of exactly 0, by number."""

    def highest_product_number(self) -> int:
        """0 where there are no products."""

    def product_with_number(self, number: int) -> Product | None: ...

    def order(self, number: int) -> Order | None: ...

    def order_with_key(self, key: str) -> Order | None: ...

    def next_order_number(self) -> int: ...

    def remembered(self, request_id: str) -> Outcome | None: ...

    def clock(self) -> int:
        """The highest `at` applied so far, in milliseconds."""

    def last_restock(self) -> int:
        """The index of the last RestockEmpty that was carried out, 0 for none."""


# Effects ------------------------------------------------------------------------------------------------------------


@frozen
class SaveProduct:
    product: Product


@frozen
class SaveOrder:
    order: Order


@frozen
class SaveChange:
    change: CatalogChange


@frozen
class Remember:
    """Keep the outcome of a request, and forget those of entries up to `forget`."""

    request_id: str
    index: int
    outcome: Outcome
    forget: int


@frozen
class SetClock:
    at: int


@frozen
class SetLastRestock:
    index: int


Effect = SaveProduct | SaveOrder | SaveChange | Remember | SetClock | SetLastRestock


# The state machine --------------------------------------------------------------------------------------------------


def apply(view: View, index: int, term: int, at: int, request: Request) -> tuple[Outcome, list[Effect]]:
    """Carry out one command: what came of it, and the effects that the storage must carry out.

    A request id that is still remembered gives the remembered outcome and no effects.
    """
    remembered = view.remembered(request.request_id)
    if remembered is not None:
        return remembered, []
    effects: list[Effect] = []
    now = max(min(at, BOUND), view.clock())
    if now > view.clock():
        effects.append(SetClock(now))
    outcome, changes = _Entry(view, index, term, now).carry_out(request.command)
    effects += changes
    effects.append(Remember(request.request_id, index, outcome, index - REMEMBERED))
    return outcome, effects


def chain(digest: bytes, index: int, kind: int, data: bytes, outcome: bytes) -> bytes:
    """The digest after an entry: sha256 over the digest before it, its index and kind, its command and its outcome."""
    state = hashlib.sha256(digest)
    state.update(b"%d %d %d %d\n" % (index, kind, len(data), len(outcome)))
    state.update(data)
    state.update(outcome)
    return state.digest()


Result = tuple[Outcome, list[Effect]]


def _refused(refusal: Refusal, detail: str) -> Result:
    return Refused(refusal, detail), []


def _unknown_product(name: str) -> Result:
    return _refused(Refusal.UNKNOWN_PRODUCT, f"there is no product called {name!r}")


@frozen
class _Entry:
    """One log entry being applied."""

    view: View
    index: int
    term: int
    at: int

    def carry_out(self, command: Command) -> Result:
        match command:
            case PlaceOrder():
                return self.place_order(command)
            case CancelOrder():
                return self.cancel_order(command)
            case AdjustStock():
                return self.adjust_stock(command)
            case SetPrice():
                return self.set_price(command)
            case PutProduct():
                return self.put_product(command)
            case RestockEmpty():
                return self.restock_empty(command)
            case LoadCatalog():
                return self.load_catalog(command)

    # Orders

    def place_order(self, command: PlaceOrder) -> Result:
        wanted: dict[str, int] = {}
        for line in command.lines:
            wanted[line.name] = wanted.get(line.name, 0) + line.quantity
        known = self.view.order_with_key(command.key)
        if known is not None:
            return self._replay(known, command.side, wanted)
        refused, products = self._judge(command, wanted)
        if refused is not None:
            return refused, []
        side = Side(command.side)
        sign = 1 if side is Side.SELL else -1
        touched, refused = self._move(products, wanted, sign, traded=1)
        if refused is not None:
            return refused, []
        lines = tuple(OrderLine(p.name, wanted[p.name], p.price) for p in products)
        number = self.view.next_order_number()
        order = Order(number, side, lines, OrderStatus.PLACED, self.at, self.index, self.term, self.index, command.key)
        if order.total > BOUND:
            return _refused(Refusal.LIMIT, f"the total would exceed {BOUND}")
        return Done(self.index, order, touched), [*map(SaveProduct, touched), SaveOrder(order)]

    def _replay(self, known: Order, side: str, wanted: dict[str, int]) -> Result:
        same = known.side.value == side and [(line.name, line.quantity) for line in known.lines] == list(wanted.items())
        if not same:
            return _refused(
                Refusal.KEY_REUSED,
                f"this key already stands for order {known.number}, which has another body",
            )
        return Done(self.index, known, replayed=True), []

    def _judge(self, command: PlaceOrder, wanted: dict[str, int]) -> tuple[Refused | None, list[Product]]:
        """In this sequence: name, side, quantity (row O9); the stock is judged by `_move`."""
        if not command.lines:
            return Refused(Refusal.MALFORMED, "an order needs at least one line"), []
        if not command.key:
            return Refused(Refusal.MALFORMED, "an order needs a key"), []
        products = []
        for name in wanted:
            product = self.view.product(name)
            if product is None:
                return Refused(Refusal.UNKNOWN_PRODUCT, f"there is no product called {name!r}"), []
            products.append(product)
        if command.side not in ("buy", "sell"):
            return Refused(Refusal.BAD_SIDE, f"the side is {command.side!r}; it must be 'buy' or 'sell'"), []
        for line in command.lines:
            if not 1 <= line.quantity <= BOUND:
                detail = f"the quantity of {line.name!r} is {line.quantity}; it must be from 1 to {BOUND}"
                return Refused(Refusal.BAD_QUANTITY, detail), []
        return None, products

    def _move(
        self, products: Sequence[Product], units: dict[str, int], sign: int, traded: int
    ) -> tuple[tuple[Product, ...], Refused | None]:
        """The products after each stock moved by sign * units and each volume by traded * units, or why not."""
        moved = []
        for product in products:
            n = units[product.name]
            quantity, volume = product.quantity + sign * n, product.volume + traded * n
            if quantity < 0:
                detail = f"{product.quantity} of {product.name!r} are in stock, {n} would be needed"
                return (), Refused(Refusal.INSUFFICIENT_STOCK, detail)
            if quantity > BOUND or volume > BOUND:
                return (), Refused(Refusal.LIMIT, f"the stock or volume of {product.name!r} would exceed {BOUND}")
            moved.append(evolve(product, quantity=quantity, volume=volume, version=self.index))
        return tuple(moved), None

    def cancel_order(self, command: CancelOrder) -> Result:
        order = self.view.order(command.number) if 0 <= command.number <= BOUND else None
        if order is None:
            return _refused(Refusal.UNKNOWN_ORDER, f"there is no order {command.number}")
        if order.status is OrderStatus.CANCELLED:
            return Done(self.index, order, replayed=True), []
        units = {line.name: line.quantity for line in order.lines}
        products = []
        for name in units:
            product = self.view.product(name)
            assert product is not None, f"order {order.number} names {name!r}, and products are never removed"
            products.append(product)
        sign = 1 if order.side is Side.BUY else -1
        touched, refused = self._move(products, units, sign, traded=-1)
        if refused is not None:
            return refused, []
        cancelled = evolve(order, status=OrderStatus.CANCELLED, changed=self.index)
        return Done(self.index, cancelled, touched), [*map(SaveProduct, touched), SaveOrder(cancelled)]

    # Catalog

    def load_catalog(self, command: LoadCatalog) -> Result:
        if self.view.highest_product_number():
            return _refused(Refusal.VERSION_MISMATCH, "the ledger has products; a catalog is loaded only once")
        products: list[Product] = []
        names, numbers, next_number = set(), set(), 1
        for row in command.rows:
            number = next_number if row.number is None else row.number
            fault = _bounds(row.price, row.quantity, row.volume)
            if not row.name or row.name in names:
                fault = "it is there twice, or empty"
            elif number in numbers or not 1 <= number <= BOUND:
                fault = f"its number {number} is there twice, or out of bounds"
            if fault:
                return _refused(Refusal.MALFORMED, f"product {row.name!r}: {fault}")
            names.add(row.name)
            numbers.add(number)
            next_number = max(next_number, number + 1)
            products.append(Product(row.name, number, row.price, row.quantity, row.topic, self.index, row.volume))
        changes = [self._change("load_catalog", i, p, "quantity", p.quantity) for i, p in enumerate(products)]
        return Done(self.index, None, tuple(products)), [*map(SaveProduct, products), *changes]

    def put_product(self, command: PutProduct) -> Result:
        old = self.view.product(command.name)
        version = 0 if old is None else old.version
        if command.expected_version is not None and command.expected_version != version:
            detail = f"the version of {command.name!r} is {version}, not {command.expected_version}"
            return _refused(Refusal.VERSION_MISMATCH, detail)
        if old is None:
            if command.price is None:
                return _refused(Refusal.MALFORMED, f"the new product {command.name!r} needs a price")
            number = self.view.highest_product_number() + 1
            if number > BOUND:
                return _refused(Refusal.LIMIT, f"the number of {command.name!r} would exceed {BOUND}")
            new = Product(command.name, number, command.price, command.quantity or 0, command.topic or "", self.index, 0)
        else:
            if command.quantity is not None and command.expected_version is None:
                detail = f"{command.name!r} exists: its stock is set only with the version that is expected"
                return _refused(Refusal.VERSION_MISMATCH, detail)
            new = evolve(
                old,
                price=old.price if command.price is None else command.price,
                topic=old.topic if command.topic is None else command.topic,
                quantity=old.quantity if command.quantity is None else command.quantity,
                version=self.index,
            )
        return self._save("put_product", old, new)

    def set_price(self, command: SetPrice) -> Result:
        old = self.view.product(command.name)
        if old is None:
            return _unknown_product(command.name)
        return self._save("set_price", old, evolve(old, price=command.price, version=self.index))

    def adjust_stock(self, command: AdjustStock) -> Result:
        old = self.view.product(command.name)
        if old is None:
            return _unknown_product(command.name)
        if abs(command.delta) > BOUND:
            return _refused(Refusal.LIMIT, f"the change is {command.delta}; it must be within {BOUND} units")
        quantity = old.quantity + command.delta
        if quantity < 0 and not command.clamp:
            detail = f"{old.quantity} of {old.name!r} are in stock; it can not change by {command.delta}"
            return _refused(Refusal.INSUFFICIENT_STOCK, detail)
        new = evolve(old, quantity=max(quantity, 0), version=self.index)
        return self._save("adjust_stock", old, new, delta=new.quantity - old.quantity)

    def restock_empty(self, command: RestockEmpty) -> Result:
        if self.view.last_restock() != command.after:
            detail = f"the last restock was at {self.view.last_restock()}, not at {command.after}"
            return _refused(Refusal.VERSION_MISMATCH, detail)
        fault = _bounds(0, command.to)
        if fault:
            return _refused(Refusal.LIMIT, fault)
        products = [evolve(p, quantity=command.to, version=self.index) for p in self.view.products_at_zero()]
        changes = [self._change("restock_empty", i, p, "quantity", p.quantity, p.quantity) for i, p in enumerate(products)]
        effects: list[Effect] = [*map(SaveProduct, products), *changes, SetLastRestock(self.index)]
        return Done(self.index, None, tuple(products)), effects

    def _save(self, command: str, old: Product | None, new: Product, delta: int | None = None) -> Result:
        fault = _bounds(new.price, new.quantity)
        if not new.name:
            return _refused(Refusal.MALFORMED, "a product needs a name")
        if fault:
            return _refused(Refusal.LIMIT, f"product {new.name!r}: {fault}")
        changes: list[Effect] = []
        for field in ("price", "quantity", "topic"):
            value = getattr(new, field)
            if old is None or getattr(old, field) != value:
                changes.append(self._change(command, len(changes), new, field, value, delta))
        return Done(self.index, None, (new,)), [SaveProduct(new), *changes]

    def _change(
        self,
        command: str,
        sequence: int,
        product: Product,
        field: str,
        value: int | str,
        delta: int | None = None,
    ) -> SaveChange:
        name, number = product.name, product.number
        return SaveChange(CatalogChange(self.index, sequence, self.at, command, name, number, field, str(value), delta))


def _bounds(price: int, quantity: int, volume: int = 0) -> str:
    """What is out of bounds, or nothing."""
    if not 0 <= price <= BOUND:
        return f"the price is {price}; it must be from 0 to {BOUND} minor units"
    if not 0 <= quantity <= BOUND:
        return f"the stock is {quantity}; it must be from 0 to {BOUND}"
    if not 0 <= volume <= BOUND:
        return f"the volume is {volume}; it must be from 0 to {BOUND}"
    return ""
