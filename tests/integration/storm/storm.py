"""One storm: customers, blows, and the judgement, with a report that any reader can check."""

from __future__ import annotations

import json
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from tests.integration.clusters import Cluster, write_config
from tests.integration.storm.blows import Blow, Storming
from tests.integration.storm.customers import Basket, Crowd, Record
from tests.integration.storm.judge import Ledger, judge

UNITS = 100_000_000
STOCK = {"Tux": UNITS, "Whale": UNITS, "Fox": UNITS, "Python": UNITS, "Barbie": 100}
BASKET = Basket(plenty=("Tux", "Whale", "Fox", "Python"), scarce="Barbie")
CATALOG = "name,price,quantity\n" + "".join(f"{name},15.99,{units}\n" for name, units in STOCK.items())
NO_RESTOCK = "[restock]\nevery = 0.0"
SHAPE: dict[str, Any] = {"orders": 3, "catalogs": 1, "fronts": 1, "dialects": ("v1",)}


@frozen
class Plan:
    """Times in seconds; `rate` in requests a second, 0 for as many as there can be."""

    seconds: float = 60.0
    clients: int = 64
    rate: float = 0.0
    every: float = 5.0
    blows: tuple[Blow, ...] = (Blow("kill", "leader", 1.0),)
    seed: int = 1


@frozen
class Report:
    """What a storm has shown. Waits in seconds; `unheard` requests may or may not have been carried out;
    `faults` is empty where every check holds."""

    seconds: float
    clients: int
    requests: int
    acknowledged: int
    refused: int
    errors_5xx: int
    resets: int
    timeouts: int
    longest: float
    p50: float
    p99: float
    blows: dict[str, int]
    unheard: int
    faults: list[str]

    @property
    def smooth(self) -> bool:
        """No customer has noticed anything."""
        return not (self.errors_5xx or self.resets or self.timeouts)

    def text(self) -> str:
        rows = [
            f"{self.clients} clients for {self.seconds:.1f} s, each request sent once",
            f"requests      {self.requests:>8}   {self.requests / self.seconds:.0f} a second",
            f"acknowledged  {self.acknowledged:>8}",
            f"refused       {self.refused:>8}   4xx: more than there is was asked for",
            f"5xx           {self.errors_5xx:>8}",
            f"resets        {self.resets:>8}",
            f"timeouts      {self.timeouts:>8}",
            f"wait          {self.p50 * 1000:>8.0f} ms median, {self.p99 * 1000:.0f} ms p99, "
            f"{self.longest * 1000:.0f} ms longest",
            "blows         " + (", ".join(f"{blow}: {times}" for blow, times in sorted(self.blows.items())) or "none"),
            *(f"FAULT  {fault}" for fault in self.faults),
            "NOT VERIFIED"
            if self.faults
            else "verified: every order as it was acknowledged, stock conserved, all replicas equal",
        ]
        return "\n".join(rows)

    def json(self) -> str:
        return json.dumps(asdict(self))


def write_storm_config(path: Path, catalog_csv: str = CATALOG, **shape: Any) -> Path:
    """A config for a storm, on free ports: much of everything, nothing restocked."""
    return write_config(path, **{**SHAPE, "catalog_csv": catalog_csv, "extra": NO_RESTOCK, **shape})


def ride(cluster: Cluster, plan: Plan, say: Callable[[str], None] = print) -> Report:
    """Let a storm pass over a running cluster, and judge what it has left."""
    storming = Storming(cluster, say)
    crowd = Crowd(cluster.url("v1"), plan.clients, BASKET, plan.rate, plan.seed).start()
    began = time.monotonic()
    try:
        storming.go_on(list(plan.blows), plan.every, began + plan.seconds)
    finally:
        records = crowd.stop()
    seconds = time.monotonic() - began
    faults, unheard = examine(storming, records)
    return _report(plan, seconds, records, storming.dealt, faults, unheard)


def examine(storming: Storming, records: Sequence[Record], stock: dict[str, int] = STOCK) -> tuple[list[str], int]:
    """What is wrong with the ledger, and how many requests nobody heard an answer to. What was given up by the
    store has time to appear before anybody looks."""
    cluster = storming.cluster
    storming.settle()
    time.sleep(1.0)
    storming.settle()
    verdict = judge(records, Ledger(export(cluster, "orders"), export(cluster, "products"), stock))
    faults = list(verdict.faults)
    verified = cluster.verify()
    if verified.code != 0:
        faults.append(f"verify: exit code {verified.code}: {verified.out}{verified.err}")
    digests = {row["name"]: (row["applied_index"], row["digest"]) for row in storming.replicas()}
    if len(set(digests.values())) != 1:
        faults.append(f"digests: {digests}")
    return faults, verdict.unheard


def export(cluster: Cluster, table: str) -> list[dict[str, Any]]:
    """All rows of `orders` or `products` of the leader, page by page, as `toystore export` reads them."""
    rows: list[dict[str, Any]] = []
    url = cluster.node_url(cluster.leader())
    while True:
        after = rows[-1]["number"] + 1 if rows else 0
        with urllib.request.urlopen(f"{url}/export/{table}?from={after}", timeout=30) as answer:
            page = [json.loads(line) for line in answer.read().splitlines()]
        if not page:
            return rows
        rows += page


def _report(plan: Plan, seconds: float, records: list[Record], dealt: list[str], faults: list[str], unheard: int) -> Report:
    waits = sorted(record.wait for record in records) or [0.0]
    return Report(
        seconds=seconds,
        clients=plan.clients,
        requests=len(records),
        acknowledged=sum(record.acknowledged for record in records),
        refused=sum(400 <= record.status < 500 for record in records),
        errors_5xx=sum(record.status >= 500 for record in records),
        resets=sum(record.fault.startswith("reset") for record in records),
        timeouts=sum(record.fault.startswith("timeout") for record in records),
        longest=waits[-1],
        p50=waits[len(waits) // 2],
        p99=waits[len(waits) * 99 // 100],
        blows=dict(Counter(dealt)),
        unheard=unheard,
        faults=faults,
    )
