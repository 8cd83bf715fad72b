"""What a catalog has on show: all products, at hand on the reactor's thread.

A lookup from here costs no change of thread, which takes longer than the lookup itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from toystore.model import BOUND, Done, Position, Product
from toystore.replication.interface import Replica
from toystore.storage.interface import Applied


class Window:
    """The products of one replica as of exactly one position.

    They are read whole once, and then moved by what the replica applies, without a gap; after a gap, or a snapshot,
    they are read anew. Until that is done nothing is on show, and one must ask the replica.
    """

    _log = Logger()

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._products: dict[str, Product] = {}
        self._asof: Position | None = None
        self._reading: Deferred[tuple[list[Product], Position]] | None = None
        self._unfollow: Callable[[], None] | None = None

    def start(self) -> None:
        self._unfollow = self._replica.follow(self._applied, self._read)
        self._read()

    def stop(self) -> None:
        """Nothing is on show any more."""
        self._asof = self._reading = None
        if self._unfollow is not None:
            self._unfollow()
            self._unfollow = None

    def look(self, name: str) -> tuple[Product | None, Position] | None:
        """The product of this name, if there is one, and the position this is known at. None: nothing is on show."""
        return None if self._asof is None else (self._products.get(name), self._asof)

    def _read(self) -> None:
        self._asof = None
        reading = self._reading = self._replica.read(lambda reader: reader.products(0, BOUND))
        reading.addCallback(self._show, reading)
        reading.addErrback(lambda failure: self._log.failure("the window stays empty", failure))

    def _show(self, read: tuple[list[Product], Position], reading: object) -> None:
        if self._reading is reading:  # else a snapshot has come meanwhile, and another reading is under way
            products, self._asof = read
            self._products = {product.name: product for product in products}

    def _applied(self, batch: Sequence[Applied]) -> None:
        if self._asof is None:
            return
        if batch[0].index != self._asof.index + 1:
            self._read()
            return
        for applied in batch:
            if isinstance(applied.outcome, Done):
                for product in applied.outcome.products:
                    self._put(product)
        self._asof = Position(self._asof.generation, batch[-1].index)

    def _put(self, product: Product) -> None:
        """A repeated request gives its old outcome again, with the products as they were then."""
        shown = self._products.get(product.name)
        if shown is None or shown.version < product.version:
            self._products[product.name] = product
