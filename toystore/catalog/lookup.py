"""Lookups in one catalog: what it has applied, with the point in time and the age of it."""

from __future__ import annotations

from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.interfaces import IReactorTime

from toystore.catalog.window import Window
from toystore.model import Position, Product
from toystore.replication.interface import Replica
from toystore.web.codec import position_text
from toystore.web.interface import CatalogBehind, Dated

MAX_WAIT = 1.0
"""Seconds a lookup waits for the position it asks for."""


class Lookup:
    """Answers from the window where it shows something, else from the replica."""

    def __init__(self, replica: Replica, window: Window, clock: IReactorTime) -> None:
        self._replica = replica
        self._window = window
        self._clock = clock

    async def product(self, name: str, at_least: Position | None) -> Dated[Product | None]:
        """Raises CatalogBehind."""
        await self._reach(at_least)
        shown = self._window.look(name)
        value, asof = shown or await self._replica.read(lambda reader: reader.product(name))
        return Dated(value, asof, self._replica.leader_age())

    async def products(
        self, after: int, limit: int, text: str, topic: str | None, at_least: Position | None
    ) -> Dated[list[Product]]:
        """By number, those above `after`. Raises CatalogBehind."""
        await self._reach(at_least)
        value, asof = await self._replica.read(lambda reader: reader.products(after, limit, text, topic))
        return Dated(value, asof, self._replica.leader_age())

    async def _reach(self, position: Position | None) -> None:
        """Wait for it to be applied here."""
        if position is None:
            return
        try:
            await self._replica.wait_for(position).addTimeout(MAX_WAIT, self._clock)
        except TimedOut:
            here = position_text(self._replica.position())
            raise CatalogBehind(f"{position_text(position)} was asked for, {here} is applied here") from None
