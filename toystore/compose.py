"""The only place that knows all parts: one function for each role, in reading order.

`order_replica`, `catalog_replica` and `front_end` wire a role from its config and return a `Daemon`, the Twisted service
that twistd runs. Nothing here decides anything; whoever looks for a behaviour finds here the name of its part.
"""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve
from twisted.internet.task import deferLater
from twisted.logger import Logger

from toystore.catalog.feed import Feed
from toystore.catalog.forward import Forwarder
from toystore.catalog.lookup import Lookup
from toystore.catalog.restock import Restock
from toystore.catalog.routes import ERRORS as CATALOG_ERRORS
from toystore.catalog.routes import CatalogRoutes
from toystore.catalog.window import Window
from toystore.consensus.node import NodeConfig
from toystore.consensus.register import RegisterConfig
from toystore.daemon import Daemon, end_process
from toystore.frontend.appointer import Appointer
from toystore.frontend.balance import Balance, RoundRobin, RoundRobinByKind
from toystore.frontend.cache import Cache
from toystore.frontend.dialects import DIALECTS, make_dialect
from toystore.frontend.leader import LeaderClient
from toystore.frontend.leader_log import LeaderLog
from toystore.frontend.lookups import Lookups
from toystore.frontend.roll_call import RollCall
from toystore.frontend.routes import FrontFacts, FrontRoutes
from toystore.frontend.slots import SlotRecord
from toystore.frontend.storefront import OrderReplica, Storefront
from toystore.frontend.subscription import Subscription
from toystore.frontend.view_routes import add_view_routes
from toystore.ops.addresses import host_and_port
from toystore.ops.catalog_csv import read_catalog
from toystore.ops.config import CatalogNode, Config, ConfigError, FrontNode, Node, OrderNode
from toystore.ops.health import Health, NodeFacts
from toystore.orders.projection import Projection, Projector
from toystore.orders.routes import ERRORS as ORDER_ERRORS
from toystore.orders.routes import MAX_BODY, OrderRoutes
from toystore.orders.seed import Seed
from toystore.replication.replicator import Pace, Replicator
from toystore.replication.transport import HttpTransport
from toystore.storage.sqlite import SqliteStorage
from toystore.storage.thread import OwnThread
from toystore.storage.views import FileViewStore
from toystore.web import peer
from toystore.web.agent import make_agent
from toystore.web.answers import INTERNAL_ERRORS, ErrorShape
from toystore.web.client import HttpCatalogService, HttpOrderService
from toystore.web.site import LimitedSite, make_site

TICKS_PER_HEARTBEAT = 5
LEADER_LOG = "Front_end_log/Front_end_log.csv"
"""Below the directory of a front end."""

_log = Logger()


def new_id() -> str:
    """A request id."""
    return secrets.token_hex(12)


def wall_clock() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


# What order and catalog replicas share ------------------------------------------------------------------------------


class _Replica:
    """A replica of the ledger with its storage, its transport and its health."""

    def __init__(self, config: Config, node: OrderNode | CatalogNode, role: str, reactor: Any) -> None:
        tick = tick_of(config)
        register = config.appointing
        registers = [register] if register is not None and role == "order" else []
        peers: list[Node] = [*config.orders, *config.catalogs, *registers]
        urls = {other.name: other.url for other in peers if other.name != node.name}
        agent = make_agent(reactor, connect_timeout=config.timing.election[0])
        self.node = node
        self.transport = HttpTransport(
            config.cluster.name, node.name, urls, agent, reactor, timeout=config.timing.election[1],
            registers=[other.name for other in registers],
        )  # fmt: skip
        self.storage = SqliteStorage(config.directory_of(node), reactor)
        self.replicator = Replicator(
            node_config(config, node, tick),
            self.storage,
            self.transport,
            reactor,
            random.Random(secrets.randbits(64)),
            wall_clock,
            lambda failure: end_process(node.name, failure),
            Pace(tick=tick, scrub_every=config.storage.scrub_every),
        )
        facts = NodeFacts(node.name, role, config.cluster.name, config.cluster.election, os.getpid())
        self.health = Health(self.replicator, facts, reactor)

    def site(self, routes: OrderRoutes | CatalogRoutes, errors: ErrorShape, reactor: Any) -> tuple[str, LimitedSite]:
        step = peer.peer_route(self.transport)
        root = routes.resource().add("POST", peer.PATH, step).add("POST", peer.VIEW_PATH, step)
        return self.node.listen, make_site(root, reactor, errors=errors, max_body=MAX_BODY, log=_log)


