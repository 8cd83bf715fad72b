"""The table of public errors."""

from __future__ import annotations

import json

import pytest

from toystore.model import Refusal
from toystore.web.errors import (
    ERRORS,
    CatalogIsBehind,
    OutcomeUnknown,
    RefusedError,
    Unavailable,
    problem,
)


@pytest.mark.parametrize("refusal", list(Refusal))
def test_every_refusal_has_a_client_error(refusal: Refusal) -> None:
    error = RefusedError(refusal, "because")
    assert 400 <= error.public.status < 500
    assert not error.public.retryable


def test_a_problem_has_the_members_of_rfc_9457_and_ours() -> None:
    found = json.loads(problem("insufficient_stock", "3 are left", "request-7"))
    assert found == {
        "type": "urn:toystore:error:insufficient_stock",
        "title": ERRORS["insufficient_stock"].title,
        "status": 409,
        "detail": "3 are left",
        "code": "insufficient_stock",
        "retryable": False,
        "request_id": "request-7",
    }


@pytest.mark.parametrize(("seconds", "text"), [(0.0, "1"), (1.0, "1"), (1.2, "2"), (30.0, "30")])
def test_retry_after_is_whole_and_at_least_one(seconds: float, text: str) -> None:
    assert Unavailable(seconds, "busy").headers == (("Retry-After", text),)
    assert CatalogIsBehind("late", seconds).headers == (("Retry-After", text),)


def test_an_unknown_outcome_names_the_key_of_an_order() -> None:
    assert OutcomeUnknown("k-1").headers == (("Idempotency-Key", "k-1"),)
    assert "k-1" in OutcomeUnknown("k-1").detail
    assert OutcomeUnknown(None).headers == ()
