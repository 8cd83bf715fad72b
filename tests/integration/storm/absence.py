"""A replica that was away for longer than the log is kept, and what its return costs.

`python -m tests.integration.storm.absence --orders 50000` shows it on a new cluster of this machine.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
import urllib.request
from itertools import count
from pathlib import Path

import click
from attrs import frozen

from tests.integration.clusters import Cluster
from tests.integration.storm.blows import Storming
from tests.integration.storm.customers import Crowd
from tests.integration.storm.storm import BASKET, write_storm_config
from toystore.model import CancelOrder, Command, Line, PlaceOrder, Request
from toystore.replication.interface import Answer
from toystore.web.codec import decode_results, encode_batch

BATCH = 500
KNOWN = 1_000
"""Orders that it has seen before it goes."""
RETURN_SECONDS = 120.0
_ids = count(1)


@frozen
class Memory:
    """Resident memory of a process, in MiB: before and at the highest."""

    before: float
    highest: float


@frozen
class Absence:
    """Times in seconds; rates in orders a second."""

    orders: int
    cancelled: list[int]
    placing: float
    returning: float
    """From the start of its process until it has applied all that was committed when it came."""
    longest_wait: float
    """Of a customer, while it came back."""
    bought_meanwhile: int
    rate_before: float
    rate_meanwhile: float
    sender: Memory
    receiver: Memory
    by_snapshot: bool

    def text(self) -> str:
        return "\n".join(
            [
                f"{self.orders} orders placed and {len(self.cancelled)} cancelled while it was away, "
                f"in {self.placing:.1f} s",
                f"back after {self.returning:.1f} s by {'a snapshot' if self.by_snapshot else 'the log'}",
                f"customers meanwhile: {self.rate_meanwhile:.0f} orders a second ({self.rate_before:.0f} "
                f"before), longest wait {self.longest_wait * 1000:.0f} ms",
                f"memory of the sender: {self.sender.before:.0f} MiB before, {self.sender.highest:.0f} at most; "
                f"of the receiver: {self.receiver.highest:.0f} MiB at most",
            ]
        )


def absence(cluster: Cluster, orders: int, clients: int = 8) -> Absence:
    """Take a follower away, place `orders`, bring it back while customers buy."""
    storming = Storming(cluster)
    place(cluster, KNOWN)
    storming.settle()
    storming.tell("kill", away := storming.find("follower"))
    began = time.monotonic()
    place(cluster, orders)
    cancelled = sorted(random.Random(1).sample(range(KNOWN), 50))
    submit(cluster, [CancelOrder(number) for number in cancelled])
    placing = time.monotonic() - began

    crowd = Crowd(cluster.url(), clients, BASKET, rate=100).start()
    time.sleep(2.0)
    before = len(crowd.records)
    memory = _Watch(cluster, leader := cluster.leader())
    came = time.monotonic()
    storming.tell("start", away)
    goal = cluster.node(leader)["commit_index"]
    receiver = _Watch(cluster, away)
    cluster.until(lambda: (cluster.node(away)["applied_index"] or 0) >= goal, RETURN_SECONDS, f"the return of {away}")
    returning = time.monotonic() - came
    records = crowd.stop()
    storming.settle()
    meanwhile = [record for record in records if came <= record.start <= came + returning]
    log = (Path(cluster.data_dir) / away / "log").read_text()
    return Absence(
        orders=orders,
        cancelled=cancelled,
        placing=placing,
        returning=returning,
        longest_wait=max((record.wait for record in meanwhile), default=0.0),
        bought_meanwhile=sum(record.acknowledged for record in meanwhile),
        rate_before=before / 2.0,
        rate_meanwhile=len(meanwhile) / returning,
        sender=memory.end(),
        receiver=receiver.end(),
        by_snapshot="has installed a snapshot" in log,
    )


def place(cluster: Cluster, orders: int) -> None:
    """As front ends do: batches straight to the leader."""
    for start in range(0, orders, BATCH):
        commands: list[Command] = [
            PlaceOrder("buy", (Line(BASKET.plenty[number % 4], 1 + number % 9),), f"away-{next(_ids)}")
            for number in range(start, min(start + BATCH, orders))
        ]
        submit(cluster, commands)


def submit(cluster: Cluster, commands: list[Command]) -> None:
    """Carry them out, all of them, whoever leads: the same requests may be sent again."""
    requests = [Request(f"request-{next(_ids)}", command) for command in commands]
    body = encode_batch(cluster.config.cluster.name, "front-1", requests)

    def sent() -> bool:
        try:
            with urllib.request.urlopen(f"{cluster.node_url(cluster.leader())}/ledger", body, timeout=10) as answer:
                results = decode_results(answer.read()).results
        except OSError:
            return False
        return all(isinstance(result, Answer) for result in results)

    cluster.until(sent, 30.0, "a leader that carries a batch out")


class _Watch:
    """Reads the memory of a node's process, twenty times a second."""

    def __init__(self, cluster: Cluster, node: str) -> None:
        self._status = Path(f"/proc/{cluster.node(node)['pid']}/status")
        self._before = self._highest = self._read()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _read(self) -> float:
        return next(int(line.split()[1]) / 1024 for line in self._status.read_text().splitlines() if "VmRSS" in line)

    def _look(self) -> None:
        while not self._over.wait(0.05):
            self._highest = max(self._highest, self._read())

    def end(self) -> Memory:
        self._over.set()
        self._thread.join()
        return Memory(self._before, self._highest)


@click.command()
@click.option("--orders", type=int, default=50_000, show_default=True)
def main(orders: int) -> None:
    """A replica is away for so many orders, and comes back."""
    with tempfile.TemporaryDirectory(prefix="toystore-absence-") as home:
        cluster = Cluster(write_storm_config(Path(home) / "storm.toml"), Path(home) / "data")
        try:
            click.echo(absence(cluster.start(), orders).text())
            click.echo(cluster.verify().out)
        finally:
            cluster.close()


if __name__ == "__main__":
    main()
