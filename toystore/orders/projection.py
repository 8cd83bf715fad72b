"""Files that a replica keeps up to date (`[[projection]]`): written, never read back.

Each is built anew at the start, in a file beside it that then takes its place, and grows with what is applied. What a
crash tears is whole again after the next start; all replicas write the same bytes for the same state.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from attrs import define, frozen
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from toystore.model import CatalogChange, Order, Product
from toystore.projections import FORMATS, ChangeFormat, Format, Growing, OrderFormat, ProductFormat
from toystore.replication.interface import Replica
from toystore.storage.interface import Applied, Reader

PAGE = 500
ALL = 1 << 31


@frozen
class Projected:
    """What a projection holds: `path` as the config gives it, `sha256` of the file as of `index`."""

    format: str
    path: str
    index: int
    sha256: str


@define
class _File:
    """A growing file. It is built under another name until it has caught up for the first time."""

    target: Path
    format: Growing
    out: BinaryIO | None = None
    rows: int = 0

    def begin(self) -> None:
        """Open it, unless it is open."""
        if self.out is None:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self.out = self._building.open("wb+")
            self.out.write(self.format.head + self.format.tail)

    def append(self, rows: Sequence[bytes]) -> None:
        assert self.out is not None
        if rows:
            self.out.seek(-len(self.format.tail), os.SEEK_END)
            self.out.write(self.format.more(rows, first=self.rows == 0))
            self.rows += len(rows)

    def show(self) -> None:
        assert self.out is not None
        self.out.flush()
        if self._building.exists():
            self._building.replace(self.target)

    def close(self) -> None:
        if self.out is not None:
            self.out.close()

    @property
    def _building(self) -> Path:
        return _beside(self.target)


def _beside(target: Path) -> Path:
    """Where a file is built before it takes its place."""
    return target.with_name(target.name + ".new")


class Projection:
    """One file. `catch_up` writes what has been applied since the last time."""

    def __init__(self, replica: Replica, name: str, path: str, target: Path, currency: str) -> None:
        self._replica, self._currency = replica, currency
        self.name, self.path, self.target = name, path, target
        self._format: Format = FORMATS[name]
        self._file: _File | None = None
        self._next_order = 0
        self._next_change = (0, 0)
        self._index = 0
        self._generation = 0

    async def catch_up(self) -> None:
        """Raises OSError; the next one builds the file anew then."""
        generation, self._generation = self._generation, self._replica.position().generation
        if generation != self._generation and self._file is not None:
            self._file.close()  # it holds what is not so any more
            self._file = None
        if isinstance(self._format, ProductFormat):
            await self._rewrite(self._format)
            return
        if self._file is None:
            self._next_order, self._next_change = 0, (0, 0)
            self._file = _File(self.target, self._format)
        try:
            self._file.begin()
            while await self._grow(self._file, self._format):
                pass
            self._file.show()
        except OSError:
            self._file.close()
            self._file = None
            raise

    async def _grow(self, file: _File, format_: Growing) -> bool:
        """Append one page; False where there is no more."""

        def read(reader: Reader) -> tuple[list[Order], list[CatalogChange], list[Product]]:
            wants_changes = isinstance(format_, ChangeFormat)
            changes = reader.changes_from(*self._next_change, PAGE) if wants_changes else []
            products = reader.products(0, ALL) if wants_changes else []
            return reader.orders_from(self._next_order, PAGE), changes, products

        (orders, changes, products), position = await self._replica.read(read)
        # A full page ends the other one at the same index: what follows it is not known yet.
        ends = [page[-1].index for page in (orders, changes) if len(page) == PAGE]
        end = min([position.index, *ends])
        orders = [order for order in orders if order.index <= end]
        changes = [change for change in changes if change.index <= end]
        if isinstance(format_, ChangeFormat):
            numbers = {product.name: product.number for product in products}
            file.append(format_.merged(changes, orders, numbers, self._currency))
        elif isinstance(format_, OrderFormat):
            file.append([row for order in orders for row in format_.rows(order)])
        self._next_order += len(orders)
        if changes:
            self._next_change = (changes[-1].index, changes[-1].sequence + 1)
        self._index = end
        return bool(ends)

    async def _rewrite(self, format_: ProductFormat) -> None:
        products, position = await self._replica.read(lambda reader: reader.products(0, ALL))
        building = _beside(self.target)
        self.target.parent.mkdir(parents=True, exist_ok=True)
        building.write_bytes(format_.whole(products, self._currency))
        building.replace(self.target)
        self._index = position.index

    def projected(self) -> Projected:
        """Reads the file."""
        digest = hashlib.sha256(self.target.read_bytes()).hexdigest()
        return Projected(self.name, self.path, self._index, digest)


class Projector:
    """All projections of one replica. They follow what is applied, one catch-up at a time."""

    log = Logger()

    def __init__(self, replica: Replica, projections: Sequence[Projection]) -> None:
        self._replica, self._projections = replica, projections
        self._busy: Deferred[None] | None = None
        self._again = False
        self._waiting: list[Deferred[None]] = []
        self._unfollow: Callable[[], None] = lambda: None

    def start(self) -> None:
        if self._projections:
            self._unfollow = self._replica.follow(self._on_applied, self._stir)
            self._stir()

    def stop(self) -> None:
        self._unfollow()
        self._projections = ()

    def _on_applied(self, _: Sequence[Applied]) -> None:
        self._stir()

    def _stir(self) -> None:
        """There is news; if a catch-up is under way, another follows it."""
        self._again = True
        if self._busy is None:
            self._busy = busy = Deferred.fromCoroutine(self._catch_up())
            busy.addErrback(lambda failure: self.log.failure("a projection could not be written", failure))
            busy.addBoth(self._idle)

    async def _catch_up(self) -> None:
        while self._again:
            self._again = False
            waiting, self._waiting = self._waiting, []
            try:
                for projection in self._projections:
                    await projection.catch_up()
            finally:
                for waiter in waiting:
                    waiter.callback(None)

    def _idle(self, _: object) -> None:
        self._busy = None
        if self._again:
            self._stir()

    async def written(self) -> None:
        """Until all files hold what has been applied so far, or could not be written, which the log tells."""
        if self._projections:
            caught_up: Deferred[None] = Deferred()
            self._waiting.append(caught_up)
            self._stir()
            await caught_up

    async def all(self) -> list[Projected]:
        """All files, with what has been applied so far in them. Raises OSError where one can not be read."""
        await self.written()
        return [projection.projected() for projection in self._projections]
