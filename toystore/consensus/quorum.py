"""Counting: how far enough nodes have come. One rule for each way to elect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from attrs import frozen

from toystore.consensus.messages import NodeId


class Rule(Protocol):
    def reached(self, values: Mapping[NodeId, int]) -> int:
        """The highest value that enough nodes have reached, where who is not in `values` has reached nothing (0).

        Of match indexes that is what may be committed, of request numbers what is confirmed, of ticks the last contact
        with enough of them.
        """


@frozen
class Majority:
    """More than half of the voters (Raft 5.3, 5.4.2)."""

    voters: int

    @property
    def size(self) -> int:
        return self.voters // 2 + 1

    def reached(self, values: Mapping[NodeId, int]) -> int:
        ordered = sorted(values.values(), reverse=True)
        return ordered[self.size - 1] if len(ordered) >= self.size else 0


@frozen
class All:
    """Every one of these: the in-sync set of a view, and of those that were asked for (design: `election = "appointed"`)."""

    members: frozenset[NodeId]

    def reached(self, values: Mapping[NodeId, int]) -> int:
        return min((values.get(member, 0) for member in self.members), default=0)
