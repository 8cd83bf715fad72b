"""Who waits at a replica: batches of commands for their outcomes, reads and readers for an index to be applied."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Sequence

from attrs import Factory, define
from twisted.internet.defer import Deferred

from toystore.replication.interface import Answer, Result, Unsure
from toystore.storage.interface import Applied


@define
class _Batch:
    first: int
    last: int
    term: int
    waiter: Deferred[list[Result]]
    results: list[Result] = Factory(list)


class Batches:
    """Commands in the log of a leader, in order, until they are applied or leadership is lost.

    A waiter may be cancelled: whoever asked goes, the commands stay.
    """

    def __init__(self) -> None:
        self._batches: deque[_Batch] = deque()

    def add(self, indexes: range, term: int) -> Deferred[list[Result]]:
        waiter: Deferred[list[Result]] = Deferred()
        self._batches.append(_Batch(indexes[0], indexes[-1], term, waiter))
        return waiter

    def applied(self, rows: Sequence[Applied], generation: int) -> None:
        for row in rows:
            if not self._batches:
                return
            batch = self._batches[0]
            if row.index < batch.first:
                continue
            if row.term == batch.term and row.outcome is not None:
                batch.results.append(Answer(row.index, row.term, row.outcome, generation))
            else:
                batch.results.append(Unsure("another leader's entry took its place"))
            if row.index == batch.last:
                self._batches.popleft()
                batch.waiter.callback(batch.results)

    def lost(self) -> None:
        """Leadership is lost: what is not applied yet may be or not."""
        batches, self._batches = self._batches, deque()
        for batch in batches:
            missing = batch.last - batch.first + 1 - len(batch.results)
            batch.waiter.callback([*batch.results, *[Unsure("leadership was lost meanwhile")] * missing])


class Positions:
    """Waiters for an index to be applied."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Deferred[None]]] = []
        self._order = itertools.count()

    def wait(self, index: int, applied: int) -> Deferred[None]:
        waiter: Deferred[None] = Deferred()
        if index <= applied:
            waiter.callback(None)
        else:
            heapq.heappush(self._heap, (index, next(self._order), waiter))
        return waiter

    def applied(self, index: int) -> None:
        while self._heap and self._heap[0][0] <= index:
            waiter = heapq.heappop(self._heap)[2]
            if not waiter.called:
                waiter.callback(None)
