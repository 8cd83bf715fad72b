"""Faults of processes: killed, stopped, paused; and a replica that loses its disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from attrs import define, field

from toystore.torture.kinds import LEADER
from toystore.torture.planner import Planned
from toystore.torture.stage import Skipped, Stage, leader_of, out_of_sync

PROCESS = "process"
NEXT_LEADER_SECONDS = 6.0
"""How long a fault that is aimed at the next leader waits for it."""
BACK_SECONDS = 8.0
"""How long a rolling restart waits for a replica before it takes the next."""


@define
class Down:
    """One process is ended, and started again at the end: by SIGKILL, or, `politely`, by SIGTERM."""

    planned: Planned
    politely: bool = False
    node: str = ""

    async def begin(self, stage: Stage) -> str:
        targets = list(self.planned.targets)
        if self.planned.kind.aim == LEADER:
            targets = await stage.leader_first(targets)
        self.node = stage.take(PROCESS, targets)
        led = " (the leader)" if self.node == stage.watch.leader() else ""
        await (stage.stop(self.node) if self.politely else stage.kill(self.node))
        return f"{self.node}{led} {'stopped' if self.politely else 'killed'}"

    async def end(self, stage: Stage) -> None:
        stage.nodes.start(self.node)
        stage.free(PROCESS, [self.node])


def down_politely(planned: Planned) -> Down:
    return Down(planned, politely=True)


@define
class KillElected:
    """The leader is killed, and then the next one as soon as it says that it leads."""

    planned: Planned
    dead: list[str] = field(factory=list)

    async def begin(self, stage: Stage) -> str:
        first = stage.take(PROCESS, await stage.leader_first(self.planned.targets))
        self.dead.append(first)
        await stage.kill(first)

        async def another() -> bool:
            leader = leader_of(await stage.watch.look())
            if leader is None or leader in self.dead:
                return False
            try:
                stage.take(PROCESS, [leader])
            except Skipped:
                return False
            self.dead.append(leader)
            return True

        if await stage.until(another, NEXT_LEADER_SECONDS):
            await stage.kill(self.dead[-1])
        return f"killed {' and then '.join(self.dead)}"

    async def end(self, stage: Stage) -> None:
        for node in self.dead:
            stage.nodes.start(node)
        stage.free(PROCESS, self.dead)


@define
class Pause:
    """One process is stopped where it stands, and goes on at the end as if nothing had been."""

    planned: Planned
    node: str = ""

    async def begin(self, stage: Stage) -> str:
        targets = list(self.planned.targets)
        if self.planned.kind.aim == LEADER:
            targets = await stage.leader_first(targets)
        self.node = stage.take(PROCESS, targets)
        led = " (the leader)" if self.node == stage.watch.leader() else ""
        stage.nodes.pause(self.node)
        return f"{self.node}{led} paused"

    async def end(self, stage: Stage) -> None:
        stage.nodes.resume(self.node)
        stage.free(PROCESS, [self.node])


@define
class RestartAll:
    """Every process is killed at one moment: a power failure, but for what the kernel has not written yet."""

    planned: Planned

    async def begin(self, stage: Stage) -> str:
        nodes = stage.layout.nodes
        stage.take_all(PROCESS, nodes)
        await stage.kill(*nodes)
        return "all nodes killed"

    async def end(self, stage: Stage) -> None:
        for node in stage.layout.nodes:
            stage.nodes.start(node)
        stage.free(PROCESS, stage.layout.nodes)


@define
class Rolling:
    """The order replicas are stopped and started one after the other, the next when the one before is back, or late."""

    planned: Planned

    async def begin(self, stage: Stage) -> str:
        orders = stage.layout.order_names
        stage.take_all(PROCESS, orders)
        late = []
        for order in sorted(orders, key=self.planned.targets.index):
            await stage.stop(order)
            stage.nodes.start(order)

            async def is_back(order: str = order) -> bool:
                return not out_of_sync(await stage.watch.look(), [order])

            if not await stage.until(is_back, BACK_SECONDS):
                late.append(order)
        return "order replicas restarted in turn" + (f"; not waited for: {', '.join(late)}" if late else "")

    async def end(self, stage: Stage) -> None:
        stage.free(PROCESS, stage.layout.order_names)


@define
class Wipe:
    """An order replica loses all it had on disk, within the terms of the promise: the others have kept theirs, and no other
    replica still lacks what it once had. So all count before; when this one is dead another leads, and so has all that was
    ever acknowledged; and the next wipe waits until this replica counts again, which is when all do."""

    planned: Planned
    node: str = ""

    async def begin(self, stage: Stage) -> str:
        orders = stage.layout.order_names
        behind: list[str] = []

        async def all_count() -> bool:
            behind[:] = out_of_sync(await stage.watch.look(), orders)
            return not behind

        if not await stage.until(all_count, BACK_SECONDS):
            raise Skipped(f"a disk may be lost only while all count; {', '.join(behind)} does not")
        self.node = stage.take(PROCESS, self.planned.targets)
        try:
            stage.take("disk", [self.node])
        except Skipped:
            stage.free(PROCESS, [self.node])
            raise
        await stage.kill(self.node)

        async def another_serves() -> bool:
            """Its first entry is committed and it hears those it needs: its `in_sync` says both."""
            said = await stage.watch.look()
            leader = leader_of(said)
            return leader not in (None, self.node) and not (said[str(leader)] or {}).get("reasons")

        if not await stage.until(another_serves, NEXT_LEADER_SECONDS):
            await self.end(stage)
            raise Skipped(f"{self.node} was killed, but no other leads: its disk is left alone")
        empty(stage.disk(self.node))
        return f"{self.node} killed, and its disk is empty"

    async def end(self, stage: Stage) -> None:
        stage.nodes.start(self.node)
        stage.free(PROCESS, [self.node])
        stage.free("disk", [self.node])


def empty(directory: Path) -> None:
    """Remove all that is in it; it is where a file system is mounted, and stays."""
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
