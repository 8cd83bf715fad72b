"""What holds for every dialect: a trailing slash or none, no Content-Type needed, one connection for many requests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.testing import StringTransport

from tests.support.front import Customer, Front, Got
from toystore.frontend.dialects import DIALECTS, make_dialect
from toystore.web.site import LimitedSite, make_site

ORDER = {"name": "Fox", "quantity": 1}
PATHS: dict[str, list[tuple[str, str, object]]] = {
    "v1": [
        ("GET", "/v1/products", None),
        ("GET", "/v1/products/Fox", None),
        ("PUT", "/v1/products/Fox", {"price": 1}),
        ("POST", "/v1/products/Fox/adjustments", {"delta": 1}),
        ("POST", "/v1/orders", {"side": "buy", "lines": [ORDER]}),
        ("GET", "/v1/orders", None),
        ("GET", "/v1/orders/0", None),
        ("POST", "/v1/orders/0/cancel", None),
    ],
    "toys": [
        ("GET", "/products/Fox", None),
        ("POST", "/orders", ORDER),
        ("GET", "/orders/0", None),
        ("POST", "/invalidate/Fox", None),
    ],
    "trader": [
        ("GET", "/stocks", None),
        ("POST", "/orders", {**ORDER, "type": "SELL"}),
        ("GET", "/orders", None),
    ],
    "bazaar": [
        ("GET", "/stocks/Fox", None),
        ("POST", "/orders", {**ORDER, "type": "sell"}),
        ("GET", "/orders/0", None),
        ("GET", "/cache/Fox", None),
        ("GET", "/leader", None),
        ("GET", "/leader/me", None),
    ],
    "flask": [
        ("GET", "/stocks/Fox", None),
        ("POST", "/orders", {**ORDER, "type": "sell"}),
        ("GET", "/orders/1", None),
        ("GET", "/cache/Fox", None),
        ("GET", "/leader/me", None),
        ("DELETE", "/invalidate/Fox", None),
        ("GET", "/ping_1", None),
        ("POST", "/leader_info_1", {"leader": 3}),
        ("GET", "/find_leader_1", None),
    ],
    "books": [
        ("GET", "/list", None),
        ("GET", "/search/dolls", None),
        ("POST", "/search", {"topic": "dolls"}),
        ("GET", "/lookup/1", None),
        ("POST", "/lookup", {"item_number": "1"}),
        ("GET", "/get_quantity/1", None),
        ("POST", "/get_quantity", {"item_number": "1"}),
        ("GET", "/get_name/1", None),
        ("GET", "/update_c/1/10", None),
        ("POST", "/update_c", {"item_number": "1", "cost": "10"}),
        ("GET", "/update_q/1/1", None),
        ("POST", "/update_q", {"item_number": "1", "quantity": "1"}),
        ("GET", "/buy/1", None),
        ("POST", "/buy", {"item_number": "1"}),
        ("GET", "/invalidate/1", None),
        ("GET", "/files", None),
    ],
}
"""A request to each route of mission and design, by dialect."""


def serving(dialect: str) -> tuple[Customer, LimitedSite]:
    """A customer of this dialect, and its site, over one new store."""
    front = Front()
    made = make_dialect(dialect, front.store, "USD", front.new_id, {})
    return Customer(made.resource(), front.clock), make_site(made.resource(), front.clock, errors=made.errors)


def test_every_dialect_is_here() -> None:
    assert set(PATHS) == set(DIALECTS)


@pytest.mark.row("O1")
@pytest.mark.parametrize("dialect", PATHS)
def test_a_trailing_slash_changes_nothing_and_redirects_nobody(dialect: str) -> None:
    answers: list[list[tuple[int, bytes]]] = []
    for slash in ("", "/"):
        customer, _ = serving(dialect)
        got: list[Got] = [customer.send(method, path + slash, body) for method, path, body in PATHS[dialect]]
        answers.append([(one.status, one.body) for one in got])
    assert {status for status, _ in answers[0]} <= {200, 201}
    assert answers[0] == answers[1]


@pytest.mark.row("O8")
@pytest.mark.parametrize("dialect", PATHS)
def test_no_content_type_is_needed_and_the_connection_is_kept(dialect: str) -> None:
    _, site = serving(dialect)
    channel: Any = site.buildProtocol(None)
    transport = StringTransport()
    channel.makeConnection(transport)
    for method, path, body in PATHS[dialect]:
        text = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: shop\r\nContent-Length: {len(text)}\r\n\r\n"
        transport.clear()
        channel.dataReceived(head.encode() + text)
        answer = transport.value()
        assert answer.startswith(b"HTTP/1.1 20"), (path, answer)
        assert b"\r\nContent-Length: " in answer
    assert not transport.disconnecting
