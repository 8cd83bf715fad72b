"""The use cases of a front end, without HTTP: place, find, cancel, change; and, in `lookups`, look up, list, search.

Every method returns a value with the position it was read or carried out at, or raises one of
`web/errors.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from toystore.frontend.balance import Balance
from toystore.frontend.cache import Cache
from toystore.frontend.leader import LeaderClient
from toystore.frontend.lookups import Lookups
from toystore.frontend.subscription import Subscription
from toystore.model import (
    BOUND,
    CancelOrder,
    Command,
    Done,
    Line,
    Order,
    PlaceOrder,
    Position,
    Refusal,
    Refused,
    Request,
)
from toystore.web.errors import RefusedError
from toystore.web.interface import Dated


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


class Storefront:
    """`replicas` are the order replicas by name, for those who ask which one leads."""

    def __init__(
        self,
        leader: LeaderClient,
        lookups: Lookups,
        cache: Cache,
        feed: Subscription,
        balance: Balance,
        clock: IReactorTime,
        *,
        replicas: Mapping[str, OrderReplica] = MappingProxyType({}),
    ) -> None:
        self.cache = cache
        self.lookups = lookups
        self._leader = leader
        self._feed = feed
        self._balance = balance
        self._clock = clock
        self._replicas = replicas

    def start(self) -> None:
        self._leader.start()
        self._feed.start()

    def stop(self) -> None:
        self._feed.stop()
        self._leader.stop()

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
        position = Position(answer.generation, answer.index)
        self.cache.hear(position)
        if isinstance(answer.outcome, Refused):
            raise RefusedError(answer.outcome.refusal, answer.outcome.detail)
        self._remember(answer.outcome, answer.generation)
        return Carried(answer.outcome, position)

    def _remember(self, done: Done, generation: int) -> None:
        """Before the client is told: from now on no reader here may see these products as they were."""
        position = Position(generation, done.index)
        for product in done.products:
            self.cache.raise_floor(product.name, position)
            self.cache.put(product, position)
        if done.order is not None:
            for line in done.order.lines:
                self.cache.raise_floor(line.name, Position(generation, done.order.changed))

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


def _unknown_order(number: int) -> RefusedError:
    return RefusedError(Refusal.UNKNOWN_ORDER, f"there is no order {number}")
