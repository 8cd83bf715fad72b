"""The headers that all dialects share: the idempotency key on its way in, position and age on their way
out."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.web.iweb import IRequest

from toystore.model import Order, Position
from toystore.names import idempotency_key
from toystore.web.answers import Reply
from toystore.web.codec import position_text
from toystore.web.errors import AGE, Malformed, StoreError, age_text

Headers = tuple[tuple[bytes, bytes], ...]

JSON: Headers = ((b"Content-Type", b"application/json"),)


def header(request: IRequest, name: str) -> str | None:
    """Its one value, None where it is absent. Raises Malformed where it is there twice."""
    values = request.requestHeaders.getRawHeaders(name.encode("ascii"), [])
    if len(values) > 1:
        raise Malformed(f"the header {name} is there twice")
    return values[0].decode("latin-1") if values else None


def key_of(request: IRequest) -> str | None:
    """The Idempotency-Key. Raises Malformed."""
    text = header(request, "Idempotency-Key")
    try:
        return None if text is None else idempotency_key(text)
    except ValueError as error:
        raise Malformed(f"Idempotency-Key: {error}") from error


def dated(position: Position, age: float | None = 0.0) -> Headers:
    """Where in history the answer is from; its age, in whole seconds or `unknown`, only where it may be
    old."""
    headers: Headers = ((b"Toystore-Index", position_text(position).encode()),)
    if age == 0:
        return headers
    return (*headers, (AGE.encode(), age_text(age).encode()))


def of_order(order: Order, replayed: bool) -> Headers:
    """The key to repeat the request with, and whether it was such a repetition."""
    headers: Headers = ((b"Idempotency-Key", order.key.encode()),)
    return (*headers, (b"Idempotent-Replayed", b"true")) if replayed else headers


def of_error(error: StoreError) -> Headers:
    return tuple((name.encode(), value.encode()) for name, value in error.headers)


def json_reply(value: Any, *headers: tuple[bytes, bytes], status: int = 200) -> Reply:
    """Its keys stay in the order that is given, as people have documented and printed it."""
    return Reply(status, msgspec.json.encode(value), (*JSON, *headers))
