"""The lanes: simulators that take plans. Tests, shrinking, figures, the corpus and the search for mutants need no more of
one than this.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

from attrs import field, frozen

from tests.core import swarm as core_swarm
from tests.core.points import core_points
from tests.core.world import CoreWorld
from tests.simulation import swarm
from tests.simulation.mischief import points_of
from tests.simulation.plan import Fault, Plan
from tests.simulation.stage import Stage
from tests.simulation.witness import Failed, Messages, Trace
from tests.simulation.world import World

ELECTIONS = ("raft", "appointed")


@frozen
class Outcome:
    """What came of a run. `what` is the promise that was broken `at` so many simulated seconds, "" where none was; `struck`
    are the faults of the plan that did something, each as it was aimed; `fingerprint` is of all that happened."""

    tally: Counter[str] = field(factory=Counter)
    points: Counter[str] = field(factory=Counter)
    struck: Mapping[Fault, Fault] = field(factory=dict)
    at: float = 0.0
    what: str = ""
    fingerprint: str = ""


Play = Callable[[Plan], Outcome]


@frozen
class Lane:
    """`draw` makes the plan of a seed under an election, and of a theme where one is named (ValueError where there is none
    of that name); `world` carries it out; `points` are all that it can hit under an election."""

    name: str
    draw: Callable[..., Plan]
    world: Callable[..., Stage]
    points: Callable[[str], tuple[str, ...]]

    def play(self, plan: Plan, trace: Trace | None = None, messages: Messages | None = None) -> Outcome:
        """What breaks the run itself has broken a promise as well."""
        world = self.world(plan, trace, messages)
        at, what = 0.0, ""
        try:
            world.play()
        except Failed as failed:
            at, what = failed.at, failed.what
        except Exception:
            at, what = world.timeline.now, f"the run itself broke: {traceback.format_exc()}"
        return Outcome(world.tally, world.mischief.points, world.mischief.struck, at, what, world.fingerprint)


LANES = {
    lane.name: lane
    for lane in (
        Lane("core", core_swarm.draw, CoreWorld, core_points),
        Lane("orders", swarm.draw, World, points_of),
        Lane("whole", partial(swarm.draw, whole=True), World, partial(points_of, whole=True)),
    )
}
"""`core`: the core alone, over light disks; `orders`: replicas, ledger and clients of the leader; `whole`: catalogs, feeds
and front ends with caches as well."""


def lane_of(plan: Plan) -> Lane:
    """Where a plan is played that does not say where."""
    return LANES["whole" if plan.whole else "orders"]
