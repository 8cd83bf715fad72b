"""Makes plans small: the faults that are enough for a mutant to break a promise are kept, and the time until it does.
(Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE TSE 28(2), 2002.)
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from attrs import evolve

from tests.mutants.play import play
from tests.simulation.plan import Plan

Fails = Callable[[Plan], float | None]
"""After how many seconds a plan breaks a promise, None where it does not."""


def smaller(plan: Plan, at: float, fails: Fails, trials: int) -> Plan:
    """One that still fails, found in at most so many trials."""
    plan, at = _shortened(plan, at, fails)
    parts = 2
    while trials > 0 and len(plan.faults) > 1:
        for first, last in _slices(len(plan.faults), parts):
            less = evolve(plan, faults=plan.faults[:first] + plan.faults[last:])
            trials -= 1
            failed = fails(less)
            if failed is not None:
                plan, at = _shortened(less, failed, fails)
                parts = max(parts - 1, 2)
                break
            if trials <= 0:
                break
        else:
            if parts >= len(plan.faults):
                break
            parts = min(2 * parts, len(plan.faults))
    return plan


def _slices(many: int, parts: int) -> list[tuple[int, int]]:
    """From the last to the first: what comes last is most often of no use."""
    bounds = [round(many * part / parts) for part in range(parts + 1)]
    return [(a, b) for a, b in pairwise(bounds) if b > a][::-1]


def _shortened(plan: Plan, at: float, fails: Fails) -> tuple[Plan, float]:
    """The same until shortly after it has failed, if it fails then too; not where it fails only when all is healed."""
    if at >= plan.seconds:
        return plan, at
    end = round(at + 0.05, 2)
    short = evolve(plan, seconds=end, faults=tuple(fault for fault in plan.faults if fault.at < end))
    failed = fails(short)
    return (plan, at) if failed is None else (short, failed)


def made_small(plan: str, at: float, trials: int) -> str:
    """As `smaller`, of a plan in JSON, with the `toystore` that is loaded here."""

    def fails(tried: Plan) -> float | None:
        found = play(tried)
        return None if found is None else float(found["at"])

    return smaller(Plan.from_json(plan), at, fails, trials).to_json()
