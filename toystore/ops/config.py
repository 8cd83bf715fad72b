"""The configuration of a cluster: one TOML file for all of its nodes, read, checked whole and frozen.

All faults are told at once, each with file, key and what was expected; a config that loads is one that the
cluster can start with. Paths are relative to the file. Two or four order replicas in raft mode work, but
survive no more failures than one or three: they are allowed, and warned of.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from attrs import evolve, field, frozen

from toystore.model import BOUND
from toystore.ops.addresses import Listen, host_of, listen, parse_listen, url
from toystore.ops.catalog_csv import CatalogError, read_catalog
from toystore.ops.schema import (
    Fault,
    Key,
    boolean,
    one_of,
    pair,
    read_keys,
    read_table,
    reading,
    repeated,
    rows,
    seconds,
    shown,
    table,
    tables,
    text,
    value,
    whole,
)
from toystore.projections import FORMATS as PROJECTIONS

DAY = 86_400.0

DIALECTS: Mapping[str, Mapping[str, Key]] = {
    "v1": {},
    "toys": {"first": Key(reading(whole(0, BOUND)), 0), "verbatim": Key(reading(boolean), False)},
    "trader": {"first": Key(reading(whole(0, BOUND)), 1)},
    "bazaar": {"first": Key(reading(whole(0, BOUND)), 0)},
    "flask": {"first": Key(reading(whole(0, BOUND)), 1)},
    "books": {},
}
"""The options of each dialect. `first`: the number a client sees for order 0; `verbatim`: order queries
wrapped twice, all values texts (row G1)."""

FORMATS = ("products", "orders", "log", *PROJECTIONS)
"""What a ledger can be exported as; all but the first three also all the time (`[[projection]]`)."""


class ConfigError(Exception):
    """The config is not usable; each line of the message is one fault: file, key, what was expected and
    found."""


# Values -----------------------------------------------------------------------------------------------------


def _cluster_name(found: object) -> str:
    expected = "a text of 1 to 64 printable characters"
    name = text(found, expected)
    if len(name) > 64 or not name.isprintable():
        raise ValueError(expected)
    return name


def _currency(found: object) -> str:
    code = text(found, expected := "a currency code of three capital letters, such as 'USD'")
    if len(code) != 3 or not code.isascii() or not code.isalpha() or not code.isupper():
        raise ValueError(expected)
    return code


def _path(found: object) -> Path:
    return Path(text(found, "a path"))


def _path_or_none(found: object) -> Path | None:
    if not isinstance(found, str):
        raise ValueError("a path, or '' for none")
    return Path(found) if found else None


def _projection_path(found: object) -> str:
    path = text(found, expected := "a path, in which {id} stands for the id of the order replica")
    if set("{}") & set(path.replace("{id}", "")):
        raise ValueError(expected)
    return path


_id = whole(1, 999)
_duration = seconds(0, DAY, low_excluded=True)


@frozen
class Cluster:
    """What all nodes share. `catalog_csv` None: the store starts empty; a file that does not name it means
    toys.csv where there is one."""

    name: str = field(metadata=value(_cluster_name))
    election: str = field(default="raft", metadata=value(one_of(("raft", "appointed"))))
    leader_preference: str = field(default="sticky", metadata=value(one_of(("sticky", "highest"))))
    data_dir: Path = field(default=Path("var/toys"), metadata=value(_path))
    catalog_csv: Path | None = field(default=Path("toys.csv"), metadata=value(_path_or_none))
    currency: str = field(default="USD", metadata=value(_currency))


@frozen
class Timing:
    """All in seconds. `election`: the shortest and longest silence after which a replica stands for
    election."""

    heartbeat: float = field(default=0.05, metadata=value(_duration))
    election: tuple[float, float] = field(default=(0.3, 0.6), metadata=value(pair(_duration)))
    suspect_after: float = field(default=1.0, metadata=value(_duration))
    hand_over_after: float = field(default=10.0, metadata=value(seconds(0, DAY)))
    request: float = field(default=10.0, metadata=value(_duration))


@frozen
class Restock:
    """Every so many seconds (0: never) each product with a stock of exactly 0 gets `to` units."""

    every: float = field(default=10.0, metadata=value(seconds(0, DAY)))
    to: int = field(default=100, metadata=value(whole(1, BOUND)))


@frozen
class Storage:
    """Each replica reads everything that it keeps anew, and checks it, every so many seconds (0: never)."""

    scrub_every: float = field(default=3600.0, metadata=value(seconds(0, 366 * DAY)))


@frozen
class Projection:
    """A file that an order replica keeps up to date; `path` may be relative to the data directory."""

    format: str = field(metadata=value(one_of(tuple(PROJECTIONS))))
    path: str = field(metadata=value(_projection_path))

    def path_for(self, order_id: int, data_dir: Path) -> Path:
        """Where the replica with this id writes it."""
        return data_dir / self.path.replace("{id}", str(order_id))


@frozen
class OrderNode:
    id: int = field(metadata=value(_id))
    listen: str = field(metadata=value(listen))
    url: str = field(metadata=value(url))
    projections: tuple[Projection, ...] = field(default=(), metadata=rows(Projection, "projection"))

    @property
    def name(self) -> str:
        return f"order-{self.id}"


@frozen
class CatalogNode:
    id: int = field(metadata=value(_id))
    listen: str = field(metadata=value(listen))
    url: str = field(metadata=value(url))

    @property
    def name(self) -> str:
        return f"catalog-{self.id}"


@frozen
class Public:
    """A listener for customers of one dialect; `options` has all that the dialect knows, defaults filled
    in."""

    dialect: str
    listen: str
    options: Mapping[str, Any] = MappingProxyType({})


def _read_public(found: object, where: str, faults: list[Fault]) -> Public | None:
    if not isinstance(found, dict):
        faults.append(Fault(where, f"expected a table, found {shown(found)}"))
        return None
    always = {"dialect": Key(reading(one_of(tuple(DIALECTS)))), "listen": Key(reading(listen))}
    dialect = found.get("dialect")
    if not isinstance(dialect, str) or dialect not in DIALECTS:
        # Which further keys would be right is not known, so they are not judged.
        read = read_keys({k: v for k, v in found.items() if k in always}, always, where, faults)
        return Public("", read.get("listen", ""))
    options = DIALECTS[dialect]
    read = read_keys(found, {**always, **options}, where, faults)
    filled = {name: read.get(name, key.default) for name, key in options.items()}
    return Public(dialect, read.get("listen", ""), MappingProxyType(filled))


@frozen
class FrontNode:
    """`cache_size` is in products, 0 turns the cache off; `appoints` is read in appointed mode only."""

    id: int = field(metadata=value(_id))
    listen: str = field(metadata=value(listen))
    url: str = field(metadata=value(url))
    cache_size: int = field(default=5, metadata=value(whole(0, 1_000_000)))
    appoints: bool = field(default=True, metadata=value(boolean))
    publics: tuple[Public, ...] = field(default=(), metadata=tables(_read_public, "public"))

    @property
    def name(self) -> str:
        return f"front-{self.id}"


Node = OrderNode | CatalogNode | FrontNode
N = TypeVar("N", OrderNode, CatalogNode, FrontNode)


@frozen
class Config:
    """A whole cluster. `warnings` are what works but is hardly meant."""

    cluster: Cluster = field(metadata=table(Cluster))
    orders: tuple[OrderNode, ...] = field(metadata=rows(OrderNode, "order", required=True))
    catalogs: tuple[CatalogNode, ...] = field(metadata=rows(CatalogNode, "catalog", required=True))
    fronts: tuple[FrontNode, ...] = field(metadata=rows(FrontNode, "front", required=True))
    timing: Timing = field(factory=Timing, metadata=table(Timing))
    restock: Restock = field(factory=Restock, metadata=table(Restock))
    storage: Storage = field(factory=Storage, metadata=table(Storage))
    projections: tuple[Projection, ...] = field(default=(), metadata=rows(Projection, "projection"))
    path: Path = Path()
    warnings: tuple[str, ...] = ()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All of them: order replicas, catalogs, front ends."""
        return (*self.orders, *self.catalogs, *self.fronts)

    @property
    def appointing(self) -> FrontNode | None:
        """The front end that appoints the leader; None where replicas elect one."""
        if self.cluster.election != "appointed":
            return None
        return next(front for front in self.fronts if front.appoints)

    def order(self, id_: int) -> OrderNode:
        """Raises ConfigError where there is none with this id; so do `catalog` and `front`."""
        return self._with_id(self.orders, "order", id_)

    def catalog(self, id_: int) -> CatalogNode:
        return self._with_id(self.catalogs, "catalog", id_)

    def front(self, id_: int) -> FrontNode:
        return self._with_id(self.fronts, "front", id_)

    def _with_id(self, nodes: Sequence[N], role: str, id_: int) -> N:
        for node in nodes:
            if node.id == id_:
                return node
        known = ", ".join(str(node.id) for node in nodes)
        raise ConfigError(f"{self.path}: there is no [[{role}]] with id {id_}; known ids are {known}")

    def projections_of(self, order: OrderNode) -> tuple[Projection, ...]:
        """Those for all order replicas, then its own."""
        return self.projections + order.projections

    def directory_of(self, node: Node) -> Path:
        """Where this node keeps what must not be lost."""
        return self.cluster.data_dir / node.name


