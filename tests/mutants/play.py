"""Plays plans against whatever `toystore` is first on the path, until one breaks a promise; for `mutant.hunt`.

`python -m tests.mutants.play LANE ELECTION FIRST COUNT [THEME]` draws the plans of `COUNT` seeds from `FIRST` on; with a
theme, plans that have it. It prints a JSON object: how many were played and, where the last one broke a promise, what was
said, after how many seconds of the run, and the plan.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from twisted.logger import globalLogBeginner

from tests.simulation.lanes import LANES
from tests.simulation.plan import Plan
from tests.simulation.shrink import Budget, shrink


def broken(lane: str, plan: Plan) -> dict[str, Any] | None:
    """What it breaks, and when; None where it breaks nothing."""
    outcome = LANES[lane].play(plan)
    return {"what": outcome.what, "at": outcome.at} if outcome.what else None


def replay(lane: str, plan: str) -> dict[str, Any] | None:
    """As `broken`, of a plan in JSON."""
    return broken(lane, Plan.from_json(plan))


def made_small(lane: str, plan: str) -> str:
    """One with fewer faults that breaks the same."""
    return shrink(Plan.from_json(plan), LANES[lane].play, Budget(runs=150, seconds=60.0)).plan.to_json()


def main(lane: str, election: str, first: str, many: str, theme: str = "") -> None:
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    played = 0
    for seed in range(int(first), int(first) + int(many)):
        plan = LANES[lane].draw(seed, election, theme)
        played += 1
        found = broken(lane, plan)
        if found is not None:
            print(json.dumps({"played": played, "plan": plan.to_json(), **found}))
            return
    print(json.dumps({"played": played}))


if __name__ == "__main__":
    main(*sys.argv[1:])
