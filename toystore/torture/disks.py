"""Faults of disks and clocks."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import ClassVar

from attrs import define

from toystore.torture.planner import Planned
from toystore.torture.stage import Stage

BALLAST = "ballast"
BLOCK = 4096


@define
class FullDisk:
    """A file takes all room that is left on the file system of an order replica, and goes away at the end."""

    planned: Planned
    node: str = ""

    async def begin(self, stage: Stage) -> str:
        self.node = stage.take("disk", self.planned.targets)
        size = fill(stage.disk(self.node) / BALLAST)
        led = " (the leader)" if self.node == stage.watch.leader() else ""
        return f"the disk of {self.node}{led} is full ({size // 1024} KiB of ballast)"

    async def end(self, stage: Stage) -> None:
        (stage.disk(self.node) / BALLAST).unlink(missing_ok=True)
        stage.free("disk", [self.node])


def fill(ballast: Path) -> int:
    """Make this file as large as its file system has room; its bytes."""
    with ballast.open("wb", buffering=0) as file:
        room = os.statvfs(ballast).f_bavail * os.statvfs(ballast).f_frsize
        share = room
        while share >= BLOCK:  # the last blocks are only given in small pieces
            try:
                os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, share)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                share //= 2
            else:
                share = min(share, os.statvfs(ballast).f_bavail * os.statvfs(ballast).f_frsize)
        return os.fstat(file.fileno()).st_size


@define
class Shimmed:
    """What the shim of a node makes wrong, by so much, until the end."""

    planned: Planned
    node: str = ""
    what: ClassVar[str]
    """Of which a node has no more than one at a time."""

    async def begin(self, stage: Stage) -> str:
        self.node = stage.take(self.what, self.planned.targets)
        return self.strike(stage)

    def strike(self, stage: Stage) -> str:
        """Returns what is to be told of it."""
        raise NotImplementedError

    def mend(self, stage: Stage) -> None:
        raise NotImplementedError

    async def end(self, stage: Stage) -> None:
        self.mend(stage)
        stage.free(self.what, [self.node])


class SlowDisk(Shimmed):
    """Each sync of an order replica takes so much longer."""

    what = "sync"

    def strike(self, stage: Stage) -> str:
        milliseconds = self.planned.draw["milliseconds"]
        stage.shims.slow_down(self.node, milliseconds)
        led = " (the leader)" if self.node == stage.watch.leader() else ""
        return f"each sync of {self.node}{led} takes {milliseconds} ms more"

    def mend(self, stage: Stage) -> None:
        stage.shims.slow_down(self.node, 0)


class Clock(Shimmed):
    """The wall clock of a node jumps, and jumps back at the end."""

    what = "clock"

    def strike(self, stage: Stage) -> str:
        offset = self.planned.draw["offset"]
        stage.shims.move_clock(self.node, offset)
        return f"the clock of {self.node} jumps by {offset:+d} s"

    def mend(self, stage: Stage) -> None:
        stage.shims.move_clock(self.node, 0)
