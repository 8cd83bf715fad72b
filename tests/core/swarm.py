"""Which plans the core is played with: those of the whole simulator, and, for some seeds, a theme of its own."""

from __future__ import annotations

from attrs import evolve

from tests.core.themes import THEMES
from tests.simulation import swarm
from tests.simulation.plan import Plan
from tests.simulation.themes import known_under, with_theme

OWN = 0.25
"""The share of runs with a theme of `tests.core.themes`, and nothing beside it."""


def draw(seed: int, election: str = "raft", theme: str = "") -> Plan:
    """The plan of this seed; with a `theme`, one that has it. Raises ValueError where there is none of that name."""
    known = known_under(election, THEMES)
    plan = swarm.draw(seed, election, "" if theme in known else theme)
    choice = plan.stream("core/theme")
    if not theme and choice.random() < OWN:
        theme = choice.choice(list(known))
    if theme not in known:
        return plan
    plan, faults = with_theme(evolve(plan, seconds=swarm.SECONDS), known[theme])
    return evolve(plan, faults=tuple(sorted(faults, key=lambda fault: fault.at)))
