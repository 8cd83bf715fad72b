"""A stage without processes: what faults do to it is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from toystore.torture.layout import Layout
from toystore.torture.stage import Stage
from toystore.torture.weather import Weather


@define
class FakeNodes:
    """`is_down` are those that are ended, `paused` those that are stopped."""

    done: list[str]
    is_down: set[str] = field(factory=set)
    paused: set[str] = field(factory=set)

    def kill(self, name: str) -> Deferred[None]:
        self.done.append(f"kill {name}")
        self.is_down.add(name)
        return succeed(None)

    def stop(self, name: str) -> Deferred[None]:
        self.done.append(f"stop {name}")
        self.is_down.add(name)
        return succeed(None)

    def start(self, name: str) -> None:
        self.done.append(f"start {name}")
        self.is_down.discard(name)

    def pause(self, name: str) -> None:
        self.done.append(f"pause {name}")
        self.paused.add(name)

    def resume(self, name: str) -> None:
        self.done.append(f"resume {name}")
        self.paused.discard(name)


@define
class FakeSky:
    layers: dict[object, Weather] = field(factory=dict)

    async def put(self, key: object, weather: Weather) -> None:
        self.layers[key] = weather

    async def lift(self, key: object) -> None:
        del self.layers[key]


@define
class FakeShims:
    slow: dict[str, int] = field(factory=dict)
    off: dict[str, int] = field(factory=dict)

    def slow_down(self, node: str, milliseconds: int) -> None:
        self.slow[node] = milliseconds

    def move_clock(self, node: str, seconds: int) -> None:
        self.off[node] = seconds


@define
class FakeWatch:
    """Whoever is first in `heirs` and up leads; all that are up are in sync, but for `behind`."""

    nodes: FakeNodes
    heirs: Sequence[str]
    behind: set[str] = field(factory=set)

    async def look(self) -> Mapping[str, Mapping[str, Any] | None]:
        up = [name for name in self.heirs if name not in self.nodes.is_down]
        said: dict[str, Mapping[str, Any] | None] = dict.fromkeys(self.heirs)
        for name in up:
            state = "leader" if name == up[0] else "follower"
            said[name] = {"state": state, "term": 1, "in_sync": name not in self.behind, "reasons": []}
        return said

    def leader(self) -> str | None:
        return next((name for name in self.heirs if name not in self.nodes.is_down), None)


class FakeStage(Stage):
    """`done` is what was done to processes and by programs, in order; the leader is order-3, then order-2, then order-1."""

    def __init__(self, directory: Path) -> None:
        self.done: list[str] = []
        self.lost: list[str] = []
        self.clock = Clock()
        self.fake_nodes = FakeNodes(self.done)
        self.fake_sky = FakeSky()
        self.fake_shims = FakeShims()
        self.fake_watch = FakeWatch(self.fake_nodes, ["order-3", "order-2", "order-1"])
        fakes: list[Any] = [self.fake_nodes, self.fake_shims, self.fake_sky]
        for order in Layout(1).order_names:
            (directory / order).mkdir()
        super().__init__(self.clock, Layout(1), *fakes, self.fake_watch, lambda order: directory / order, self.lost.append)

    async def run(self, command: Sequence[str]) -> None:
        self.done.append(" ".join(command))
