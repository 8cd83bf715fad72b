"""What the v1 API takes: bodies, cursors, preconditions. Everything is checked, and every fault is named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from attrs import frozen
from twisted.web.iweb import IRequest

from toystore.encoding import EncodingError, kind_of, to_json
from toystore.frontend.dialects.headers import header
from toystore.model import BOUND, MAX_LINES, ORIGIN, Command, Line, Position, Product, Refusal
from toystore.names import product_name
from toystore.web.codec import read_position
from toystore.web.errors import Malformed, RefusedError, TooLarge
from toystore.web.input import query_integer, query_text, read_json

MAX_BODY = 65536
MAX_QUANTITY = 1_000_000
PAGE = 100
LARGEST_PAGE = 500
MAX_TEXT = 200
"""Characters of a search text or a topic."""


@frozen
class Page:
    """The part of a list that is wanted: so many, after this number (None: from the start)."""

    limit: int
    after: int | None


def page_of(request: IRequest) -> Page:
    limit = query_integer(request, "limit", 1, LARGEST_PAGE)
    return Page(PAGE if limit is None else limit, query_integer(request, "after"))


def text_of(request: IRequest, name: str) -> str | None:
    """A short query parameter."""
    text = query_text(request, name)
    if text is not None and len(text) > MAX_TEXT:
        raise Malformed(f"{name} has at most {MAX_TEXT} characters")
    return text


def min_index_of(request: IRequest) -> Position:
    """`?min_index=`, as `Toystore-Index` gave it."""
    text = query_text(request, "min_index")
    try:
        return ORIGIN if text is None else read_position(text)
    except EncodingError as error:
        raise Malformed(f"min_index: {error}") from error


def linearizable(request: IRequest) -> bool:
    """Whether `?consistency=linearizable` is asked for."""
    text = query_text(request, "consistency")
    if text not in (None, "linearizable"):
        raise Malformed("consistency must be 'linearizable', or not be there")
    return text is not None


def name_of(text: str) -> str:
    try:
        return product_name(text)
    except ValueError as error:
        raise Malformed(str(error)) from error


# Bodies -----------------------------------------------------------------------------------------------------


def _fields(value: Any, where: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(f"{where} must be an object")
    for name in required:
        if name not in value:
            raise Malformed(f"{where} has no {name!r}")
    for name in value:
        if name not in required and name not in optional:
            raise Malformed(f"{where} has an unknown field {name[:40]!r}")
    return value


def _body(body: bytes, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Mapping[str, Any]:
    if len(body) > MAX_BODY:
        raise TooLarge(MAX_BODY)
    return _fields(read_json(body), "the body", required, optional)


def _quantity(value: Any, where: str, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise RefusedError(Refusal.BAD_QUANTITY, f"{where} must be a whole number from {low} to {high}")
    return value


def order_in(body: bytes) -> tuple[str, tuple[Line, ...]]:
    """Side and lines of a new order. Raises BadInput, RefusedError, TooLarge."""
    found = _body(body, ("side", "lines"))
    side, lines = found["side"], found["lines"]
    if not isinstance(side, str):
        raise Malformed("the side must be a text")
    if side not in ("buy", "sell"):
        raise RefusedError(Refusal.BAD_SIDE, f"the side is {side[:40]!r}; it must be 'buy' or 'sell'")
    if not isinstance(lines, list) or not 1 <= len(lines) <= MAX_LINES:
        raise Malformed(f"lines must be a list of 1 to {MAX_LINES}")
    return side, tuple(_line(line, f"line {number}") for number, line in enumerate(lines, 1))


def _line(value: Any, where: str) -> Line:
    found = _fields(value, where, ("name", "quantity"))
    if not isinstance(found["name"], str):
        raise Malformed(f"the name in {where} must be a text")
    quantity = _quantity(found["quantity"], f"the quantity in {where}", 1, MAX_QUANTITY)
    return Line(name_of(found["name"]), quantity)


@frozen
class ProductBody:
    price: int
    topic: str | None
    quantity: int | None


def product_in(body: bytes) -> ProductBody:
    """Raises BadInput, RefusedError, TooLarge."""
    found = _body(body, ("price",), ("topic", "quantity"))
    price, topic = found["price"], found.get("topic")
    if type(price) is not int or not 0 <= price <= BOUND:
        raise Malformed(f"the price must be a whole number of minor units, from 0 to {BOUND}")
    if topic is not None and (not isinstance(topic, str) or len(topic) > MAX_TEXT):
        raise Malformed(f"the topic must be a text of at most {MAX_TEXT} characters")
    quantity = _quantity(found["quantity"], "the quantity", 0, BOUND) if "quantity" in found else None
    return ProductBody(price, topic, quantity)


def delta_in(body: bytes) -> int:
    """Raises BadInput, RefusedError, TooLarge."""
    return _quantity(_body(body, ("delta",))["delta"], "the delta", -BOUND, BOUND)


def nothing_in(body: bytes) -> None:
    """An empty body, or an empty object. Raises BadInput, TooLarge."""
    if body.strip():
        _body(body, ())


# Keys -------------------------------------------------------------------------------------------------------


def request_id_of(key: str, command: Command) -> str:
    """The request id of a change with a key: the same for the same change, whoever asks for it, and when."""
    return "key-" + sha256(to_json((key, kind_of(command), command))).hexdigest()


# Preconditions (RFC 9110, 13) -------------------------------------------------------------------------------


def etag(product: Product) -> str:
    return f'"{product.version}"'


def not_modified(request: IRequest, product: Product) -> bool:
    """Whether If-None-Match names what the client would get."""
    text = header(request, "If-None-Match")
    tags = [] if text is None else [tag.strip().removeprefix("W/") for tag in text.split(",")]
    return "*" in tags or etag(product) in tags


def expected_version(request: IRequest) -> int | None:
    """The version in If-Match; 0, for "must not exist yet", where there is `If-None-Match: *`. Raises
    Malformed."""
    match, none_match = header(request, "If-Match"), header(request, "If-None-Match")
    if match is not None and none_match is not None:
        raise Malformed("If-Match and If-None-Match exclude each other")
    if none_match is not None:
        if none_match.strip() != "*":
            raise Malformed("only * makes sense in If-None-Match here")
        return 0
    if match is None:
        return None
    found = re.fullmatch(r'\s*"([0-9]{1,16})"\s*', match)
    if found is None:
        raise Malformed('If-Match must be one ETag as it was given, such as "17"')
    return int(found[1])
