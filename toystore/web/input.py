"""Strict reading of what clients send: JSON bodies and query parameters."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from twisted.web.iweb import IRequest

from toystore.model import BOUND


class BadInput(ValueError):
    """A request that can not be read as what it should be; the message says where and why."""


class BadJson(BadInput):
    """A body that is not the JSON it should be."""


def read_json(body: bytes, max_depth: int = 8, must_be_object: bool = True) -> Any:
    """The value of a JSON text (RFC 8259), read strictly. Raises BadJson.

    Refused are also keys that are there twice, NaN and infinite numbers, lone surrogates, and objects and
    arrays nested deeper than `max_depth`. Whole numbers may be large.
    """
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_not_a_number,
            parse_float=_finite,
        )
        if b"\\u" in body:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except BadJson:
        raise
    except RecursionError as error:
        raise BadJson(f"the JSON is nested deeper than {max_depth} levels") from error
    except UnicodeDecodeError as error:
        raise BadJson(f"the body is not UTF-8 (at byte {error.start})") from error
    except UnicodeEncodeError as error:
        raise BadJson("the JSON holds half of a surrogate pair, which is not a character") from error
    except ValueError as error:
        raise BadJson(f"the body is not JSON: {error}") from error
    if must_be_object and not isinstance(value, dict):
        raise BadJson("the body must be a JSON object")
    if body.count(b"{") + body.count(b"[") > max_depth and _deeper_than(value, max_depth):
        raise BadJson(f"the JSON is nested deeper than {max_depth} levels")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise BadJson(f"the key {twice!r} is there twice")
    return found


def _not_a_number(text: str) -> NoReturn:
    raise BadJson(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise BadJson("a number is too large")
    return number


def _deeper_than(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        return levels == 0 or any(_deeper_than(inner, levels - 1) for inner in value.values())
    if isinstance(value, list):
        return levels == 0 or any(_deeper_than(inner, levels - 1) for inner in value)
    return False


def query_text(request: IRequest, name: str) -> str | None:
    """A query parameter, None where it is absent. Raises BadInput where it is there twice, or not UTF-8."""
    values = request.args.get(name.encode(), [])
    if len(values) > 1:
        raise BadInput(f"the parameter {name!r} is there twice")
    try:
        return values[0].decode("utf-8") if values else None
    except UnicodeDecodeError as error:
        raise BadInput(f"the parameter {name!r} is not UTF-8") from error


def query_integer(request: IRequest, name: str, low: int = 0, high: int = BOUND) -> int | None:
    """A query parameter that is a whole number from `low` to `high`, or None. Raises BadInput."""
    text = query_text(request, name)
    return None if text is None else whole_number(text, name, low, high)


def whole_number(text: str, name: str, low: int = 0, high: int = BOUND) -> int:
    """The number that `text` is, in ASCII digits. Raises BadInput, which calls it `name`."""
    if text.isascii() and text.isdigit() and len(text) <= 20 and low <= (number := int(text)) <= high:
        return number
    raise BadInput(f"{name} must be a whole number from {low} to {high}")
