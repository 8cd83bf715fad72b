"""What the ledger should do, in the plainest way: dicts that are changed in place, no effects, no views.

Written from the rules of the ledger in words, not from its code, so that it can disagree with it.
"""

from __future__ import annotations

from typing import Any

LIMIT = 2**53
KEPT = 100_000

Said = tuple[Any, ...]
"""("done", order number or None, replayed, names of the products touched) or ("refused", reason)."""


class NaiveLedger:
    def __init__(self) -> None:
        self.stock: dict[str, int] = {}
        self.price: dict[str, int] = {}
        self.topic: dict[str, str] = {}
        self.volume: dict[str, int] = {}
        self.version: dict[str, int] = {}
        self.number: dict[str, int] = {}
        self.orders: list[dict[str, Any]] = []
        self.said: dict[str, tuple[int, Said]] = {}
        self.time = 0
        self.restocked_at = 0
        self.outside: dict[str, int] = {}
        """Units that came or went other than by orders."""

    def hear(self, index: int, at: int, request_id: str, kind: str, **what: Any) -> Said:
        """Do it, unless this request id was heard lately; then say the same as then."""
        if request_id in self.said:
            return self.said[request_id][1]
        self.time = max(self.time, at)
        before = dict(self.stock)
        said: Said = getattr(self, kind)(index, **what)
        if kind not in ("place", "cancel"):
            for name, units in self.stock.items():
                self.outside[name] = self.outside.get(name, 0) + units - before.get(name, 0)
        self.said[request_id] = index, said
        self.said = {key: kept for key, kept in self.said.items() if kept[0] > index - KEPT}
        return said

    def load(self, index: int, rows: list[tuple[str, int, int]]) -> Said:
        if self.stock:
            return "refused", "version_mismatch"
        if len({name for name, _, _ in rows}) < len(rows):
            return "refused", "malformed"
        if any(not (0 <= price <= LIMIT and 0 <= units <= LIMIT) for _, price, units in rows):
            return "refused", "malformed"
        for name, price, units in rows:
            self._create(index, name, price, units, "")
        return "done", None, False, tuple(name for name, _, _ in rows)

    def _create(self, index: int, name: str, price: int, units: int, topic: str) -> None:
        self.number[name] = len(self.number) + 1
        self.price[name], self.stock[name], self.topic[name] = price, units, topic
        self.volume[name], self.version[name] = 0, index

    def put(
        self,
        index: int,
        name: str,
        price: int | None,
        topic: str | None,
        units: int | None,
        expected: int | None,
    ) -> Said:
        known = name in self.stock
        if expected is not None and expected != self.version.get(name, 0):
            return "refused", "version_mismatch"
        if not known and price is None:
            return "refused", "malformed"
        if known and units is not None and expected is None:
            return "refused", "version_mismatch"
        if not 0 <= (price or 0) <= LIMIT or not 0 <= (units or 0) <= LIMIT:
            return "refused", "limit"
        if not known:
            assert price is not None
            self._create(index, name, price, units or 0, topic or "")
        else:
            self.price[name] = self.price[name] if price is None else price
            self.stock[name] = self.stock[name] if units is None else units
            self.topic[name] = self.topic[name] if topic is None else topic
            self.version[name] = index
        return "done", None, False, (name,)

    def reprice(self, index: int, name: str, price: int) -> Said:
        if name not in self.stock:
            return "refused", "unknown_product"
        if not 0 <= price <= LIMIT:
            return "refused", "limit"
        self.price[name], self.version[name] = price, index
        return "done", None, False, (name,)

    def adjust(self, index: int, name: str, delta: int, clamp: bool) -> Said:
        if name not in self.stock:
            return "refused", "unknown_product"
        if not -LIMIT <= delta <= LIMIT:
            return "refused", "limit"
        units = self.stock[name] + delta
        if units < 0 and not clamp:
            return "refused", "insufficient_stock"
        if units > LIMIT:
            return "refused", "limit"
        self.stock[name], self.version[name] = max(units, 0), index
        return "done", None, False, (name,)

    def restock(self, index: int, to: int, after: int) -> Said:
        if after != self.restocked_at:
            return "refused", "version_mismatch"
        if not 0 <= to <= LIMIT:
            return "refused", "limit"
        empty = [name for name in self.number if self.stock[name] == 0]
        for name in empty:
            self.stock[name], self.version[name] = to, index
        self.restocked_at = index
        return "done", None, False, tuple(empty)

    def place(self, index: int, term: int, side: str, lines: list[tuple[str, int]], key: str) -> Said:
        wanted: dict[str, int] = {}
        for name, units in lines:
            wanted[name] = wanted.get(name, 0) + units
        for number, order in enumerate(self.orders):
            if order["key"] == key:
                if (order["side"], list(order["units"].items())) == (side, list(wanted.items())):
                    return "done", number, True, ()
                return "refused", "key_reused"
        if not lines:
            return "refused", "malformed"
        if any(name not in self.stock for name in wanted):
            return "refused", "unknown_product"
        if side not in ("buy", "sell"):
            return "refused", "bad_side"
        if any(not 1 <= units <= LIMIT for _, units in lines):
            return "refused", "bad_quantity"
        fault = self._trade(index, wanted, -1 if side == "buy" else 1, 1, try_only=True)
        if fault:
            return "refused", fault
        prices = {name: self.price[name] for name in wanted}
        if sum(prices[name] * units for name, units in wanted.items()) > LIMIT:
            return "refused", "limit"
        self._trade(index, wanted, -1 if side == "buy" else 1, 1)
        self.orders.append(
            {"key": key, "side": side, "units": wanted, "prices": prices, "placed": True, "at": self.time}
            | {"index": index, "term": term, "changed": index}
        )
        return "done", len(self.orders) - 1, False, tuple(wanted)

    def cancel(self, index: int, number: int) -> Said:
        if not 0 <= number < len(self.orders):
            return "refused", "unknown_order"
        order = self.orders[number]
        if not order["placed"]:
            return "done", number, True, ()
        back = 1 if order["side"] == "buy" else -1
        fault = self._trade(index, order["units"], back, -1, try_only=True)
        if fault:
            return "refused", fault
        self._trade(index, order["units"], back, -1)
        order["placed"], order["changed"] = False, index
        return "done", number, False, tuple(order["units"])

    def _trade(self, index: int, units: dict[str, int], sign: int, traded: int, try_only: bool = False) -> str | None:
        for name, n in units.items():
            if self.stock[name] + sign * n < 0:
                return "insufficient_stock"
            if self.stock[name] + sign * n > LIMIT or self.volume[name] + traded * n > LIMIT:
                return "limit"
        if not try_only:
            for name, n in units.items():
                self.stock[name] += sign * n
                self.volume[name] += traded * n
                self.version[name] = index
        return None
