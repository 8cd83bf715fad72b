"""All that can go wrong with the core: what the catalogue of `simulation.faults` has, but for what it has no part in."""

from __future__ import annotations

from tests.simulation.mischief import points_of

NOT_OF_THE_CORE = ("rot", "wall clock jumps")
"""Kinds of faults that it does not meet: a storage that finds a flipped bit begins as an empty one, which is a wipe here;
and no wall clock reaches it, for it counts ticks."""


def core_points(election: str) -> tuple[str, ...]:
    """The fault points of the core lane under this election; each must be hit by its tests."""
    left_out = (*NOT_OF_THE_CORE, *(("cut: register",) if election == "raft" else ()))  # nobody appoints there
    return tuple(point for point in points_of(election) if not point.startswith(left_out))
