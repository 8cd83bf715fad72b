"""Every state that the rules reach, breadth first, so that a counterexample is as short as any."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from attrs import Factory, define, frozen

from tests.model.actions import Action, Bounds, carried_out, enabled, first_states, state_text, told_of
from tests.model.invariants import broken
from tests.model.reduction import Reduction
from tests.model.rules import Rules
from tests.model.state import State
from tests.model.witnesses import Witness


@frozen
class Step:
    action: Action
    state: State


@frozen
class Counterexample:
    wrong: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        lines = [f"{number:3} {told_of(step.action)}" for number, step in enumerate(self.steps, 1)]
        return "\n".join(
            [f"{self.wrong}, after {len(self.steps)} steps:", *lines, f"    {state_text(self.steps[-1].state)}"]
        )


@define
class Found:
    """`seen`: the witnesses met, by name, with the depth."""

    states: int = 0
    transitions: int = 0
    depth: int = 0
    seconds: float = 0.0
    seen: dict[str, int] = Factory(dict)
    counterexample: Counterexample | None = None

    def __str__(self) -> str:
        return f"{self.states} states, {self.transitions} transitions, depth {self.depth}, {self.seconds:.1f} s"


def search(
    bounds: Bounds,
    rules: Rules | None = None,
    *,
    without: frozenset[int] = frozenset(),
    inner: bool = True,
    witnesses: Mapping[str, Witness] | None = None,
    visit: Callable[[State], None] | None = None,
    tell: Callable[[Found], None] | None = None,
) -> Found:
    """Visit every state within the bounds, or stop at the first that is wrong. `without` are reductions not to use;
    `inner`: look at the invariants of the inner workings as well; `visit` is called with each state,
    `tell` after each depth."""
    rules = rules or Rules()
    reduction = Reduction.of(bounds, without)
    found, unseen = Found(), dict(witnesses or {})
    begun = time.monotonic()
    parents: dict[State, State | None] = {}
    same: dict[object, object] = {}

    frontier = []
    for state in first_states(bounds, rules):
        state = packed(reduction.essence(state), same)
        parents[state] = None
        frontier.append(state)
    while frontier:
        reached = []
        for state in frontier:
            for action, after in successors(state, bounds, rules, reduction):
                found.transitions += 1
                wrong = broken(state, after, rules, inner)
                if wrong is not None:
                    found.counterexample = Counterexample(
                        wrong, path(parents, state, action, bounds, rules, reduction, inner)
                    )
                    found.states, found.depth, found.seconds = len(parents), found.depth + 1, time.monotonic() - begun
                    return found
                for name in [name for name, is_met in unseen.items() if is_met(state, action, after)]:
                    found.seen[name] = found.depth + 1
                    del unseen[name]
                after = packed(reduction.essence(after), same)
                if after not in parents:
                    parents[after] = state
                    reached.append(after)
                    if visit is not None:
                        visit(after)
        frontier = reached
        found.states, found.depth, found.seconds = len(parents), found.depth + bool(reached), time.monotonic() - begun
        if tell is not None:
            tell(found)
    return found


def successors(state: State, bounds: Bounds, rules: Rules, reduction: Reduction) -> Iterator[tuple[Action, State]]:
    for action in enabled(state, bounds, rules):
        if reduction.matters(state, action):
            after = carried_out(rules, state, action)
            if after is not None and after is not state:
                yield action, after


def packed(state: State, same: dict[object, object]) -> State:
    """Equal parts of states are kept once."""
    once = same.setdefault
    replicas = tuple([once(replica, replica) for replica in state.replicas])
    parts = (state.register, once(replicas, replicas), *state[2:])
    return State(*[once(part, part) for part in parts])  # type: ignore[arg-type]


def path(
    parents: dict[State, State | None],
    last: State,
    action: Action,
    bounds: Bounds,
    rules: Rules,
    reduction: Reduction,
    inner: bool,
) -> tuple[Step, ...]:
    """The steps to the step that is wrong, walked again from the beginning: what was visited is one state of each class
    of equals, and ids must not change their meaning on the way."""
    classes = [last]
    while (before := parents[classes[-1]]) is not None:
        classes.append(before)
    classes.reverse()
    state = next(first for first in first_states(bounds, rules) if reduction.essence(first) == classes[0])
    steps = []
    for goal in classes[1:]:
        step = next(
            Step(taken, after)
            for taken, after in successors(state, bounds, rules, reduction)
            if reduction.essence(after) == goal
        )
        steps.append(step)
        state = step.state
    steps.append(
        next(
            Step(taken, after)
            for taken, after in successors(state, bounds, rules, reduction)
            if broken(state, after, rules, inner)
        )
    )
    return tuple(steps)
