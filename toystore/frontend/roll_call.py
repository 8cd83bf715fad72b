"""Which catalogs answer: asked every few seconds, told in the log, and told to the balance, so that a catalog
which is back has its share again without waiting for a customer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from toystore.frontend.balance import Balance
from toystore.web.interface import Broken, CatalogBehind, CatalogService, Unreachable

log = Logger()


class RollCall:
    """`every`: seconds between two calls, and before the first; `patience`: seconds that a catalog has for its answer."""

    def __init__(
        self,
        catalogs: Sequence[CatalogService],
        balance: Balance,
        clock: IReactorTime,
        *,
        every: float = 10.0,
        patience: float = 2.0,
    ) -> None:
        self._catalogs = tuple(catalogs)
        self._balance = balance
        self._clock = clock
        self._every = every
        self._patience = patience
        self._asking: Deferred[Any] | None = None
        self._loop = LoopingCall(self._call)
        self._loop.clock = clock

    def start(self) -> None:
        calling = self._loop.start(self._every, now=False)  # at once, catalogs that start with us would be missed
        calling.addErrback(lambda failure: log.failure("the roll is not called any more", failure))

    def stop(self) -> None:
        if self._loop.running:
            self._loop.stop()
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()

    def _call(self) -> None:
        self._asking = gatherResults([self._ask(catalog) for catalog in self._catalogs], consumeErrors=True)
        self._asking.addCallback(self._tell).addErrback(self._broke_off)

    def _ask(self, catalog: CatalogService) -> Deferred[bool]:
        """Whether it answers."""
        asked = maybeDeferred(catalog.products, 0, 1).addTimeout(self._patience, self._clock)

        def silent(failure: Failure) -> bool:
            failure.trap(Unreachable, Broken, CatalogBehind, TimedOut)
            self._balance.failed(catalog.node, self._clock.seconds())
            return False

        def answered(_: object) -> bool:
            self._balance.worked(catalog.node)
            return True

        return asked.addCallbacks(answered, silent)

    def _tell(self, active: list[bool]) -> None:
        self._asking = None
        log.info("catalog servers active: {active}", active=active)
        down = active.count(False)
        if down:
            log.info("Error in connection with {down} catalog server{s}", down=down, s="" if down == 1 else "s")

    def _broke_off(self, failure: Failure) -> None:
        if self._asking is not None:  # else we were told to stop
            self._asking = None
            log.failure("the roll call failed", failure)
