"""Which plans the core is played with: those of the whole simulator."""

from __future__ import annotations

from tests.simulation import swarm
from tests.simulation.plan import Plan


def draw(seed: int, election: str = "raft", theme: str | None = None) -> Plan:
    return swarm.draw(seed, election)
