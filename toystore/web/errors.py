"""The errors a client of the store may see: one table from code to status, title and whether to try again.

The use cases raise the exceptions here; a dialect catches `StoreError` and renders it: `v1` with
`problem`, the older ones in their own shape."""

from __future__ import annotations

import math

import msgspec
from attrs import frozen

from toystore.model import Refusal

PROBLEM_TYPE = "application/problem+json"


@frozen
class PublicError:
    """`retryable`: the same request may succeed later, without a change to it."""

    status: int
    title: str
    retryable: bool = False


ERRORS: dict[str, PublicError] = {
    "malformed": PublicError(400, "The request is not well formed"),
    "unknown_product": PublicError(404, "There is no such product"),
    "unknown_order": PublicError(404, "There is no such order"),
    "not_found": PublicError(404, "There is nothing at this path"),
    "method_not_allowed": PublicError(405, "This path does not take this method"),
    "insufficient_stock": PublicError(409, "There is not enough in stock"),
    "limit": PublicError(409, "A number would become too large"),
    "version_mismatch": PublicError(412, "The product is at another version"),
    "too_slow": PublicError(408, "The request came too slowly", retryable=True),
    "too_large": PublicError(413, "The body is too large"),
    "bad_side": PublicError(422, "The side must be buy or sell"),
    "bad_quantity": PublicError(422, "The quantity is not one that can be ordered"),
    "key_reused": PublicError(422, "The idempotency key belongs to another order"),
    "internal": PublicError(500, "Something is wrong here"),
    "unavailable": PublicError(503, "The store can not do this now", retryable=True),
    "catalog_behind": PublicError(503, "The catalog has not caught up yet", retryable=True),
    "outcome_unknown": PublicError(504, "It is not known whether this was carried out", retryable=True),
}


AGE = "Toystore-Age"
"""The header that marks an answer that may be old."""


def age_text(age: float | None) -> str:
    """In whole seconds, or `unknown`."""
    return "unknown" if age is None else str(math.ceil(age))


class StoreError(Exception):
    """What a client is told instead of an answer. `code` is a key of `ERRORS`; `headers` go with it."""

    def __init__(self, code: str, detail: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.headers = headers

    @property
    def public(self) -> PublicError:
        return ERRORS[self.code]


class RefusedError(StoreError):
    """The ledger, or a check in front of it, says no; nothing has changed."""

    def __init__(self, refusal: Refusal, detail: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(refusal.value, detail, headers)
        self.refusal = refusal


class UnknownProduct(RefusedError):
    """There is no such product, or was none when this was known: `age` in seconds as in `interface.Dated`, 0 where that is
    now. Who has created it meanwhile elsewhere sees from the mark that this answer is an old one."""

    def __init__(self, detail: str, age: float | None = 0.0) -> None:
        super().__init__(Refusal.UNKNOWN_PRODUCT, detail, () if age == 0 else ((AGE, age_text(age)),))
        self.age = age


class Malformed(RefusedError):
    """The request can not be read as what it should be."""

    def __init__(self, detail: str) -> None:
        super().__init__(Refusal.MALFORMED, detail)


class NotFound(StoreError):
    """No route has this path."""

    def __init__(self, path: str) -> None:
        super().__init__("not_found", f"there is nothing at {path!r}")


class MethodNotAllowed(StoreError):
    """The path exists, for the methods in `allow`."""

    def __init__(self, method: str, allow: str) -> None:
        super().__init__("method_not_allowed", f"{method} is not one of {allow}", (("Allow", allow),))


class TooLarge(StoreError):
    """The body has more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__("too_large", f"the body may have at most {limit} bytes", (("Connection", "close"),))


class Unavailable(StoreError):
    """It was not done, and never will be by this request; `retry_after` is in seconds."""

    def __init__(self, retry_after: float, detail: str) -> None:
        super().__init__("unavailable", detail, (("Retry-After", _whole_seconds(retry_after)),))
        self.retry_after = retry_after


class CatalogIsBehind(StoreError):
    """No catalog has reached the position that the answer needs."""

    def __init__(self, detail: str, retry_after: float = 1.0) -> None:
        super().__init__("catalog_behind", detail, (("Retry-After", _whole_seconds(retry_after)),))
        self.retry_after = retry_after


class OutcomeUnknown(StoreError):
    """It may have been done, or be done yet. What has a key is found out by asking again with it; for anything else (key
    None) one must look."""

    def __init__(self, key: str | None) -> None:
        if key is None:
            super().__init__("outcome_unknown", "look at what it would have changed before asking again")
        else:
            detail = f"ask again with the Idempotency-Key {key}: nothing is carried out twice for one key"
            super().__init__("outcome_unknown", detail, (("Idempotency-Key", key),))
        self.key = key


class Internal(StoreError):
    """A fault of ours, found in the log by the request id."""

    def __init__(self) -> None:
        super().__init__("internal", "the log has the details under this request id")


def problem(code: str, detail: str, request_id: str, status: int | None = None) -> bytes:
    """The body of RFC 9457, `application/problem+json`; `code` is a key of `ERRORS`, `status` its own
    unless given."""
    public = ERRORS[code]
    return msgspec.json.encode(
        {
            "type": f"urn:toystore:error:{code}",
            "title": public.title,
            "status": status or public.status,
            "detail": detail,
            "code": code,
            "retryable": public.retryable,
            "request_id": request_id,
        }
    )


def _whole_seconds(seconds: float) -> str:
    """For Retry-After (RFC 9110, 10.2.3): whole, and at least one."""
    return str(max(1, -int(-seconds // 1)))
