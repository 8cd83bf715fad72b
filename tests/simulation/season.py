"""Many plans of one lane under one election, each played once, however many tests ask what came of them."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.lanes import LANES, Lane, Outcome
from tests.simulation.plan import Plan
from tests.simulation.witness import Failed


def play(lane: Lane, plan: Plan, theme: str = "") -> Outcome:
    """Fails as a test does, with the command that repeats it."""
    outcome = lane.play(plan)
    if outcome.what:
        of_a_theme = f" --theme '{theme}'" if theme else ""
        command = f"python -m tests.simulation {plan.seed} --lane {lane.name} --election {plan.election}{of_a_theme} --trace"
        pytest.fail(f"{Failed(plan, outcome.at, outcome.what)}\nTo repeat it: {command}")
    return outcome


class Season:
    def __init__(self, lane: str, election: str) -> None:
        self.election = election
        self._lane = LANES[lane]
        self._points: Counter[str] = Counter()
        self._tallies: dict[tuple[range, str], Counter[str]] = {}

    def play(self, seeds: range, theme: str = "") -> Counter[str]:
        """The tally of the plans of these seeds."""
        if (seeds, theme) not in self._tallies:
            tally = self._tallies[seeds, theme] = Counter()
            for seed in seeds:
                outcome = play(self._lane, self._lane.draw(seed, self.election, theme), theme)
                tally += outcome.tally
                self._points += outcome.points
        return self._tallies[seeds, theme]

    def never(self, *others: str) -> list[str]:
        """The fault points of the lane that were not hit; those of these other lanes are not asked for."""
        asked = set(self._lane.points(self.election)).difference(*(LANES[lane].points(self.election) for lane in others))
        return sorted(point for point in asked if not self._points[point])


def assert_not_idle(tally: Counter[str], must_happen: tuple[str, ...]) -> None:
    """Plans in which one of these is zero have shown nothing about it."""
    report = ", ".join(f"{count} {what}" for what, count in sorted(tally.items()))
    missing = [what for what in must_happen if not tally[what]]
    assert not missing, f"no {' and no '.join(missing)}: {report}"
    print(report)
