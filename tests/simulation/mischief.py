"""Carries out the faults of a plan: each is armed at its time, and strikes then or at its moment.

`fault_points` is the list of all that can go wrong and of all moments at which it can, generated from the catalogue; a run
notes which of them it has hit.

**Moments.** Most bugs of a replicated store need a fault between two steps: after a vote has left and before it is on
disk, after a change of the view was asked for and before it is stored. A fault that names a moment waits for it, so that a
run meets it on purpose and not by luck (the like is called "buggification" in Zhou et al., "FoundationDB", SIGMOD 2021,
section 4).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import evolve

from tests.simulation.plan import ANYONE, Fault

if TYPE_CHECKING:
    from tests.simulation.stage import Stage

End = Callable[[], None]
"""What undoes a fault that lasts; called once, when its time is up or everything is healed."""
Strike = Callable[["Stage", Fault], "End | bool | None"]
"""Makes it so. False: it could not be, and nothing has changed."""

MOMENTS = (
    "a term is saved", "entries are saved", "entries are dropped", "something is applied", "a snapshot is installed",
    "a vote is asked for", "a vote is sent", "entries are acknowledged", "an acknowledgement arrives",
    "a change is asked for", "leadership is handed over", "a snapshot is sent", "somebody is elected",
    "an entry is committed", "a client is told", "a view is stored", "somebody joins", "somebody is dropped",
    "a product is pushed", "a lookup is asked", "a lookup is answered", "a feed begins",
)  # fmt: skip
RAFT = ("a vote is asked for", "a vote is sent", "leadership is handed over")
APPOINTED = ("a change is asked for", "a view is stored", "somebody joins", "somebody is dropped")
"""The moments that come only where leaders are elected, and only where they are appointed."""
WHOLE = ("a product is pushed", "a lookup is asked", "a lookup is answered", "a feed begins")
"""Those that come only where the whole store is simulated."""

LEADER, REGISTER, ALL = "leader", "register", "all"
"""Whom a fault may be about, beside the nodes by their names."""

_CATALOGUE: dict[str, tuple[Strike, str, bool]] = {}
"""By the name of the fault; with the election where it makes sense ("" for both), and whether only in a whole store."""


def fault(name: str, *ways: str, election: str = "", whole: bool = False) -> Callable[[Strike], Strike]:
    """Enter a fault into the catalogue, with the ways in which it comes."""

    def enter(strike: Strike) -> Strike:
        for way in ways or ("",):
            _CATALOGUE[f"{name}: {way}" if way else name] = strike, election, whole
        return strike

    return enter


def fault_points() -> tuple[str, ...]:
    """All that can go wrong, and all moments at which it can."""
    return (*_CATALOGUE, *(f"when {moment}" for moment in MOMENTS))


def ways_of(kind: str) -> list[str]:
    """The ways in which it comes, in order; [""] where there is but one."""
    return [name.partition(": ")[2] for name in _CATALOGUE if name.partition(": ")[0] == kind]


def points_of(election: str, whole: bool = False) -> tuple[str, ...]:
    """Those of them that make sense under this election, and in a whole store or not."""
    kinds = (name for name, (_, only, store) in _CATALOGUE.items() if only in ("", election) and (whole or not store))
    return (*kinds, *(f"when {moment}" for moment in moments_of(election, whole)))


def moments_of(election: str, whole: bool = False) -> list[str]:
    """The moments that come under this election, and in a whole store or not."""
    others = (RAFT if election == "appointed" else APPOINTED) + (() if whole else WHOLE)
    return [moment for moment in MOMENTS if moment not in others]


class Mischief:
    """The faults of one run. `points` counts those that did something, by the names of `fault_points`."""

    def __init__(self, world: Stage, faults: tuple[Fault, ...]) -> None:
        self._world = world
        self._faults = faults
        self._armed: dict[str, list[Fault]] = {}
        self._lasting: dict[int, End] = {}
        self._count = 0
        self.points: Counter[str] = Counter()
        self.struck: dict[Fault, Fault] = {}
        """Those of the plan that did something, with each as it was aimed at last."""
        self.over = False
        self.quiet_until = 0.0
        """Nothing else goes wrong before."""
        for wrong in faults:
            if wrong.name not in _CATALOGUE:
                raise ValueError(f"there is no fault called {wrong.name!r}; known are {', '.join(_CATALOGUE)}")
            if wrong.moment and wrong.moment not in MOMENTS:
                raise ValueError(f"there is no moment called {wrong.moment!r}; known are {', '.join(MOMENTS)}")

    def begin(self) -> None:
        now = self._world.timeline.now
        for wrong in self._faults:
            self._world.clock.callLater(max(0.0, wrong.at - now), self._arm if wrong.moment else self._strike, wrong)

    def _arm(self, wrong: Fault) -> None:
        self._armed.setdefault(wrong.moment, []).append(wrong)

    def awaits(self, moment: str) -> bool:
        return bool(self._armed.get(moment)) and not self.over

    def at(self, moment: str, node: str) -> None:
        """This moment has come at this node; whatever waits for it strikes `by` seconds later, once."""
        waiting = self._armed.get(moment)
        if not waiting or self.over:
            return
        for wrong in [wrong for wrong in waiting if wrong.who in (ANYONE, node) or self._is_leader(wrong.who, node)]:
            waiting.remove(wrong)
            self._world.clock.callLater(wrong.by, self._strike, wrong, node)

    def _is_leader(self, who: str, node: str) -> bool:
        leader = self._world.leader()
        return who == LEADER and leader is not None and leader.id == node

    def _strike(self, wrong: Fault, node: str = "") -> None:
        world = self._world
        if self.over or world.timeline.now < self.quiet_until:
            return
        strike, _, _ = _CATALOGUE[wrong.name]
        aimed = wrong if not node else _aimed(wrong, node)
        ended = strike(world, aimed)
        if ended is False:
            return
        world.note(f"fault: {aimed}")
        self.points[wrong.name] += 1
        self.struck[wrong] = aimed
        if wrong.moment:
            self.points[f"when {wrong.moment}"] += 1
        world.tally["faults"] += 1
        if callable(ended):
            self._count += 1
            count = self._count
            self._lasting[count] = ended
            world.clock.callLater(wrong.seconds, self._end, count)

    def _end(self, count: int) -> None:
        end = self._lasting.pop(count, None)
        if end is not None:
            end()

    @property
    def nothing_lasts(self) -> bool:
        return not self._lasting

    def heal(self) -> None:
        """Nothing goes wrong any more, and what lasts ends now."""
        self.over = True
        for count in list(self._lasting):
            self._end(count)


def _aimed(wrong: Fault, node: str) -> Fault:
    return evolve(wrong, who=node)
