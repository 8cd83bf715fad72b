"""An order replica and a catalog with their real routes, reached in memory."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.http_headers import Headers

from tests.support.replica import FakeReplica, now
from toystore.catalog.feed import Feed
from toystore.catalog.forward import Forwarder
from toystore.catalog.lookup import Lookup
from toystore.catalog.routes import CatalogRoutes
from toystore.catalog.window import Window
from toystore.ops.health import Health, NodeFacts
from toystore.orders.projection import Projector
from toystore.orders.routes import OrderRoutes
from toystore.web.agent import Body
from toystore.web.client import HttpCatalogService, HttpOrderService, Reached, _Collector

T = TypeVar("T")


class Asked:
    """Something that answers HTTP in memory."""

    agent: RequestTraversalAgent

    def ask(self, method: str, path: str, body: bytes | None = None) -> Reached:
        producer = None if body is None else Body(body)
        asked = self.agent.request(method.encode(), f"http://node{path}".encode(), Headers(), producer)
        self.agent.flush()
        response = asked.result
        collector = _Collector(10_000_000)
        response.deliverBody(collector)
        self.agent.flush()
        return Reached(response.code, response.headers, collector.done.result)

    def get(self, path: str) -> tuple[int, Any]:
        answer = self.ask("GET", path)
        return answer.status, json.loads(answer.body)


class OrderNode(Asked):
    def __init__(self, replica: FakeReplica | None = None) -> None:
        self.clock = Clock()
        self.replica = replica or FakeReplica()
        facts = NodeFacts(self.replica.node, "order", "toys", "raft", 4711)
        self.routes = OrderRoutes(self.replica, Health(self.replica, facts, self.clock), Projector(self.replica, ()))
        self.agent = RequestTraversalAgent(self.routes.resource())
        self.service = HttpOrderService(self.replica.node, "http://node", self.agent, self.clock, "toys", "front-1")


class CatalogNode(Asked):
    """A catalog that forwards to `orders`."""

    def __init__(self, *orders: OrderNode, replica: FakeReplica | None = None) -> None:
        self.clock = Clock()
        self.replica = replica or FakeReplica("catalog-1")
        self.feed = Feed(self.replica, self.clock)
        self.forwarder = Forwarder(self.replica, {order.replica.node: order.service for order in orders})
        facts = NodeFacts("catalog-1", "catalog", "toys", "raft", 4711)
        health = Health(self.replica, facts, self.clock)
        self.window = Window(self.replica)
        self.window.start()
        lookup = Lookup(self.replica, self.window, self.clock)
        self.routes = CatalogRoutes(self.replica, health, lookup, self.feed, self.forwarder)
        self.agent = RequestTraversalAgent(self.routes.resource())
        self.service = HttpCatalogService("catalog-1", "http://node", self.agent, self.clock)


def settle(node: Asked, result: Deferred[T]) -> T:
    """The result of a call to this node; raises what it failed with."""
    node.agent.flush()
    return now(result)
