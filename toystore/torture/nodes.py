"""The processes of the nodes, each in its namespace; whoever dies unasked is written down and started again."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, DeferredList

from toystore.supervisor.child import Child, Condition, Exit, NodeLog
from toystore.supervisor.launch import Command, Node, environment, leashed

Prefix = Callable[[str], tuple[str, ...]]
"""What to run the node of this name under."""


@frozen
class Death:
    """A process ended, and nobody had asked for it: `at` seconds of the monotonic clock."""

    at: float
    node: str
    how: str


class Nodes:
    """The processes, by the name of the node. What they write is in `logs/NODE/log`."""

    def __init__(
        self,
        reactor: Any,
        nodes: Mapping[str, Node],
        command: Command,
        prefix: Prefix,
        logs: Path,
        say: Callable[[str], None],
        lost: Callable[[str], None],
    ) -> None:
        """`lost` is told the name of a node that has died unasked."""
        self.deaths: list[Death] = []
        self._reactor = reactor
        self._say = say
        self._lost = lost
        self._over = False
        self._logs = {name: NodeLog(logs / name) for name in nodes}
        surroundings = environment()
        self._children = {
            name: Child(
                reactor,
                name,
                leashed(command(node), prefix(name), os.getpid()),
                surroundings,
                self._logs[name],
                self._died,
            )
            for name, node in nodes.items()
        }

    def start(self, name: str) -> None:
        """Have it up; nothing happens where it is."""
        self._children[name].start()

    def start_all(self) -> None:
        for name in self._children:
            self.start(name)

    def kill(self, name: str) -> Deferred[None]:
        """SIGKILL; it stays down until `start`. Fires once it has ended."""
        return self._children[name].kill()

    def stop(self, name: str) -> Deferred[None]:
        """SIGTERM, and SIGKILL where that does not help; as `kill`."""
        return self._children[name].stop()

    def pause(self, name: str) -> None:
        self._children[name].pause()

    def resume(self, name: str) -> None:
        if self._children[name].condition is Condition.PAUSED:
            self._children[name].resume()

    def is_up(self, name: str) -> bool:
        return self._children[name].condition is Condition.RUNNING

    @property
    def starts(self) -> int:
        return sum(child.runs for child in self._children.values())

    async def end(self) -> None:
        """Kill all; nothing is started any more."""
        self._over = True
        try:
            await DeferredList([child.kill() for child in self._children.values()])
        finally:
            for child in self._children.values():
                child.kill()
            for log in self._logs.values():
                log.close()

    def _died(self, child: Child, end: Exit, delay: float) -> bool:
        if self._over:
            return False
        self._lost(child.name)
        self.deaths.append(Death(self._reactor.seconds(), child.name, str(end)))
        self._say(f"{child.name} {end}; starting it again in {delay:.1f} s")
        return True
