"""Play a drill: one step after the other, until the first that does not come out as expected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from attrs import frozen

from toystore.drills.closing import CLOSING
from toystore.drills.scene import Drill, Scene, Seen, Stage, Step


@frozen
class Played:
    """How a drill came out: `differed` is the number of the step that came out otherwise, None where all `steps` did as
    expected."""

    drill: Drill
    steps: int
    seconds: float
    differed: int | None

    @property
    def holds(self) -> bool:
        return self.differed is None


class Teller(Protocol):
    """Who follows a drill."""

    def begins(self, drill: Drill) -> None: ...

    def step(self, number: int, step: Step) -> None:
        """It is played now."""

    def seen(self, step: Step, seen: Seen, seconds: float) -> None:
        """What came of it."""

    def ends(self, played: Played) -> None: ...


async def play(drill: Drill, stage: Stage, teller: Teller) -> Played:
    """The steps of the drill, and those with which all drills end. What follows a step that came out otherwise builds
    on it, and is left out. Raises CouldNotTell."""
    began = stage.clock.seconds()
    teller.begins(drill)
    scene = Scene(stage, drill.shop, stage.connect(drill.shop.dialect))
    number, differed = 0, None
    try:
        for number, step in enumerate(steps_of(drill), 1):
            since = stage.clock.seconds()
            teller.step(number, step)
            seen = await step.play(scene)
            teller.seen(step, seen, stage.clock.seconds() - since)
            if not seen.holds:
                differed = number
                break
    finally:
        if scene.shopper is not None:
            scene.shopper.leave()
    played = Played(drill, number, stage.clock.seconds() - began, differed)
    teller.ends(played)
    return played


def steps_of(drill: Drill) -> Iterator[Step]:
    yield from drill.steps
    yield from CLOSING
