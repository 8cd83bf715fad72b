"""Faults of the network."""

from __future__ import annotations

from attrs import define

from toystore.torture import layout as lay
from toystore.torture.layout import SHOP
from toystore.torture.planner import Planned
from toystore.torture.stage import Stage
from toystore.torture.weather import CUT, Conditions, Weather, between, one_way, ring


@define
class LinkDown:
    """The device of one node goes down: its routes are gone, and every send fails at once."""

    planned: Planned
    node: str = ""

    async def begin(self, stage: Stage) -> str:
        self.node = stage.take("link", self.planned.targets)
        await stage.run(lay.link_command(stage.layout, self.node, up=False))
        return f"the link of {self.node} is down"

    async def end(self, stage: Stage) -> None:
        await stage.run(lay.link_command(stage.layout, self.node, up=True))
        stage.free("link", [self.node])


@define(eq=False)
class OneWay:
    """A node can not send to another, but hears it."""

    planned: Planned
    node: str = ""
    other: str = ""

    async def begin(self, stage: Stage) -> str:
        self.node = stage.take("route", self.planned.targets)
        self.other = next(target for target in (*self.planned.targets, SHOP) if target != self.node)
        how = self.planned.draw["how"]
        if how == "dropped":
            await stage.sky.put(self, one_way([self.node], [self.other]))
        else:
            await stage.run(lay.route_command(stage.layout, "replace", how, self.node, self.other))
        return f"no way from {self.node} to {self.other} ({how})"

    async def end(self, stage: Stage) -> None:
        how = self.planned.draw["how"]
        if how == "dropped":
            await stage.sky.lift(self)
        else:
            await stage.run(lay.route_command(stage.layout, "del", how, self.node, self.other))
        stage.free("route", [self.node])


@define(eq=False)
class Split:
    """A partition, of all members with the customers, or among the order replicas alone."""

    planned: Planned

    async def begin(self, stage: Stage) -> str:
        everyone = self.planned.draw["everyone"]
        members = [*self.planned.targets, SHOP] if everyone else [t for t in self.planned.targets if t.startswith("order")]
        weather, text = split(self.planned.draw["shape"], members)
        await stage.sky.put(self, weather)
        return text

    async def end(self, stage: Stage) -> None:
        await stage.sky.lift(self)


def split(shape: str, members: list[str]) -> tuple[Weather, str]:
    """The weather of a partition of that shape, and what it is in words. Pure."""
    if shape == "ring" and len(members) > 3:
        return ring(members), f"each reaches only its neighbours: {', '.join(members)}"
    if shape == "ring":  # of three, a ring would be whole: a line then
        return between(members[:1], members[-1:]), f"{members[0]} and {members[-1]} do not reach one another"
    some = members[:1] if shape == "one" else members[: len(members) // 2]
    others = [member for member in members if member not in some]
    return between(some, others, CUT), f"{', '.join(some)} | {', '.join(others)}"


@define(eq=False)
class BadLink:
    """Packets are lost, late, out of order and there twice, on all links or on those of one node."""

    planned: Planned

    async def begin(self, stage: Stage) -> str:
        draw = self.planned.draw
        conditions = Conditions(False, draw["loss"], draw["delay"], draw["jitter"], draw["duplicate"])
        some = stage.layout.members if draw["everywhere"] else list(self.planned.targets[:1])
        await stage.sky.put(self, between(some, stage.layout.members, conditions))
        late = f"{conditions.delay * 1000:.0f} to {(conditions.delay + conditions.jitter) * 1000:.0f} ms late"
        whose = "all" if draw["everywhere"] else some[0]
        return f"links of {whose}: {conditions.loss:.0%} lost, {late}, {conditions.duplicate:.0%} twice"

    async def end(self, stage: Stage) -> None:
        await stage.sky.lift(self)
