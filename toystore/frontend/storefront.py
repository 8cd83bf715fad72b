"""The use cases of a front end, without HTTP: look up, list, place, find, cancel, change.

Every method returns a value with the position it was read or carried out at, or raises one of
`web/errors.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from attrs import define, field, frozen
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
from toystore.model import (
    BOUND,
    ORIGIN,
    CancelOrder,
    Command,
    Done,
    Line,
    Order,
    PlaceOrder,
    Position,
    Product,
    Refusal,
    Refused,
    Request,
)
from toystore.web.errors import CatalogIsBehind, RefusedError, Unavailable
from toystore.web.interface import Broken, CatalogBehind, CatalogService, Dated, Unreachable

T = TypeVar("T")
log = Logger()

FOUNDED = Position(0, 1)
"""A catalog behind this has heard of nothing yet."""

MAX_NAMES = 10_000
"""Names remembered by the number of the product."""


@frozen
class OrderReplica:
    """One of those that carry out orders; `address` is "host:port"."""

    id: int
    address: str


@frozen
class Carried:
    """A command that was carried out, now or before (`done.replayed`); `position` is where it was
    answered."""

    done: Done
    position: Position


@define(eq=False)
class _Flight:
    """One question to the catalogs about one product, with all who wait for it; its answer is as of
    `needed` or later, or marked with its age and as of `strict` or later."""

    needed: Position
    strict: Position
    waiters: list[Deferred[Dated[Product | None]]] = field(factory=list)


class Storefront:
    """`patience`: how long one catalog may take for one answer, in seconds; more than it waits to catch
    up (1 s). The `kind` of a request says in whose turn it is asked, where the policy of `balance` minds.
    `replicas` are the order replicas by name, for those who ask which one leads.

    A `Dated` from here has age 0 where it is current, else the age to mark it with (None: not known).
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
        replicas: Mapping[str, OrderReplica] = MappingProxyType({}),
    ) -> None:
        self.cache = cache
        self._leader = leader
        self._catalogs = {catalog.node: catalog for catalog in catalogs}
        self._feed = feed
        self._balance = balance
        self._clock = clock
        self._patience = patience
        self._replicas = replicas
        self._flights: dict[str, _Flight] = {}
        self._names: dict[tuple[int, int], str] = {}  # by generation and number

    def start(self) -> None:
        self._leader.start()
        self._feed.start()

    def stop(self) -> None:
        self._feed.stop()
        self._leader.stop()

    def at(self, index: int) -> Position:
        """This index, in the present generation of the ledger."""
        return Position(self.cache.highest.generation, index)

    # Products

    async def product(
        self, name: str, at_least: Position = ORIGIN, linearizable: bool = False, kind: str = "product"
    ) -> Dated[Product]:
        """The product, as of `at_least` or later; `linearizable`: as of now, from the leader.

        Raises RefusedError (UNKNOWN_PRODUCT), CatalogIsBehind, Unavailable.
        """
        if linearizable:
            return self._known(name, await self._leader.product(name))
        entry = self.cache.get(name, self._clock.seconds(), at_least)
        counters = self.cache.counters
        if entry is not None:
            log.debug("***** CACHE HIT ***** Fetching {name} from the memory, {hits} so far", name=name, hits=counters.hits)
            return Dated(entry.product, entry.asof)
        log.debug("***** CACHE MISS ***** {name}, {misses} so far", name=name, misses=counters.misses)
        needed = max(self.cache.needed(name), at_least)
        newest = max(self.cache.highest, FOUNDED)
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
        newest = max(self.cache.highest, FOUNDED)
        dated = await self.products(number - 1, 1, kind=kind)
        if not _begins_with(dated.value, number) and dated.asof < newest:  # as in `product`
            dated = await self.products(number - 1, 1, at_least=newest, kind=kind)
        if not _begins_with(dated.value, number):
            raise _unknown_number(number)
        (product,) = dated.value
        if len(self._names) >= MAX_NAMES:
            self._names.clear()
        self._names[dated.asof.generation, number] = product.name
        self.cache.put(product, dated.asof)
        return Dated(product, dated.asof, dated.age)

    async def name_of(self, number: int, kind: str = "product") -> str:
        """What the product with this number is called; asks nobody who was asked before. Raises as `product`."""
        return self._name_of(number) or (await self.numbered(number, kind)).value.name

    def _name_of(self, number: int) -> str | None:
        """A product keeps its number and its name as long as the generation lasts."""
        return self._names.get((self.cache.highest.generation, number))

    def _known(self, name: str, dated: Dated[Product | None]) -> Dated[Product]:
        self.cache.hear(dated.asof)
        if dated.value is None:
            raise RefusedError(Refusal.UNKNOWN_PRODUCT, f"there is no product called {name!r}")
        if self.cache.put(dated.value, dated.asof):
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
        needed = max(self.cache.highest, at_least)
        dated = await self._ask(
            kind,
            lambda catalog, position: catalog.products(after, limit, text, topic, position),
            needed,
            at_least,
        )
        self.cache.hear(dated.asof)
        return dated

    async def history(self, kind: str = "history") -> Dated[History]:
        """All orders and changes of the catalog. Raises CatalogIsBehind, and Unavailable, also where they are too many to
        be read in time."""
        dated = await self._ask(
            kind,
            lambda catalog, at_least: ensureDeferred(read_history(catalog, at_least)),
            self.cache.highest,
            ORIGIN,
        )
        self.cache.hear(dated.asof)
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

    # Orders

    async def place(self, side: str, lines: Sequence[Line], key: str | None, request_id: str) -> Carried:
        """Raises RefusedError, Unavailable, OutcomeUnknown."""
        return await self._carry(request_id, PlaceOrder(side, tuple(lines), key or request_id))

    async def cancel(self, number: int, request_id: str) -> Carried:
        """The same again for an order that is cancelled already. Raises as `place`."""
        if number > BOUND:
            raise _unknown_order(number)
        return await self._carry(request_id, CancelOrder(number))

    async def change(self, command: Command, request_id: str) -> Carried:
        """A change of the catalog. Raises as `place`."""
        return await self._carry(request_id, command)

    async def order(self, number: int) -> Dated[Order]:
        """Linearizable. Raises RefusedError (UNKNOWN_ORDER), Unavailable."""
        if number > BOUND:
            raise _unknown_order(number)
        dated = await self._leader.order(number)
        self.cache.hear(dated.asof)
        if dated.value is None:
            raise _unknown_order(number)
        return Dated(dated.value, dated.asof)

    async def orders(self, before: int | None, limit: int) -> Dated[list[Order]]:
        """The newest first, with numbers below `before`; linearizable. Raises Unavailable."""
        dated = await self._leader.orders(before, limit)
        self.cache.hear(dated.asof)
        return Dated(dated.value, dated.asof)

    async def _carry(self, request_id: str, command: Command) -> Carried:
        answer = await self._leader.submit(Request(request_id, command))
        position = self.at(answer.index)
        self.cache.hear(position)
        if isinstance(answer.outcome, Refused):
            raise RefusedError(answer.outcome.refusal, answer.outcome.detail)
        self._remember(answer.outcome)
        return Carried(answer.outcome, position)

    def _remember(self, done: Done) -> None:
        """Before the client is told: from now on no reader here may see these products as they were."""
        position = self.at(done.index)
        for product in done.products:
            self.cache.raise_floor(product.name, position)
            self.cache.put(product, position)
        if done.order is not None:
            for line in done.order.lines:
                self.cache.raise_floor(line.name, self.at(done.order.changed))

    # How it goes

    def leading(self) -> OrderReplica | None:
        """The order replica that leads now; None where none is known to."""
        leader = self._leader.search.leader
        return None if leader is None else self._replicas[leader.node]

    async def answers(self, id_: int) -> bool | None:
        """Whether the order replica with this id answers now; None where there is none."""
        node = next((node for node, replica in self._replicas.items() if replica.id == id_), None)
        return None if node is None else await self._leader.search.answers(node)

    def ready(self) -> list[str]:
        """Why this front end can not do its job; empty where it can."""
        reasons = []
        if self._leader.search.leader is None:
            reasons.append("no leader of the order service is known")
        if not self._feed.fresh():
            reasons.append("no catalog that hears a leader is being followed")
        return reasons

    def status(self) -> dict[str, Any]:
        """For people and tools; everything in it may be encoded as JSON."""
        cache, leader = self.cache, self._leader.search.leader
        return {
            "leader": None if leader is None else leader.node,
            "term": self._leader.search.term,
            "commands_under_way": self._leader.queued,
            "catalogs": {
                "live": self._balance.live(),
                "followed": self._feed.node,
                "degraded": self._feed.degraded,
            },
            "cache": {
                "capacity": cache.capacity,
                "size": len(cache),
                "serving": cache.may_serve(self._clock.seconds()),
                "hits": cache.counters.hits,
                "misses": cache.counters.misses,
                "evictions": cache.counters.evictions,
                "contents": {str(slot): name for slot, name in sorted(cache.contents().items())},
            },
            "position": {"generation": cache.highest.generation, "index": cache.highest.index},
        }


def _begins_with(products: Sequence[Product], number: int) -> bool:
    return bool(products) and products[0].number == number


def _unknown_number(number: int) -> RefusedError:
    return RefusedError(Refusal.UNKNOWN_PRODUCT, f"there is no product with the number {number}")


def _unknown_order(number: int) -> RefusedError:
    return RefusedError(Refusal.UNKNOWN_ORDER, f"there is no order {number}")
