"""Shrinks a plan that fails: few faults, short and early ones, in a small cluster, that still break the same promise.

First faults are taken away, by delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input",
IEEE Transactions on Software Engineering 28(2), 2002, section 3: `ddmin`); then what is left is made simpler, one
change at a time, for as long as any is of use. Each try is a run, and all of them have a budget.

Whatever plays plans can be shrunk for: a `Play` is all that is asked for (see `lanes`).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from attrs import define, evolve, fields, frozen

from tests.simulation.lanes import Outcome, Play
from tests.simulation.mischief import ways_of
from tests.simulation.plan import ANYONE, Fault, Plan, Shape

T = TypeVar("T")

SLACK = 1.0
"""Seconds after the violation for which things go on going wrong while the plan is shrunk: a simpler one may fail later."""
CHANCES = ("drop", "duplicate", "reorder", "slow disk")
"""Kinds whose share is a probability: at 1 nothing about them is luck."""
SEEDS = 10
"""A shrunk plan is tried with so many other seeds, to see whether it hangs on luck."""


# Kinds of violations --------------------------------------------------------------------------------------------------

_BRACKETS = re.compile(r"\w*(\[[^][(){}]*\]|\([^][(){}]*\)|\{[^][(){}]*\})")
_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|\b(order|catalog|front)-\d+\S*|-?\b\d+(\.\d+)?\b|\bNone\b|\bnobody\b")
_LISTS = re.compile(r"#(,? ?(and )?#)+")


def kind_of(what: str) -> str:
    """The text of a violation without what differs from run to run: numbers, names, values. A failure that was logged is
    of the kind of its exception; a cluster that does not come to rest does so for whatever reason."""
    if what.startswith("not at rest"):
        return "not at rest"
    if "Traceback" in what:
        lines = what.strip().splitlines()
        return f"{_without_values(lines[0].partition(':')[0])}: {_without_values(lines[-1])}"
    return _without_values(what)


def _without_values(text: str) -> str:
    before = ""
    while before != text:
        before, text = text, _BRACKETS.sub("#", text)
    return _LISTS.sub("#", _VALUES.sub("#", text))


# Delta debugging ------------------------------------------------------------------------------------------------------


def ddmin(items: Sequence[T], fails: Callable[[list[T]], bool]) -> list[T]:
    """A part of `items` that fails, of which none can be taken away (1-minimal). `items` are known to fail."""
    found, parts = list(items), 2
    if found and fails([]):
        return []
    while len(found) >= 2:
        chunks = _chunks(found, parts)
        smaller = next((chunk for chunk in chunks if parts > 1 and fails(chunk)), None)
        if smaller is not None:
            found, parts = smaller, 2
            continue
        rests = ([item for other in chunks if other is not chunk for item in other] for chunk in reversed(chunks))
        rest = next((rest for rest in rests if parts > 2 and fails(rest)), None)
        if rest is not None:
            found, parts = rest, max(parts - 1, 2)
        elif parts >= len(found):
            break
        else:
            parts = min(2 * parts, len(found))
    return found


def _chunks(items: list[T], parts: int) -> list[list[T]]:
    ends = [len(items) * part // parts for part in range(parts + 1)]
    return [items[begin:end] for begin, end in pairwise(ends)]


# The shrinker ---------------------------------------------------------------------------------------------------------


class HoldsError(ValueError):
    """The plan that was to be shrunk breaks no promise."""


class _Spent(Exception):
    """The budget is."""


@define
class Budget:
    """Of runs, and of seconds of CPU (of this process and of those that it has waited for)."""

    runs: int = 600
    seconds: float = 300.0
    played: int = 0
    began: float = 0.0

    def spend(self) -> None:
        if self.played == 0:
            self.began = _cpu_seconds()
        if self.played >= self.runs or self.spent > self.seconds:
            raise _Spent
        self.played += 1

    @property
    def spent(self) -> float:
        return _cpu_seconds() - self.began if self.played else 0.0


def _cpu_seconds() -> float:
    return sum(os.times()[:4])


@frozen
class Shrunk:
    """`plan` fails as `outcome` says; `steady` of `SEEDS` other seeds make it fail in the same way."""

    plan: Plan
    outcome: Outcome
    before: int
    steady: int
    budget: Budget

    def __str__(self) -> str:
        count, runs = len(self.plan.faults), self.budget.played
        lines = [
            f"{self.before} faults before, {count} now ({runs} runs, {self.budget.spent:.0f} s of CPU);"
            f" {self.steady} of {SEEDS} other seeds fail in the same way",
            f"{self.outcome.at:6.2f} s  {self.outcome.what.strip().splitlines()[-1]}",
            *(f"  {fault}" for fault in self.plan.faults),
        ]
        return "\n".join(lines)


def shrink(plan: Plan, play: Play, budget: Budget | None = None, tell: Callable[[str], None] | None = None) -> Shrunk:
    """Raises HoldsError. `tell` hears of what has been reached on the way."""
    shrinker = _Shrinker(plan, play, budget or Budget(), tell or (lambda _: None))
    steady = 0
    try:
        shrinker.shrink()
        steady = shrinker.steady()
    except _Spent:
        shrinker.tell("the budget is spent")
    return Shrunk(shrinker.plan, shrinker.outcome, len(plan.faults), steady, shrinker.budget)


class _Shrinker:
    """`plan` is the simplest so far that fails, and `outcome` how."""

    def __init__(self, plan: Plan, play: Play, budget: Budget, tell: Callable[[str], None]) -> None:
        self.budget, self.tell, self._play = budget, tell, play
        self.budget.spend()
        self.plan, self.outcome = plan, play(plan)
        if not self.outcome.what:
            raise HoldsError("the plan breaks no promise: there is nothing to shrink")
        self.kind = kind_of(self.outcome.what)
        self._tried = {plan}

    def shrink(self) -> None:
        self._end_after_the_violation(SLACK)
        self._keep(self._with([fault for fault in self.plan.faults if fault in self.outcome.struck]))
        self._take_away()
        before = None
        while before != self.plan:
            before = self.plan
            self._simplify_shape()
            self._end_after_the_violation(SLACK)
            self._bring_forward()
            self._simplify_faults()
            self._take_away()
        self._smallest_seed()
        self._end_after_the_violation(0.05)

    def _fails(self, candidate: Plan) -> Outcome | None:
        self.budget.spend()
        self._tried.add(candidate)
        outcome = self._play(candidate)
        return outcome if outcome.what and kind_of(outcome.what) == self.kind else None

    def _keep(self, candidate: Plan) -> bool:
        """If it fails as well it is the simplest now."""
        if candidate in self._tried:
            return False
        outcome = self._fails(candidate)
        if outcome is not None:
            self.plan, self.outcome = candidate, outcome
        return outcome is not None

    def _with(self, faults: Sequence[Fault]) -> Plan:
        return evolve(self.plan, faults=tuple(sorted(faults, key=lambda fault: fault.at)))

    # Fewer faults

    def _take_away(self) -> None:
        ddmin(self.plan.faults, lambda faults: self._keep(self._with(faults)))
        self.tell(f"{len(self.plan.faults)} faults, {self.plan.seconds:g} s, {self.budget.played} runs")

    def _end_after_the_violation(self, slack: float) -> None:
        """Nothing that comes later matters. Where it was found when all was healed, less may do."""
        plan, at = self.plan, self.outcome.at
        if at < plan.seconds:
            self._keep(_ended(plan, round(at + slack + 0.005, 2)))
            return
        while self._keep(_ended(self.plan, round(self.plan.seconds / 2, 1))):
            pass
        self._keep(_ended(self.plan, round(self.plan.seconds * 3 / 4, 1)))

    # Smaller clusters

    def _simplify_shape(self) -> None:
        shape = self.plan.shape
        self._keep(evolve(self.plan, shape=Shape(voters=shape.voters, learners=0, fronts=1, rate=shape.rate)))
        for candidate in _simpler_shapes(self.plan.shape):
            plan = evolve(self.plan, shape=evolve(self.plan.shape, **candidate))
            if not self._keep(plan) and "voters" in candidate:
                self._keep(_renamed(plan))

    # Shorter, earlier, weaker, narrower faults

    def _bring_forward(self) -> None:
        """All of them together, then those after each pause."""
        for place in range(len(self.plan.faults)):
            while place < len(self.plan.faults):
                faults = self.plan.faults
                gap = faults[place].at - (faults[place - 1].at if place else 0.0)
                if gap < 0.05 or not any(self._keep(self._shifted(place, by)) for by in (gap, gap / 2)):
                    break

    def _shifted(self, place: int, by: float) -> Plan:
        faults = self.plan.faults
        later = [evolve(fault, at=max(0.0, round(fault.at - by, 3))) for fault in faults[place:]]
        return evolve(self._with([*faults[:place], *later]), seconds=max(0.5, round(self.plan.seconds - by, 2)))

    def _simplify_faults(self) -> None:
        place = 0
        while place < len(self.plan.faults):
            fault = self.plan.faults[place]
            aimed = self.outcome.struck.get(fault, fault)
            others = [other for other in self.plan.faults if other is not fault]
            if not any(self._keep(self._with([*others, simpler])) for simpler in _simpler(fault, aimed, self.plan)):
                place += 1

    # Less luck

    def _smallest_seed(self) -> None:
        for seed in range(1, SEEDS + 1):
            if seed >= self.plan.seed or self._keep(evolve(self.plan, seed=seed)):
                return

    def steady(self) -> int:
        seeds = range(self.plan.seed + 1, self.plan.seed + SEEDS + 1)
        return sum(
            self._fails(evolve(self.plan, seed=seed, seconds=self.plan.seconds + SLACK)) is not None for seed in seeds
        )


def _ended(plan: Plan, seconds: float) -> Plan:
    """It ends no later than that; so does each of its faults."""
    seconds = min(seconds, plan.seconds)
    kept = [fault for fault in plan.faults if fault.at < seconds]
    return evolve(plan, seconds=seconds, faults=tuple(_shortened(fault, seconds - fault.at) for fault in kept))


def _shortened(fault: Fault, seconds: float) -> Fault:
    """What lasts to the end of the run need not outlast it; who is down by then may stay down for as long as it was."""
    lasts = fault.seconds > seconds and fault.at == 0 and fault.whom == (ANYONE,)
    return evolve(fault, seconds=round(seconds, 3)) if lasts else fault


def _simpler_shapes(shape: Shape) -> Iterator[dict[str, Any]]:
    """Changes that make it smaller, or more usual."""
    usual = Shape()
    for name, values in (("learners", (1, 0)), ("fronts", (1,)), ("voters", (3,)), ("rate", (4.0, 2.0, 1.0))):
        yield from ({name: value} for value in values if value < getattr(shape, name))
    for known in fields(Shape):
        value = getattr(usual, known.name)
        if known.name not in ("learners", "fronts", "voters", "rate", "limits") and getattr(shape, known.name) != value:
            yield {known.name: value}
    for known in fields(type(shape.limits)):
        value = getattr(usual.limits, known.name)
        if getattr(shape.limits, known.name) != value:
            yield {"limits": evolve(shape.limits, **{known.name: value})}


def _renamed(plan: Plan) -> Plan:
    """Faults of replicas that are no more happen to the first ones that are."""
    voters = plan.shape.voters

    def present(name: str) -> str:
        role, _, number = name.partition("-")
        return f"order-{int(number) - voters}" if role == "order" and int(number) > voters else name

    faults = (evolve(fault, who=present(fault.who), whom=tuple(map(present, fault.whom))) for fault in plan.faults)
    return evolve(plan, faults=tuple(faults))


def _simpler(fault: Fault, aimed: Fault, plan: Plan) -> Iterator[Fault]:
    """Faults that are a little less, in the order in which to try them. `aimed` is how it struck."""
    first, *others = ways_of(fault.kind)
    if fault.way != first and fault.kind in ("crash", "restart of all", "register dies"):
        yield evolve(fault, way=first, share=0.0)
    if fault.way == first and fault.kind == "drop":
        yield from (evolve(fault, way=way) for way in others)
    if fault.kind in CHANCES and fault.share < 1:
        yield evolve(fault, share=1.0)
    for name, digits in (("seconds", 2), ("share", 1), ("by", 3), ("at", 2)):
        certain = name == "share" and fault.kind in CHANCES and fault.share == 1
        for value in () if certain else _less(getattr(fault, name), digits):
            yield evolve(fault, **{name: value})
    voters = [f"order-{n}" for n in range(1, plan.shape.voters + 1)]
    if fault.who == ANYONE:
        yield from (evolve(fault, who=who) for who in ([aimed.who] if fault.moment else voters))
    if fault.whom == (ANYONE,):
        yield from (evolve(fault, whom=(voter,)) for voter in voters if voter != fault.who)
    elif len(fault.whom) > 1:
        yield from (evolve(fault, whom=tuple(other for other in fault.whom if other != one)) for one in fault.whom)


def _less(value: float, digits: int) -> Iterator[float]:
    """Nothing, half of it, or the same with fewer digits."""
    if value == 0:
        return
    yield 0.0
    for fewer in (value / 2, *(math.floor(value * 10**count) / 10**count for count in range(digits + 1))):
        rounded = round(fewer, digits)
        if 0 < rounded < value:
            yield rounded
