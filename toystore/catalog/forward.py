"""Catalog changes on their way from a catalog to the leader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from toystore.model import Request
from toystore.replication.interface import NotLeader, Replica, Unsure
from toystore.web.interface import Broken, OrderService, Submitted, Unreachable


class NoLeader(Exception):
    """No order replica that leads could be reached; nothing was done."""


class Forwarder:
    """Sends requests to whoever leads: asks each order replica at most twice, does not wait for an election.

    Asking another after a broken answer is harmless: the ledger knows a request by its id.
    """

    def __init__(self, replica: Replica, order_services: Mapping[str, OrderService]) -> None:
        self._replica = replica
        self._services = order_services

    async def submit(self, requests: Sequence[Request]) -> Submitted:
        """The leader's answer, or all `Unsure` where one may have been carried out. Raises NoLeader."""
        broken: Broken | None = None
        route = _Route(self._services, (await self._replica.status()).leader)
        for node in route:
            try:
                return await self._services[node].submit(requests)
            except NotLeader as error:
                route.prefer(error.leader)
            except Unreachable:
                continue
            except Broken as error:
                broken = error
        if broken is None:
            raise NoLeader("no order replica says that it leads")
        return Submitted(0, tuple(Unsure(str(broken)) for _ in requests))


class _Route:
    """Which replica to ask next: the one that was named last, else one not asked yet."""

    def __init__(self, nodes: Mapping[str, object], first: str | None) -> None:
        self._left = dict.fromkeys(nodes, 2)
        self._named = first

    def prefer(self, node: str | None) -> None:
        self._named = node

    def __iter__(self) -> Iterator[str]:
        while (node := self._choose()) is not None:
            self._left[node] -= 1
            yield node

    def _choose(self) -> str | None:
        named, self._named = self._named, None
        if named is not None and self._left.get(named, 0):
            return named
        return next((node for node, left in self._left.items() if left == 2), None)
