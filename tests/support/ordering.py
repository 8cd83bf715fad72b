"""Orders in few words, what came of them, and a small shop to place them in."""

from __future__ import annotations

from tests.support.dict_view import DictView
from toystore.model import CatalogRow, Done, Line, LoadCatalog, Order, Outcome, PlaceOrder, Refusal, Refused

KEYS = iter(range(10**9))


def buy(name: str, quantity: int, key: str | None = None) -> PlaceOrder:
    return order("buy", (name, quantity), key=key)


def sell(name: str, quantity: int, key: str | None = None) -> PlaceOrder:
    return order("sell", (name, quantity), key=key)


def order(side: str, *lines: tuple[str, int], key: str | None = None) -> PlaceOrder:
    return PlaceOrder(side, tuple(Line(*line) for line in lines), f"key-{next(KEYS)}" if key is None else key)


def placed(outcome: Outcome) -> Order:
    assert isinstance(outcome, Done), outcome
    assert outcome.order is not None
    return outcome.order


def refusal(outcome: Outcome) -> Refusal:
    assert isinstance(outcome, Refused), outcome
    assert outcome.detail
    return outcome.refusal


def stock(shop: DictView, name: str) -> int:
    return shop.products[name].quantity


def small_shop() -> DictView:
    """Loaded by the entry at index 1: 100 Foxes at 12.99 and 100 Tuxes at 15.99."""
    shop = DictView()
    shop(LoadCatalog((CatalogRow("Fox", 1299, 100), CatalogRow("Tux", 1599, 100, topic="penguins"))))
    return shop
