"""Lookups of products: through the cache, and from the catalogs in turn.

Every method returns a value with the position it was read at, or raises one of `web/errors.py`. A `Dated` from here
has age 0 where it is current, else the age to mark it with (None: not known).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from toystore.frontend.balance import Balance
from toystore.frontend.cache import Cache
from toystore.frontend.history import History, read_history
from toystore.frontend.leader import LeaderClient
from toystore.frontend.subscription import Subscription, too_old
from toystore.model import BOUND, ORIGIN, Position, Product
from toystore.web.errors import CatalogIsBehind, Unavailable, UnknownProduct
from toystore.web.interface import Broken, CatalogBehind, CatalogService, Dated, Unreachable

T = TypeVar("T")
log = Logger()

FOUNDED = Position(0, 1)
"""A catalog behind this has heard of nothing yet."""

MAX_NAMES = 10_000
"""Names remembered by the number of the product."""


@define(eq=False)
class _Flight:
    """One question to the catalogs about one product, with all who wait for it; its answer is as of
    `needed` or later, or marked with its age and as of `strict` or later."""

    needed: Position
    strict: Position
    waiters: list[Deferred[Dated[Product | None]]] = field(factory=list)


class Lookups:
    """`patience`: how long one catalog may take for one answer, in seconds; more than it waits to catch up (1 s). The
    `kind` of a request says in whose turn it is asked, where the policy of `balance` minds.
    """

    def __init__(
        self,
        leader: LeaderClient,
        catalogs: Sequence[CatalogService],
        cache: Cache,
        feed: Subscription,
        balance: Balance,
        clock: IReactorTime,
        *,
        patience: float = 2.0,
    ) -> None:
        self._leader = leader
        self._catalogs = {catalog.node: catalog for catalog in catalogs}
        self._cache = cache
        self._feed = feed
        self._balance = balance
        self._clock = clock
        self._patience = patience
        self._flights: dict[str, _Flight] = {}
        self._names: dict[tuple[int, int], str] = {}  # by generation and number

    async def product(
        self, name: str, at_least: Position = ORIGIN, linearizable: bool = False, kind: str = "product"
    ) -> Dated[Product]:
        """The product, as of `at_least` or later; `linearizable`: as of now, from the leader.

        Raises UnknownProduct (marked, where its age is not 0), CatalogIsBehind, Unavailable.
        """
        if linearizable:
            read = await self._leader.product(name)
            return self._known(name, Dated(read.value, read.asof))  # current, however long ago a quorum was heard
        entry = self._cache.get(name, self._clock.seconds(), at_least)
        counters = self._cache.counters
        if entry is not None:
            log.debug("***** CACHE HIT ***** Fetching {name} from the memory, {hits} so far", name=name, hits=counters.hits)
            return Dated(entry.product, entry.asof)
        log.debug("***** CACHE MISS ***** {name}, {misses} so far", name=name, misses=counters.misses)
        needed = max(self._cache.needed(name), at_least)
        newest = max(self._cache.highest, FOUNDED)
        dated = await self._shared(name, needed, at_least, kind)
        if dated.value is None and dated.asof < newest:  # an old "not found" means nothing, not even with its age
            dated = await self._shared(name, newest, newest, kind)
        return self._known(name, dated)

    async def numbered(self, number: int, kind: str = "product") -> Dated[Product]:
        """The product with this number. Raises as `product`."""
        name = self._name_of(number)
        if name is not None:
            return await self.product(name, kind=kind)
        if not 1 <= number <= BOUND:
            raise _unknown_number(number)
        newest = max(self._cache.highest, FOUNDED)
        dated = await self.products(number - 1, 1, kind=kind)
        if not _begins_with(dated.value, number) and dated.asof < newest:  # as in `product`
            dated = await self.products(number - 1, 1, at_least=newest, kind=kind)
        if not _begins_with(dated.value, number):
            raise _unknown_number(number, dated.age)
        (product,) = dated.value
        if len(self._names) >= MAX_NAMES:
            self._names.clear()
        self._names[dated.asof.generation, number] = product.name
        self._cache.put(product, dated.asof)
        return Dated(product, dated.asof, dated.age)

    async def name_of(self, number: int, kind: str = "product") -> str:
        """What the product with this number is called; asks nobody who was asked before. Raises as `product`."""
        return self._name_of(number) or (await self.numbered(number, kind)).value.name

    def _name_of(self, number: int) -> str | None:
        """A product keeps its number and its name as long as the generation lasts."""
        return self._names.get((self._cache.highest.generation, number))

    def _known(self, name: str, dated: Dated[Product | None]) -> Dated[Product]:
        self._cache.hear(dated.asof)
        if dated.value is None:
            raise UnknownProduct(f"there is no product called {name!r}", dated.age)
        if self._cache.put(dated.value, dated.asof):
            log.debug("Writing {name} to the cache", name=name)
        return Dated(dated.value, dated.asof, dated.age)

    def _shared(self, name: str, needed: Position, strict: Position, kind: str) -> Deferred[Dated[Product | None]]:
        """Join a question under way, if its answer will do; whoever came after a floor rose asks a new
        one."""
        flight = self._flights.get(name)
        if flight is None or flight.needed < needed or flight.strict < strict:
            flight = _Flight(needed, strict)
            self._flights[name] = flight
            asked = ensureDeferred(self._ask(kind, lambda c, at_least: c.product(name, at_least), needed, strict))
            waiter = self._wait_for(flight)
            asked.addBoth(self._landed, name, flight)
            asked.addErrback(lambda failure: log.failure("an answer was mishandled", failure))
            return waiter
        return self._wait_for(flight)

    def _wait_for(self, flight: _Flight) -> Deferred[Dated[Product | None]]:
        waiter: Deferred[Dated[Product | None]] = Deferred(flight.waiters.remove)
        flight.waiters.append(waiter)
        return waiter

    def _landed(self, result: Dated[Product | None] | Failure, name: str, flight: _Flight) -> None:
        if self._flights.get(name) is flight:
            del self._flights[name]
        if isinstance(result, Failure) and not flight.waiters:
            log.info("nobody waits any more for {name}: {why}", name=name, why=result.value)
        while flight.waiters:
            flight.waiters.pop(0).callback(result)

    async def products(
        self,
        after: int,
        limit: int,
        text: str = "",
        topic: str | None = None,
        at_least: Position = ORIGIN,
        kind: str = "products",
    ) -> Dated[list[Product]]:
        """By number, those above `after`. Raises CatalogIsBehind, Unavailable."""
        needed = max(self._cache.highest, at_least)
        dated = await self._ask(
            kind,
            lambda catalog, position: catalog.products(after, limit, text, topic, position),
            needed,
            at_least,
        )
        self._cache.hear(dated.asof)
        return dated

    async def history(self, kind: str = "history") -> Dated[History]:
        """All orders and changes of the catalog. Raises CatalogIsBehind, and Unavailable, also where they are too many to
        be read in time."""
        dated = await self._ask(
            kind,
            lambda catalog, at_least: ensureDeferred(read_history(catalog, at_least)),
            self._cache.highest,
            ORIGIN,
        )
        self._cache.hear(dated.asof)
        return dated

    async def _ask(
        self,
        kind: str,
        question: Callable[[CatalogService, Position | None], Deferred[Dated[T]]],
        needed: Position,
        strict: Position,
    ) -> Dated[T]:
        """Ask the catalogs in turn for an answer as of `needed` or later; where none hears a leader, take
        one as of `strict` or later, with its age."""
        behind = False
        stale: Dated[T] | None = None
        for node in self._balance.order(kind, self._clock.seconds()):
            catalog = self._catalogs[node]
            try:
                dated = await self._ask_one(catalog, question, strict if self._feed.degraded else needed)
                if dated.asof < needed and not too_old(dated.age):
                    dated = await self._ask_one(catalog, question, needed)
            except CatalogBehind:
                behind = True
                continue
            except (Unreachable, Broken, TimedOut) as error:
                log.info("catalog {node} is skipped: {error!r}", node=node, error=error)
                self._balance.failed(node, self._clock.seconds())
                continue
            self._balance.worked(node)
            if not too_old(dated.age) and dated.asof >= needed:
                return Dated(dated.value, dated.asof)
            if dated.asof >= strict and (stale is None or stale.asof < dated.asof):
                stale = dated
            if stale is not None and self._feed.degraded:
                break
        if stale is not None and too_old(stale.age):
            return stale
        if behind or stale is not None:
            raise CatalogIsBehind(f"no catalog has reached {needed.index} yet")
        raise Unavailable(1.0, "no catalog can be reached")

    async def _ask_one(
        self,
        catalog: CatalogService,
        question: Callable[[CatalogService, Position | None], Deferred[Dated[T]]],
        at_least: Position,
    ) -> Dated[T]:
        asked = maybeDeferred(question, catalog, at_least if at_least > ORIGIN else None)
        return await asked.addTimeout(self._patience, self._clock)


def _begins_with(products: Sequence[Product], number: int) -> bool:
    return bool(products) and products[0].number == number


def _unknown_number(number: int, age: float | None = 0.0) -> UnknownProduct:
    return UnknownProduct(f"there is no product with the number {number}", age)
