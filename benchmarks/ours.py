"""The store itself, as `toystore up` runs it: three order replicas, one catalog, one front end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from benchmarks.contender import STOCK, TOYS, Kind, Served
from benchmarks.daemon import Daemon, ask
from benchmarks.wrk import Volley
from toystore.supervisor.ports import free_ports

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 90
CACHE_SIZE = 5
PRODUCTS = 1000
"""Many more than the cache holds, and than there are clients: asked for in turn, none is in the cache when its turn
comes again, and no two clients ask for the same one at the same time (they would share one question to the catalog)."""

OTHERS = tuple(f"Toy-{n:04}" for n in range(len(TOYS) + 1, PRODUCTS + 1))
ORDER = '{"side": "buy", "lines": [{"name": "%s", "quantity": 1}]}'


def config(ports: Sequence[int], election: str) -> str:
    """A cluster on five ports of the nodes and one of the customers, without restock."""
    *nodes, public = ports

    def node(role: str, id_: int, port: int) -> str:
        return f'[[{role}]]\nid = {id_}\nlisten = "tcp:{port}:interface=127.0.0.1"\nurl = "http://127.0.0.1:{port}"\n'

    roles = (("order", 1), ("order", 2), ("order", 3), ("catalog", 1), ("front", 1))
    return "\n".join(
        [
            f'[cluster]\nname = "benchmark"\nelection = "{election}"\ncatalog_csv = "catalog.csv"\n[restock]\nevery = 0',
            *(node(role, id_, port) for (role, id_), port in zip(roles, nodes, strict=True)),
            f'cache_size = {CACHE_SIZE}\n[[front.public]]\ndialect = "v1"',
            f'listen = "tcp:{public}:interface=127.0.0.1"\n',
        ]
    )


def catalog() -> str:
    """The ten toys and many others."""
    return "name,price,quantity\n" + "".join(f"{name},9.99,{STOCK}\n" for name in TOYS + OTHERS)


@frozen
class Ours:
    """A running cluster; `nodes` are the URLs by name."""

    url: str
    nodes: Mapping[str, str]
    label: str = "ours"

    def volley(self, kind: Kind) -> Volley:
        if kind == "buy":
            return Volley("POST", "/v1/orders", TOYS, ORDER)
        return Volley("GET", "/v1/products/%s", TOYS[:1] if kind == "hit" else TOYS + OTHERS)

    def served(self) -> Served:
        stocks = (ask(f"{self.url}/v1/products/{toy}?consistency=linearizable")["data"]["quantity"] for toy in TOYS)
        cache = self.status("front-1")["cache"]
        return Served(len(TOYS) * STOCK - sum(stocks), cache["hits"], cache["misses"])

    def processes(self) -> dict[str, list[int]]:
        """The leader does more than its followers, and which replica leads may change: so they are named by what they
        are."""
        found: dict[str, list[int]] = {}
        for name in self.nodes:
            status = self.status(name)
            role = status["state"] if name.startswith("order") else name.split("-")[0]
            found.setdefault(role, []).append(status["pid"])
        return found

    def status(self, node: str) -> dict[str, Any]:
        """What the node says of itself. Raises OSError."""
        said: dict[str, Any] = ask(self.nodes[node] + "/status")
        return said


@contextmanager
def running(home: Path, election: str = "raft") -> Iterator[Ours]:
    """Runs with its data in `home`. Raises DidNotStart."""
    home.mkdir()
    ports = free_ports(6)
    (home / "cluster.toml").write_text(config(ports, election))
    (home / "catalog.csv").write_text(catalog())
    names = ("order-1", "order-2", "order-3", "catalog-1", "front-1")
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    command = [
        sys.executable,
        "-m",
        "toystore",
        "up",
        "--config",
        str(home / "cluster.toml"),
        "--data-dir",
        str(home / "data"),
    ]
    with Daemon(
        command,
        home / "up.log",
        surroundings={"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
        ending=signal.SIGINT,
    ) as up:
        up.wait_until(lambda: any(line.startswith("ready") for line in up.said().splitlines()), START_SECONDS)
        yield Ours(
            f"http://127.0.0.1:{ports[-1]}",
            {name: f"http://127.0.0.1:{port}" for name, port in zip(names, ports, strict=False)},
        )
