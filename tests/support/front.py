"""A whole front end under a fake clock, over fake services; and a customer who speaks HTTP to a dialect of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import count
from random import Random
from typing import Any

from attrs import frozen
from treq.client import HTTPClient
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.web.resource import IResource

from tests.support.replica import TOYS
from tests.support.services import FakeCatalogService, FakeLedger, FakeOrderService
from toystore.frontend.balance import Balance, Policy
from toystore.frontend.cache import Cache
from toystore.frontend.leader import LeaderClient
from toystore.frontend.lookups import Lookups
from toystore.frontend.storefront import OrderReplica, Storefront
from toystore.frontend.subscription import Subscription
from toystore.model import CatalogRow, Line
from toystore.web.client import Body


def advance(clock: Clock, seconds: float) -> None:
    """Go on to each due call in turn, as time does."""
    end = clock.seconds() + seconds
    while calls := [call.getTime() for call in clock.getDelayedCalls() if call.getTime() <= end]:
        clock.advance(max(0.0, min(calls) - clock.seconds()))
    clock.advance(max(0.0, end - clock.seconds()))


def result(asked: Deferred[Any]) -> Any:
    """What has come, an exception too."""
    found: list[Any] = []
    asked.addCallbacks(found.append, lambda failure: found.append(failure.value))
    assert found, "nothing has come yet"
    return found[0]


class Front:
    """Three order replicas, of which the third leads, `catalogs` catalogs, and a storefront that has started."""

    def __init__(
        self,
        *,
        rows: Sequence[CatalogRow] = TOYS,
        catalogs: int = 2,
        cache_size: int = 5,
        policy: Policy | None = None,
        **leader: Any,
    ) -> None:
        self.clock = Clock()
        self.ledger = FakeLedger(rows)
        self.orders = [FakeOrderService(f"order-{i}", self.ledger, self.clock) for i in (1, 2, 3)]
        self.orders[2].leads = True
        self.catalogs = [FakeCatalogService(f"catalog-{i + 1}", self.ledger, self.clock) for i in range(catalogs)]
        self.cache = Cache(cache_size)
        self.leader = LeaderClient(self.orders, self.clock, Random(1), **leader)
        self.feed = Subscription(self.catalogs, self.cache, self.clock, Random(2))
        self.balance = Balance([catalog.node for catalog in self.catalogs], policy)
        replicas = {f"order-{i}": OrderReplica(i, f"10.0.0.1:{9000 + i}") for i in (1, 2, 3)}
        lookups = Lookups(self.leader, self.catalogs, self.cache, self.feed, self.balance, self.clock)
        self.store = Storefront(self.leader, lookups, self.cache, self.feed, self.balance, self.clock, replicas=replicas)
        self._ids = count(1)
        self.store.start()

    def new_id(self) -> str:
        return f"request-{next(self._ids)}"

    def buy(self, name: str = "Fox", quantity: int = 1, key: str | None = None) -> Deferred[Any]:
        return ensureDeferred(self.store.place("buy", [Line(name, quantity)], key, self.new_id()))

    def look_up(self, name: str = "Fox", **options: Any) -> Deferred[Any]:
        return ensureDeferred(self.store.lookups.product(name, **options))

    def pass_time(self, seconds: float, beats: bool = True) -> None:
        """In steps of half a second, with the heartbeats that a feed has."""
        for _ in range(round(seconds * 2)):
            advance(self.clock, 0.5)
            for catalog in self.catalogs if beats else ():
                catalog.beat()


@frozen
class Got:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Customer:
    """Sends requests to a resource, without a network; `send` gives what has come back when `seconds` have passed."""

    def __init__(self, resource: IResource, clock: Clock) -> None:
        self._agent = RequestTraversalAgent(resource)
        self._client = HTTPClient(self._agent)
        self._clock = clock

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = 0.0,
    ) -> Got:
        text = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        data = Body(text) if text else None
        answers: list[Any] = []
        asked = self._client.request(
            method, "http://shop.test" + path, data=data, headers=dict(headers or {}), allow_redirects=False
        )
        asked.addCallbacks(answers.append, answers.append)
        self._agent.flush()
        if seconds:
            advance(self._clock, seconds)
            self._agent.flush()
        (answer,) = answers
        parts: list[bytes] = []
        answer.content().addCallback(parts.append)
        self._agent.flush()
        found = {name.decode(): values[-1].decode() for name, values in answer.headers.getAllRawHeaders()}
        return Got(answer.code, found, parts[0])

    def get(self, path: str, **options: Any) -> Got:
        return self.send("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Got:
        return self.send("POST", path, body, **options)
