"""The shapes in which customers speak to the store: each one a small file over the same use cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from twisted.web.resource import IResource

from toystore.frontend.dialects.bazaar import Bazaar
from toystore.frontend.dialects.books import Books
from toystore.frontend.dialects.flask import Flask
from toystore.frontend.dialects.toys import Toys
from toystore.frontend.dialects.trader import Trader
from toystore.frontend.dialects.v1 import V1
from toystore.frontend.storefront import Storefront
from toystore.web.answers import ErrorShape


class Dialect(Protocol):
    """One listener for customers; `errors` is the shape of what the site itself refuses."""

    @property
    def errors(self) -> ErrorShape: ...

    def resource(self) -> IResource: ...


Factory = Callable[..., Dialect]

DIALECTS: dict[str, Factory] = {
    "v1": V1,
    "toys": Toys,
    "trader": Trader,
    "bazaar": Bazaar,
    "flask": Flask,
    "books": Books,
}
"""By the name in the config; called with storefront, currency, source of request ids and the options."""


def make_dialect(
    name: str,
    storefront: Storefront,
    currency: str,
    request_ids: Callable[[], str],
    options: Mapping[str, Any],
) -> Dialect:
    """Raises KeyError where there is no such dialect."""
    return DIALECTS[name](storefront, currency, request_ids, **options)
