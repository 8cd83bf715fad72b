"""Which plans the core is played with: those of the whole simulator, and, for some seeds, a theme of its own."""

from __future__ import annotations

from attrs import evolve

from tests.core.themes import THEMES
from tests.simulation import swarm, themes
from tests.simulation.plan import Plan

OWN = 0.25
"""The share of runs with a theme of `tests.core.themes`."""


def draw(seed: int, election: str = "raft", theme: str = "") -> Plan:
    """The plan of this seed; with a `theme`, one that has it. Raises ValueError where there is none of that name."""
    plan = swarm.draw(seed, election)
    choice = plan.stream("core/theme")
    if not theme and choice.random() >= OWN:
        return plan
    known = {theme.name: theme for theme in (*themes.THEMES, *THEMES) if theme.election in ("", election)}
    if theme and theme not in known:
        raise ValueError(f"there is no theme {theme!r} where leaders are {election}; there are {', '.join(known)}")
    own = [theme for theme in THEMES if theme.name in known]
    chosen = known[theme] if theme else choice.choice(own)
    plan = evolve(plan, seconds=swarm.SECONDS, shape=evolve(plan.shape, **chosen.shape))
    faults = chosen.make(plan.stream(f"core/theme/{chosen.name}"), plan)
    return evolve(plan, faults=tuple(sorted(faults, key=lambda fault: fault.at)))
