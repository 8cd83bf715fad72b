"""Plays plans against whatever `toystore` is first on the path, until one breaks a promise; for `mutant.hunt`.

`python -m tests.mutants.play LANE ELECTION FIRST COUNT [THEME]` draws the plans of `COUNT` seeds from `FIRST` on, of whole
stores in the lane `store`; with a theme, of those seeds whose plans have it. It prints a JSON object: how many were played
and, where the last one broke a promise, what was said, after how many seconds of the run, and the plan.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import count, islice
from typing import Any

from twisted.logger import globalLogBeginner

from tests.simulation.plan import Plan
from tests.simulation.swarm import THEMED, draw
from tests.simulation.themes import THEMES
from tests.simulation.world import Failed, World


def theme_of(seed: int, election: str, whole: bool = False) -> str:
    """The theme of the plan that `swarm.draw` makes of this seed, "" where it has none."""
    plan = Plan(seed, election, whole)
    if whole:
        from tests.simulation import store_swarm

        return store_swarm.theme_of(plan)
    choice = plan.stream("theme")
    if choice.random() >= THEMED:
        return ""
    return choice.choice([theme for theme in THEMES if theme.election in ("", election)]).name


def plans(lane: str, election: str, first: int, many: int, theme: str = "") -> Iterator[Plan]:
    whole = lane == "store"
    seeds = (seed for seed in count(first) if not theme or theme_of(seed, election, whole) == theme)
    return (draw(seed, election, whole) for seed in islice(seeds, many))


def play(plan: Plan) -> dict[str, Any] | None:
    """What was violated, and when; None where nothing was."""
    try:
        World(plan).play()
    except Failed as failed:
        return {"what": failed.what, "at": failed.at, "plan": plan.to_json()}
    return None


def replay(plan: str) -> dict[str, Any] | None:
    """As `play`, of a plan in JSON."""
    return play(Plan.from_json(plan))


def main(lane: str, election: str, first: str, many: str, theme: str = "") -> None:
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    played = 0
    for plan in plans(lane, election, int(first), int(many), theme):
        played += 1
        found = play(plan)
        if found is not None:
            print(json.dumps({"played": played, **found}))
            return
    print(json.dumps({"played": played}))


if __name__ == "__main__":
    main(*sys.argv[1:])
