"""Is there an order of these operations that respects time and that one at a time could have done? A search. Pure.

Wing and Gong ("Testing and verifying concurrent objects", 1993) try the orders one after the other; Lowe ("Testing for
linearizability", 2017) remembers which sets of operations have led to which state, and carries out an operation only when
the end of one demands it: just-in-time linearization. Here all configurations, a state and the set of operations under way
that are already carried out in it, are kept side by side as the history goes on. An operation that changes nothing and may
be carried out is carried out at once: that takes no possibility away from any other.

Exponential in the worst case: for short histories, and as a second opinion on long ones (`second_opinion`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from attrs import frozen

from toystore.checking.operations import NEVER

State = TypeVar("State", bound=Hashable)
Action = TypeVar("Action")

LIMIT = 200_000
"""Configurations that are looked at before a history is given up."""


class Undecided(Exception):
    """There are too many possibilities."""


@frozen
class Call(Generic[Action]):
    """An operation. One that ends at `NEVER` may have been carried out at any time since, or not at all."""

    invoked: int
    ended: int
    action: Action
    name: str


def stuck_at(
    calls: Sequence[Call[Action]],
    initial: State,
    step: Callable[[State, Action], State | None],
    limit: int = LIMIT,
) -> Call[Action] | None:
    """None where the history is linearizable; else the first call that ended and could not have been carried out by then.

    `step` gives the state after an action, None where it can not be carried out with that result. Raises Undecided.
    """
    events = [(call.invoked, 0, number) for number, call in enumerate(calls)]
    events += [(call.ended, 1, number) for number, call in enumerate(calls) if call.ended != NEVER]
    events.sort()
    pending: dict[int, Action] = {}
    configurations = {(initial, 0)}
    looked_at = 0
    for _, ends, number in events:
        if not ends:
            pending[number] = calls[number].action
            continue
        configurations, cost = _carried_out(configurations, pending, number, step, limit - looked_at)
        looked_at += cost
        if not configurations:
            return calls[number]
        del pending[number]
    return None


def _carried_out(
    configurations: set[tuple[State, int]],
    pending: dict[int, Action],
    number: int,
    step: Callable[[State, Action], State | None],
    limit: int,
) -> tuple[set[tuple[State, int]], int]:
    """All configurations in which the call is carried out, and perhaps others before it; without the call, as it is over.
    And how many were looked at."""
    bit = 1 << number
    found: set[tuple[State, int]] = set()
    seen = set(configurations)
    stack = list(configurations)
    while stack:
        if len(seen) > limit:
            raise Undecided(f"more than {LIMIT} configurations")
        state, done = stack.pop()
        changed: list[tuple[State, int]] = []
        for other, action in pending.items():
            if not done >> other & 1:
                after = step(state, action)
                if after == state:
                    done |= 1 << other
                elif after is not None:
                    changed.append((after, 1 << other))
        if done & bit:
            found.add((state, done ^ bit))
            continue
        for after, others in changed:
            following = (after, done | others)
            if following not in seen:
                seen.add(following)
                stack.append(following)
    return found, len(seen)
