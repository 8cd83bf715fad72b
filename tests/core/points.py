"""All that can go wrong with the core: what the catalogue of `simulation.faults` has, but for what it has no part in."""

from __future__ import annotations

from tests.simulation.mischief import points_of

NOT_HERE = {"raft": ("wall clock jumps", "cut: register"), "appointed": ("wall clock jumps",)}
"""The core counts ticks, no wall clock reaches it; and where leaders are elected there is no register."""


def core_points(election: str) -> tuple[str, ...]:
    """The fault points of the core lane under this election; each must be hit by its tests."""
    return tuple(point for point in points_of(election) if not point.startswith(NOT_HERE[election]))
