"""What a catalog answers: lookups from what it has applied, the change feed, changes for the leader."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.web.server import Request

from toystore.catalog.feed import Feed, FeedFull
from toystore.catalog.forward import Forwarder, NoLeader
from toystore.catalog.lookup import Lookup
from toystore.encoding import EncodingError, kind_of
from toystore.model import AdjustStock, Position, PutProduct, RestockEmpty, SetPrice
from toystore.ops.health import Health, add_health_routes
from toystore.replication.interface import Replica
from toystore.web import codec
from toystore.web.answers import INTERNAL_ERRORS, HotPaths, Reply, json_app
from toystore.web.input import BadInput, query_integer, query_text
from toystore.web.interface import CatalogBehind, Dated

MAX_PAGE = 1000

CHANGES = (PutProduct, SetPrice, AdjustStock, RestockEmpty)


ERRORS = evolve(
    INTERNAL_ERRORS,
    known={
        CatalogBehind: lambda error: Reply(503, codec.encode_error("catalog_behind", str(error))),
        NoLeader: lambda error: Reply(503, codec.encode_error("no_leader", str(error))),
        FeedFull: lambda error: Reply(503, codec.encode_error("feed_full", str(error))),
        EncodingError: lambda error: Reply(400, codec.encode_error("malformed", str(error))),
    },
)


class CatalogRoutes:
    """The routes over one replica."""

    app = json_app()

    def __init__(self, replica: Replica, health: Health, lookup: Lookup, feed: Feed, forwarder: Forwarder) -> None:
        self.replica = replica
        self.health = health
        self._lookup = lookup
        self._feed = feed
        self._forwarder = forwarder

    def resource(self) -> HotPaths:
        """The root of a site; more hot paths may be added to it."""
        root = HotPaths(self.app, ERRORS)
        return root.add("POST", "/ledger", self.ledger).add_names("GET", "/products/", self.product)

    async def product(self, name: str, request: Request, body: bytes) -> Reply:
        return _reply(await self._lookup.product(name, _least(request)))

    @app.route("/products/<name>", methods=["GET"])
    async def product_by_klein(self, request: Request, name: str) -> bytes:
        return (await self.product(name, request, b"")).send(request)

    @app.route("/products", methods=["GET"])
    async def products(self, request: Request) -> bytes:
        after = query_integer(request, "after") or 0
        limit = query_integer(request, "limit", 1, MAX_PAGE) or MAX_PAGE
        text, topic = query_text(request, "q") or "", query_text(request, "topic")
        return _reply(await self._lookup.products(after, limit, text, topic, _least(request))).send(request)

    @app.route("/changes", methods=["GET"])
    async def changes(self, request: Request) -> None:
        if request.method == b"GET":
            await self._feed.stream(request)

    async def ledger(self, request: Request, body: bytes) -> Reply:
        """Changes of the catalog only; everything else goes to the leader without us."""
        batch = codec.decode_batch(body)
        if batch.cluster != self.health.facts.cluster:
            raise BadInput(f"this is cluster {self.health.facts.cluster!r}, not {batch.cluster!r}")
        for asked in batch.requests:
            if not isinstance(asked.command, CHANGES):
                raise BadInput(f"a catalog does not take {kind_of(asked.command)}")
        submitted = await self._forwarder.submit(batch.requests)
        return Reply(200, codec.encode_results(submitted.term, submitted.results))

    add_health_routes(app)
    ERRORS.install(app)


def _least(request: Request) -> Position | None:
    """The position that the answer must have reached. Raises BadInput, EncodingError."""
    least = query_text(request, "min_index")
    return None if least is None else codec.read_position(least)


def _reply(dated: Dated[Any]) -> Reply:
    return Reply(200, codec.encode_dated(dated.value, dated.asof, dated.age))