# Reading ----------------------------------------------------------------------------------------------------


def default_config_path() -> Path:
    """The config that comes with the package: beside its code where that is installed, else in the
    checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "etc" / "toys.toml"
    return installed if installed.is_file() else package.parent / "etc" / "toys.toml"


def packaged_configs() -> list[Path]:
    """The default config, then the others that come with the package."""
    default = default_config_path()
    return [default, *sorted(path for path in default.parent.glob("*.toml") if path != default)]


def load_config(path: Path | str, data_dir: Path | str | None = None) -> Config:
    """Read a config; `data_dir`, relative to the working directory, takes the place of the one in the file.

    Raises ConfigError with all faults.
    """
    path = Path(path).absolute()
    values = _parse(path)
    faults: list[Fault] = []
    read = read_table(Config, values, "", faults)
    assert read is not None, "a TOML document is a table"
    cluster = read.cluster
    if cluster is not None:
        cluster = _resolve(cluster, path.parent, "catalog_csv" in values["cluster"], data_dir)
    config = evolve(read, path=path, cluster=cluster)
    faults += _check(config)
    lines = [f"{path}: {fault.where}: {fault.what}" for fault in faults]
    prices_readable = all(fault.where != "cluster.currency" for fault in faults)
    if cluster is not None and cluster.catalog_csv is not None and prices_readable:
        lines += _catalog_faults(cluster.catalog_csv, cluster.currency)
    if lines:
        raise ConfigError("\n".join(lines))
    return evolve(config, warnings=tuple(f"{path}: {warning}" for warning in _warnings(config)))


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: can not be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error


def _resolve(cluster: Cluster, base: Path, catalog_given: bool, data_dir: Path | str | None) -> Cluster:
    catalog = cluster.catalog_csv and base / cluster.catalog_csv
    if catalog is not None and not catalog_given and not catalog.exists():
        catalog = None
    data = base / cluster.data_dir if data_dir is None else Path(data_dir).absolute()
    return evolve(cluster, data_dir=data, catalog_csv=catalog)


def _catalog_faults(path: Path, currency: str) -> list[str]:
    try:
        read_catalog(path, currency)
    except CatalogError as error:
        return str(error).splitlines()
    return []


# Checks over several values; what could not be read is None here, and was told already ----------------------


def _check(config: Config) -> Iterator[Fault]:
    yield from _check_timing(config.timing)
    names = [(f"{where}.id", node.name) for where, node in _places(config) if node.id]
    for where, name, first in repeated(names):
        yield Fault(where, f"expected an id of its own, found a second {name}; the first is {first}")
    urls = [(f"{where}.url", node.url) for where, node in _places(config) if node.url]
    for where, address, first in repeated(urls):
        yield Fault(where, f"expected a URL of its own, found {address!r}, which is {first}")
    yield from _check_listens(config)
    if config.cluster is not None and config.cluster.election == "appointed" and config.fronts:
        appoint = [node for node in config.fronts if node.appoints]
        if len(appoint) != 1:
            what = f"in appointed mode exactly one has appoints = true (the default), found {len(appoint)}"
            yield Fault("front", what)


def _check_timing(timing: Timing) -> Iterator[Fault]:
    low, high = timing.election
    if low > high:
        yield Fault("timing.election", f"expected [lowest, highest], found [{low:g}, {high:g}]")
    if timing.heartbeat >= low:
        yield Fault("timing.heartbeat", f"expected less than election's {low:g}, found {timing.heartbeat:g}")
    if timing.heartbeat >= timing.suspect_after:
        yield Fault("timing.suspect_after", f"expected more than heartbeat, found {timing.suspect_after:g}")


def _places(config: Config) -> Iterator[tuple[str, Node]]:
    parts: dict[str, Sequence[Node] | None]
    parts = {"order": config.orders, "catalog": config.catalogs, "front": config.fronts}
    for role, nodes in parts.items():
        for n, node in enumerate(nodes or (), 1):
            yield f"{role}[{n}]", node


def _check_listens(config: Config) -> Iterator[Fault]:
    """Nodes whose URLs name one host share its ports; those on other hosts may use the same."""
    taken: list[tuple[str, str, Listen]] = []
    for where, node in _places(config):
        if node.url:
            publics: Iterable[Public] = node.publics if isinstance(node, FrontNode) else ()
            listens = [(where, node.listen)]
            listens += [(f"{where}.public[{n}]", public.listen) for n, public in enumerate(publics, 1)]
            host = host_of(node.url)
            taken += [(host, f"{at}.listen", parse_listen(text)) for at, text in listens if text]
    for (host, first, one), (other_host, where, other) in combinations(taken, 2):
        if host == other_host and one.clashes(other):
            what = repr(other.path) if other.path else f"port {other.port}"
            yield Fault(where, f"expected a port or path of its own, found {what}, which {first} has")


def _warnings(config: Config) -> Iterator[str]:
    replicas = len(config.orders)
    if config.cluster.election == "raft" and replicas % 2 == 0:
        yield f"order: {replicas} replicas survive no more failures than {replicas - 1}; 3 or 5 are better"
    for n, projection in enumerate(config.projections, 1):
        if replicas > 1 and "{id}" not in projection.path:
            yield f"projection[{n}].path: without {{id}}, replicas on one machine overwrite each other's file"
