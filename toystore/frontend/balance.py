"""Which catalog to ask next: in turn, the ones that failed lately last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import define, field


class Policy(Protocol):
    """Who comes first."""

    def turn(self, kind: str, count: int) -> int:
        """The place, from 0 and below `count`, of the node to ask first for this request of this kind."""


@define
class RoundRobin:
    """One turn for all kinds of request."""

    _next: int = -1

    def turn(self, kind: str, count: int) -> int:
        self._next = (self._next + 1) % count
        return self._next


@define
class RoundRobinByKind:
    """A turn for each kind of request, which begins with the second node (row H1)."""

    _turns: dict[str, int] = field(factory=dict)

    def turn(self, kind: str, count: int) -> int:
        self._turns[kind] = (self._turns.get(kind, 0) + 1) % count
        return self._turns[kind]


@define
class _Rest:
    """A node that failed: not asked before `until`; `pause` is how long it rests the next time, in
    seconds."""

    until: float
    pause: float


class Balance:
    """The nodes in the order to ask them. A node that failed rests for `pause` seconds, then `longest`
    at most; when its rest is over one request tries it, and the others go on elsewhere until that one
    has succeeded."""

    def __init__(
        self, nodes: Sequence[str], policy: Policy | None = None, *, pause: float = 0.5, longest: float = 8.0
    ) -> None:
        self._nodes = tuple(nodes)
        self._policy = RoundRobin() if policy is None else policy
        self._pause = pause
        self._longest = longest
        self._resting: dict[str, _Rest] = {}

    def order(self, kind: str, now: float) -> list[str]:
        """All nodes: this request's turn, then the other live ones, then those that rest (better than no
        answer)."""
        if not self._nodes:
            return []
        first = self._policy.turn(kind, len(self._nodes))
        turned = self._nodes[first:] + self._nodes[:first]
        rest = self._resting.get(turned[0])
        if rest is not None and rest.until <= now:
            rest.until = now + rest.pause
            return [turned[0], *sorted(turned[1:], key=self._rests)]
        return sorted(turned, key=self._rests)

    def _rests(self, node: str) -> bool:
        return node in self._resting

    def failed(self, node: str, now: float) -> None:
        rest = self._resting.get(node)
        pause = self._pause if rest is None else min(self._longest, rest.pause * 2)
        self._resting[node] = _Rest(now + pause, pause)

    def worked(self, node: str) -> None:
        self._resting.pop(node, None)

    def live(self) -> list[str]:
        """Those that did not fail when they were last asked."""
        return [node for node in self._nodes if not self._rests(node)]
