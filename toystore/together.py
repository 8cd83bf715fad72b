"""Several coroutines at the same time."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList, FirstError

T = TypeVar("T")


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run them all; their results, in their order.

    Raises the first error as it is, so that a caller who is cancelled sees CancelledError.
    """
    running = [Deferred.fromCoroutine(one) for one in work]
    try:
        results = await DeferredList(running, fireOnOneErrback=True, consumeErrors=True)
    except FirstError as first:
        first.subFailure.raiseException()
    return [result for _, result in results]
