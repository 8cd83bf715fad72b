"""The restock: every few seconds, what is sold out is there again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from toystore.catalog.forward import NoLeader
from toystore.model import Done, Refused, Request, RestockEmpty
from toystore.replication.interface import Answer, Replica
from toystore.web.interface import Submitted

LOOK = 0.2
"""Seconds between two looks at whether it is time."""


class Restock:
    """Every `every` seconds (0: never) sets what is at exactly 0 to `to`; first as soon as a leader is heard.

    `submit` takes requests to the leader; `new_id` makes request ids. Several catalogs do the work of one: a
    command names the last restock that its sender has seen, and the ledger refuses it if another came since.
    """

    _log = Logger()

    def __init__(
        self,
        replica: Replica,
        submit: Callable[[Sequence[Request]], Awaitable[Submitted]],
        to: int,
        every: float,
        clock: IReactorTime,
        new_id: Callable[[], str],
    ) -> None:
        self._replica = replica
        self._submit = submit
        self._to = to
        self._every = every
        self._clock = clock
        self._new_id = new_id
        self._due = 0.0
        self._running: Deferred[None] | None = None
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock

    def start(self) -> None:
        if self._every > 0:
            self._due = self._clock.seconds()
            self._loop.start(min(LOOK, self._every)).addErrback(
                lambda failure: self._log.failure("there are no restocks any more", failure=failure)
            )

    def stop(self) -> None:
        if self._loop.running:
            self._loop.stop()
        if self._running is not None:
            self._running.cancel()

    def _look(self) -> None:
        now = self._clock.seconds()
        if self._running is None and now >= self._due and self._replica.leader_age() is not None:
            self._due = max(self._due + self._every, now)
            self._running = running = Deferred.fromCoroutine(self._restock())
            running.addBoth(self._restocked)

    def _restocked(self, result: Failure | None) -> None:
        self._running = None
        if result is not None and self._loop.running:
            self._log.failure("a restock failed", failure=result)

    async def _restock(self) -> None:
        (last, empty), _ = await self._replica.read(lambda reader: (reader.last_restock(), bool(reader.products_at_zero())))
        if not empty:
            return
        try:
            submitted = await self._submit([Request(self._new_id(), RestockEmpty(self._to, last))])
        except NoLeader as error:
            self._log.info("no restock now: {reason}", reason=error)
            return
        match submitted.results[0]:
            case Answer(_, _, Done(_, _, products)):
                for product in products:
                    self._log.info("Restocking {product}", product=product.name)
            case Answer(_, _, Refused(_, detail)):
                self._log.debug("another catalog restocks: {detail}", detail=detail)
            case result:
                self._log.warn("no restock now: {result}", result=result)
