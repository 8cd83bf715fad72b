"""The lanes: simulators that take plans. Shrinking, figures and the corpus need no more of one than this."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

from attrs import field, frozen

from tests.simulation.mischief import points_of
from tests.simulation.plan import Fault, Plan
from tests.simulation.swarm import draw
from tests.simulation.world import Failed, World


@frozen
class Outcome:
    """What came of a run. `what` is the promise that was broken `at` so many simulated seconds, "" where none was; `struck`
    are the faults of the plan that did something, each as it was aimed."""

    tally: Counter[str] = field(factory=Counter)
    points: Counter[str] = field(factory=Counter)
    struck: Mapping[Fault, Fault] = field(factory=dict)
    at: float = 0.0
    what: str = ""


Play = Callable[[Plan], Outcome]


@frozen
class Lane:
    """`draw` makes the plan of a seed under an election, `play` carries it out; `points` are all that it can hit there."""

    name: str
    draw: Callable[[int, str], Plan]
    play: Play
    points: Callable[[str], tuple[str, ...]]


def play(plan: Plan) -> Outcome:
    """A run of replicas, ledger and clients (`world`). What breaks the run itself has broken a promise as well."""
    world = World(plan)
    at, what = 0.0, ""
    try:
        world.play()
    except Failed as failed:
        at, what = failed.at, failed.what
    except Exception:
        at, what = world.timeline.now, f"the run itself broke: {traceback.format_exc()}"
    return Outcome(world.tally, world.mischief.points, world.mischief.struck, at, what)


LANES = {
    lane.name: lane
    for lane in (
        Lane("orders", draw, play, points_of),
        Lane("whole", partial(draw, whole=True), play, partial(points_of, whole=True)),
    )
}
"""`orders`: replicas, ledger and clients of the leader; `whole`: catalogs, feeds and front ends with caches as well."""


def lane_of(plan: Plan) -> Lane:
    """The one whose plan it is."""
    return LANES["whole" if plan.whole else "orders"]