def tick_of(config: Config) -> float:
    """Seconds of one tick of the consensus core."""
    return config.timing.heartbeat / TICKS_PER_HEARTBEAT


def node_config(config: Config, node: OrderNode | CatalogNode, tick: float) -> NodeConfig:
    """What the consensus core needs to know; seconds become ticks."""
    low, high = (max(2, round(seconds / tick)) for seconds in config.timing.election)
    highest = config.cluster.leader_preference == "highest"
    return NodeConfig(
        node.name,
        voters=voters_of(config),
        learners=tuple(catalog.name for catalog in sorted(config.catalogs, key=lambda catalog: catalog.id)),
        election=config.cluster.election,
        election_ticks=(low, high),
        heartbeat_ticks=TICKS_PER_HEARTBEAT,
        resend_ticks=max(1, low * 2 // 3),
        hand_over_ticks=round(config.timing.hand_over_after / tick) if highest else None,
        register=config.appointing.name if config.appointing else None,
        suspect_ticks=round(config.timing.suspect_after / tick),
    )


def voters_of(config: Config) -> tuple[str, ...]:
    """The order replicas, in the order of their ids."""
    return tuple(order.name for order in sorted(config.orders, key=lambda order: order.id))


def order_services(config: Config, nodes: Iterable[OrderNode], sender: str, reactor: Any) -> Mapping[str, HttpOrderService]:
    agent = make_agent(reactor)
    return {node.name: HttpOrderService(node.name, node.url, agent, reactor, config.cluster.name, sender) for node in nodes}


# The roles ----------------------------------------------------------------------------------------------------------


def order_replica(config: Config, id_: int, reactor: Any) -> Daemon:
    """A voting replica of the ledger."""
    node = config.order(id_)
    replica = _Replica(config, node, "order", reactor)
    catalog = config.cluster.catalog_csv
    seed = Seed(replica.replicator, read_catalog(catalog, config.cluster.currency) if catalog else (), reactor)

    projector = Projector(
        replica.replicator,
        [
            Projection(
                replica.replicator,
                wanted.format,
                wanted.path,
                wanted.path_for(id_, config.cluster.data_dir),
                config.cluster.currency,
            )
            for wanted in config.projections_of(node)
        ],
    )

    async def begin() -> None:
        await replica.replicator.start()
        seed.start()
        projector.start()

    async def end() -> None:
        projector.stop()
        seed.stop()
        await replica.replicator.stop()

    routes = OrderRoutes(replica.replicator, evolve(replica.health, waits_for=seed.waits_for), projector)
    return Daemon(node.name, reactor, begin, end, [replica.site(routes, ORDER_ERRORS, reactor)])


def catalog_replica(config: Config, id_: int, reactor: Any) -> Daemon:
    """A learner of the ledger that answers lookups and pushes changes."""
    node = config.catalog(id_)
    replica = _Replica(config, node, "catalog", reactor)
    window = Window(replica.replicator)
    feed = Feed(replica.replicator, reactor)
    forwarder = Forwarder(replica.replicator, order_services(config, config.orders, node.name, reactor))
    restock = Restock(replica.replicator, forwarder.submit, config.restock.to, config.restock.every, reactor, new_id)

    async def begin() -> None:
        await replica.replicator.start()
        window.start()
        feed.start()
        restock.start()

    async def end() -> None:
        restock.stop()
        feed.stop()
        window.stop()
        await replica.replicator.stop()

    lookup = Lookup(replica.replicator, window, reactor)
    routes = CatalogRoutes(replica.replicator, replica.health, lookup, feed, forwarder)
    return Daemon(node.name, reactor, begin, end, [replica.site(routes, CATALOG_ERRORS, reactor)])


def register_of_views(
    config: Config, node: FrontNode, bootstrap: Sequence[str] | None, reactor: Any
) -> tuple[Appointer, HttpTransport]:
    """The part of a front end that appoints, and its end of the network. Raises ConfigError."""
    tick, voters = tick_of(config), voters_of(config)
    expected = voters if bootstrap is None else tuple(bootstrap)
    unknown = set(expected) - set(voters)
    if unknown or not expected:
        raise ConfigError(f"--bootstrap: expected some of {', '.join(voters)}, found {','.join(expected)!r}")
    agent = make_agent(reactor, connect_timeout=config.timing.election[0])
    urls = {order.name: order.url for order in config.orders}
    transport = HttpTransport(
        config.cluster.name, node.name, urls, agent, reactor, timeout=config.timing.election[1], path=peer.VIEW_PATH
    )
    ticks = RegisterConfig(
        node.name,
        voters,
        expected,
        ping_ticks=TICKS_PER_HEARTBEAT,
        fresh_ticks=round(config.timing.election[1] / tick),
        suspect_ticks=round(config.timing.suspect_after / tick),
    )
    return Appointer(
        ticks,
        FileViewStore(config.directory_of(node), reactor),
        transport,
        reactor,
        new_id,
        secrets.randbits(52),
        lambda failure: end_process(node.name, failure),
        tick,
    ), transport


def front_end(config: Config, id_: int, reactor: Any, bootstrap: Sequence[str] | None = None) -> Daemon:
    """What speaks to customers, and appoints the leader where the config says so. `bootstrap`: the order replicas that
    must answer before the first view (None: all)."""
    node = config.front(id_)
    appointer = None
    if node is config.appointing:
        appointer, transport = register_of_views(config, node, bootstrap, reactor)
    orders = order_services(config, config.orders, node.name, reactor)
    agent = make_agent(reactor, max_per_host=32)
    catalogs = [HttpCatalogService(other.name, other.url, agent, reactor) for other in config.catalogs]
    chance = random.Random(secrets.randbits(64))
    slots = SlotRecord()
    cache = Cache(node.cache_size, on_event=lambda event: slots.note(event, reactor.seconds()))
    leader = LeaderClient(list(orders.values()), reactor, chance, deadline=config.timing.request)
    leaders = LeaderLog(
        config.directory_of(node) / LEADER_LOG,
        {other.name: other.id for other in config.orders},
        OwnThread(reactor, f"{node.name}-leaders"),
    )
    leader.search.on_term = leaders.note
    feed = Subscription(catalogs, cache, reactor, chance)
    books = any(public.dialect == "books" for public in node.publics)
    balance = Balance([other.name for other in config.catalogs], RoundRobinByKind() if books else RoundRobin())
    roll_call = RollCall(catalogs, balance, reactor)
    replicas = {other.name: OrderReplica(other.id, host_and_port(other.url)) for other in config.orders}
    lookups = Lookups(leader, catalogs, cache, feed, balance, reactor)
    storefront = Storefront(leader, lookups, cache, feed, balance, reactor, replicas=replicas)

    if appointer is not None:
        leader.why_nobody_leads = appointer.waits_for

    async def begin() -> None:
        if appointer is not None:
            await appointer.start()
        storefront.start()
        if books:
            roll_call.start()

    async def end() -> None:
        until = reactor.seconds() + config.timing.request
        while leader.queued and reactor.seconds() < until:
            await deferLater(reactor, 0.01)
        roll_call.stop()
        storefront.stop()
        if appointer is not None:
            await appointer.stop()
        leaders.stop()

    public = [f"{other.dialect} {other.listen}" for other in node.publics]
    facts = FrontFacts(node.name, config.cluster.name, config.cluster.election, os.getpid(), public)
    routes = FrontRoutes(storefront, facts, slots)
    root = routes.resource()
    if appointer is not None:
        add_view_routes(root.add("POST", peer.VIEW_PATH, peer.peer_route(transport)), appointer)
    own = (node.listen, make_site(root, reactor, errors=INTERNAL_ERRORS))
    return Daemon(node.name, reactor, begin, end, [own, *dialects(config, node, storefront, reactor)], close_first=True)


def dialects(config: Config, node: FrontNode, storefront: Storefront, reactor: Any) -> Iterator[tuple[str, LimitedSite]]:
    """Where customers are listened to, and the site that speaks with them. Raises ConfigError."""
    for public in node.publics:
        if public.dialect not in DIALECTS:
            known = ", ".join(DIALECTS)
            raise ConfigError(f"{config.path}: {node.name}: this version speaks {known}, not {public.dialect!r}")
        dialect = make_dialect(public.dialect, storefront, config.cluster.currency, new_id, public.options)
        yield public.listen, make_site(dialect.resource(), reactor, errors=dialect.errors, log=_log)
