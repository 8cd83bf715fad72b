"""The first catalog: loaded once, as one command, by whoever leads an empty ledger."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from toystore.encoding import to_json
from toystore.model import CatalogRow, Done, LoadCatalog, Refusal, Refused, Request
from toystore.replication.interface import Answer, NotLeader, Replica

EVERY = 0.2
"""Seconds between two looks at an empty ledger."""


class Seed:
    """Loads `rows` when this replica leads and the ledger has no products; it stops once there are some."""

    _log = Logger()

    def __init__(self, replica: Replica, rows: Sequence[CatalogRow], clock: IReactorTime) -> None:
        self._replica = replica
        command = LoadCatalog(tuple(rows))
        # Named by what is in it: another replica's try is a repetition, a corrected file is not.
        self._request = Request(f"load-catalog-{sha256(to_json(command)).hexdigest()[:16]}", command)
        self._rows = len(rows)
        self._looking: Deferred[None] | None = None
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock

    def start(self) -> None:
        if self._rows:
            self._loop.start(EVERY).addErrback(
                lambda failure: self._log.failure("the catalog is not looked after any more", failure=failure)
            )

    def stop(self) -> None:
        if self._loop.running:
            self._loop.stop()
        if self._looking is not None:
            self._looking.cancel()

    def waits_for(self) -> Sequence[str]:
        """Why customers would not find what they should yet; empty once there are products, or none to load."""
        return ["the first catalog is not loaded yet"] if self._loop.running else []

    def _look(self) -> None:
        """Start to look; it must not wait, for a loop whose Deferred does not fire would look no more."""
        if self._looking is None:
            self._looking = looking = Deferred.fromCoroutine(self._load_where_empty())
            looking.addBoth(self._looked)

    def _looked(self, result: Failure | None) -> None:
        self._looking = None
        if self._loop.running and result is not None:
            self._log.failure("the catalog could not be loaded; trying again", failure=result)

    async def _load_where_empty(self) -> None:
        highest, _ = await self._replica.read(lambda reader: reader.highest_product_number())
        if highest:
            self._loop.stop()
            return
        try:
            (result,) = await self._replica.submit([self._request])
        except NotLeader:
            return
        match result:
            case Answer(index, _, Done()):
                self._log.info("loaded {count} products at {index}", count=self._rows, index=index)
            case Answer(_, _, Refused(refusal, detail)) if refusal is not Refusal.VERSION_MISMATCH:
                self._log.error("the catalog is refused: {detail}", detail=detail)
                self._loop.stop()
            case _:
                self._log.debug("the catalog is not loaded yet: {result}", result=result)
