"""A real replica, recorded while customers order: what it leaves on the disk at any moment, by the same judge.

Beyond what its storage has acknowledged, what the customers were told counts: after each answer the length of the trace is
noted, and whatever is found at that point or later must have the order.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from tests.disks.explore import CASES, Explorer
from tests.disks.recording import COMPILERS, ROOT, Recording, checked, environment
from tests.disks.recovery import Ledger
from tests.disks.trace import events_with_ends
from tests.disks.workload import REPLICA
from tests.integration.clusters import Cluster, Clusters, clusters_in, fetch
from tests.integration.storm.needs import need

NOTED = Path(__file__).with_name("noted")


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[Clusters]:
    need(*COMPILERS)
    yield from clusters_in(tmp_path)


@frozen
class Told:
    """A customer knows of the order with this key; the trace was so long then, in bytes."""

    key: str
    length: int


def prefix(cluster: Cluster, trace: Path) -> str:
    """The option that records order-1."""
    cluster.data_dir.mkdir()
    variables = environment(cluster.data_dir.resolve(), trace)
    variables["PYTHONPATH"] = os.pathsep.join((str(NOTED), str(ROOT)))
    return f"{REPLICA}={shlex.join(['env', *(f'{name}={text}' for name, text in variables.items())])}"


def shop(cluster: Cluster, trace: Path, orders: int, name: str = "order") -> list[Told]:
    """Place orders, and cancel some; what the customers were told."""
    told = []
    for number in range(orders):
        key = f"{name}-under-trace-{number}-"
        order = {"side": "sell" if number % 3 == 0 else "buy", "lines": [{"name": "Fox", "quantity": 1 + number % 4}]}
        answer = placed(cluster, order, key)
        told.append(Told(key, trace.stat().st_size))
        if number % 7 == 0:
            fetch(f"{cluster.url()}/v1/orders/{answer['data']['number']}/cancel", {}, seconds=60)
    return told


def placed(cluster: Cluster, order: dict[str, Any], key: str) -> Any:
    """The answer, once the order is placed; asked again, under the same key, where the machine is too busy."""

    def answer() -> Any:
        try:
            status, answer = fetch(f"{cluster.url()}/v1/orders", order, seconds=60, Idempotency_Key=key)
        except TimeoutError:
            return None
        assert status in (200, 201, 503, 504), answer
        return answer if status < 500 else None

    return cluster.until(answer, 120, key)


def read(cluster: Cluster, trace: Path) -> tuple[Recording, list[int]]:
    """What was recorded, and how long the trace was after each event. The supervisor makes the directory, and logs there."""
    events = list(events_with_ends(trace.read_bytes()))
    recording = Recording(tuple(event for event, _ in events), {REPLICA: None})
    checked(recording, cluster.data_dir, lambda path: path.startswith(f"{REPLICA}/ledger") or "spool" in path)
    return recording, [end for _, end in events]


def has(found: Ledger, key: str) -> bool:
    """It has the order, or the log entry that will place it once it is applied again."""
    return any(order.key == key for order in found.orders) or any(key.encode() in entry.data for entry in found.entries)


def broken_promises(explorer: Explorer, told: list[Told], ends: list[int]) -> list[str]:
    """Of the orders that customers were told of: those that may be missing at the moment they heard, or later."""
    missing = []
    for promise in told:
        events = sum(end <= promise.length for end in ends)
        first = explorer.judge.known(events).durable
        without = [n for n, shown in enumerate(explorer.judge.history) if n >= first and not has(shown, promise.key)]
        missing += [f"{promise.key} was told after {events} events, and call {n} leaves it out" for n in without[:1]]
    return missing


def examine(cluster: Cluster, trace: Path, told: list[Told], states: int) -> None:
    recording, ends = read(cluster, trace)
    explorer = Explorer(recording, CASES["ledger"])
    assert len(explorer.calls) >= len(told)
    assert broken_promises(explorer, told, ends) == []
    if told:  # the judge of promises itself
        assert broken_promises(explorer, [Told("never-placed", told[-1].length), Told(told[-1].key, 0)], ends) != []
    tally = explorer.explore(states, seed=1)
    print(f"{recording.writes} writes, {recording.syncs} syncs: {tally}")
    assert not tally.violations, f"{tally.violations}; the trace is {trace}"
    assert tally.refused == 0
    assert tally.distinct == states, tally


def test_what_a_replica_leaves_has_every_order_that_a_customer_was_told_of(clusters: Clusters, tmp_path: Path) -> None:
    """One replica, which must have everything itself."""
    cluster, trace = clusters(orders=1, catalogs=1, dialects=("v1",)), tmp_path / "trace"
    cluster.start("--prefix", prefix(cluster, trace), seconds=60)
    told = shop(cluster, trace, 30)
    assert cluster.stop() == 0
    examine(cluster, trace, told, 150)


@pytest.mark.long
@pytest.mark.parametrize("election", ["raft", "appointed"])
def test_one_of_three_over_changes_of_leader(clusters: Clusters, tmp_path: Path, election: str) -> None:
    """Order-1 follows and leads; what the others have acknowledged for it is none of its promises."""
    cluster = clusters(orders=3, catalogs=1, dialects=("v1",), cluster=f'election = "{election}"')
    trace = tmp_path / "trace"
    cluster.start("--prefix", prefix(cluster, trace), seconds=60)
    for victim in ("order-3", "order-2"):
        shop(cluster, trace, 60, f"before-{victim}")
        cluster.kill(victim)
        cluster.leader()
        cluster.start_node(victim)
        cluster.until(lambda: all(node["state"] != "down" for node in cluster.status()["nodes"]), 120, "all nodes")
    assert cluster.stop() == 0
    examine(cluster, trace, [], 3000)
