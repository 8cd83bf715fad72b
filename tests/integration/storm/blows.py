"""What happens to the nodes of a cluster in a storm: killed and started again, paused and resumed."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

from attrs import define, field, frozen

from tests.integration.clusters import Cluster, alive
from toystore.supervisor.lock import socket_path

RECOVERY_SECONDS = 20.0
"""How long a cluster may take until every replica follows the leader again."""


@frozen
class Blow:
    """One blow. `whom` is `leader`, `follower`, the name of a node, or (kill only) `all`, or `leaders`: one leader after the
    other, until a single order replica is left; `seconds` is how long it is down or paused."""

    verb: str
    whom: str
    seconds: float


@define
class Storming:
    """Deals out blows to a cluster; `dealt` names what was hit, and how."""

    cluster: Cluster
    say: Callable[[str], None] = print
    dealt: list[str] = field(factory=list)

    def go_on(self, blows: list[Blow], every: float, until: float) -> None:
        """The blows in turn, each at least once, `every` seconds from one to the next, until that time (monotonic).
        A blow waits until the cluster has recovered from the one before."""
        due = time.monotonic() + min(every, 2.0)
        for number, blow in enumerate(_in_turn(blows)):
            if number >= len(blows) and due + blow.seconds > until:
                break
            time.sleep(max(0.0, due - time.monotonic()))
            self.wait_until_whole()
            due = time.monotonic() + every
            self.deal(blow)
        time.sleep(max(0.0, until - time.monotonic()))

    def deal(self, blow: Blow) -> None:
        if blow.whom == "all":
            self._crash(blow.seconds)
            return
        if blow.whom == "leaders":
            self._down_to_one(blow.seconds)
            return
        node = self.find(blow.whom)
        self.tell(blow.verb, node)
        self._note(f"{blow.verb} {node}")
        time.sleep(blow.seconds)
        self.tell("start" if blow.verb == "kill" else "resume", node)

    def _down_to_one(self, seconds: float) -> None:
        """Where leaders are appointed: as soon as the next one leads, it dies too. Only one is left that is in sync."""
        dead: list[str] = []
        while len(dead) < len(self.cluster.config.orders) - 1:
            node = self.cluster.until(
                lambda: leader if (leader := self.cluster.status()["leader"]) not in (None, *dead) else None,
                what="the next leader",
            )
            self.tell("kill", node)
            self._note(f"kill {node}")
            dead.append(node)
        time.sleep(seconds)
        for node in dead:
            self.tell("start", node)

    def _note(self, dealt: str) -> None:
        self.dealt.append(dealt)
        self.say(dealt)

    def find(self, whom: str) -> str:
        """The name of the node that is meant now."""
        if whom == "leader":
            return self.cluster.leader()
        if whom != "follower":
            return whom
        rows = self.cluster.until(
            lambda: [row for row in self.cluster.status()["nodes"] if row["state"] == "follower"],
            what="a follower",
        )
        return str(rows[0]["name"])

    def tell(self, verb: str, node: str) -> None:
        """As `toystore node VERB NODE`, without the time that takes to start."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(40)
            client.connect(str(socket_path(self.cluster.data_dir)))
            client.sendall(json.dumps({"do": verb, "node": node}).encode() + b"\n")
            answer = json.loads(client.makefile().readline())
        assert answer["ok"], f"{verb} {node}: {answer}; {self.cluster.story()}"

    def _crash(self, seconds: float) -> None:
        """A power failure of the whole machine: every process is killed at once, then all are started."""
        processes = [row["pid"] for row in self.cluster.status()["nodes"] if row["pid"]]
        self.cluster.send(signal.SIGKILL)
        for process in processes:
            if alive(process):
                os.kill(process, signal.SIGKILL)
        self._note("kill all")
        self.cluster.wait()
        self.cluster.until(lambda: not any(map(alive, processes)), 5.0, "the end of all processes")
        time.sleep(seconds)
        self.cluster.start(seconds=60)

    def wait_until_whole(self, seconds: float = RECOVERY_SECONDS) -> None:
        """Until every replica is there and follows the leader."""
        self.cluster.until(lambda: all(map(_follows, self.replicas())), seconds, "the whole cluster")

    def settle(self, seconds: float = RECOVERY_SECONDS) -> None:
        """Until nothing moves any more: all replicas have applied the same index, twice in a row."""
        before: set[int] = set()

        def at_rest() -> bool:
            nonlocal before
            rows = self.replicas()
            now = {row["applied_index"] for row in rows}
            rest = all(map(_follows, rows)) and len(now) == 1 and now == before
            before = now
            return rest

        self.cluster.until(at_rest, seconds, "rest")

    def replicas(self) -> list[dict[str, Any]]:
        """The rows of the status that have a ledger."""
        return [row for row in self.cluster.status()["nodes"] if row["role"] != "front"]


def _follows(row: dict[str, Any]) -> bool:
    return bool(row["in_sync"])


def _in_turn(blows: list[Blow]) -> Iterator[Blow]:
    return cycle(blows) if blows else iter(())
