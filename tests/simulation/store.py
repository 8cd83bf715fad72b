"""The whole store over a cluster: catalogs that answer and push, front ends with their caches, and customers.

`World` calls it where something comes, goes or is carried out; what is in here runs only where the plan is a `whole` one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tests.simulation.catalogs import Catalog, Stream
from tests.simulation.customers import Customer
from tests.simulation.front_ends import FrontEnd
from tests.simulation.plan import Fault, Plan
from tests.simulation.staleness import MAX_AGE, Staleness
from toystore.frontend.cache import Counters
from toystore.frontend.leader import LeaderClient
from toystore.model import Done
from toystore.storage.interface import Applied

if TYPE_CHECKING:
    from tests.simulation.cluster import Process
    from tests.simulation.world import World

CUSTOMERS = 2
"""At each front end."""


_LATE: Mapping[str, Callable[[Fault], float]] = {
    "delay": lambda fault: 2 * fault.by,
    "clog": lambda fault: fault.seconds,
    "reorder": lambda fault: fault.by,
    "duplicate": lambda fault: fault.by,
    "echo": lambda fault: fault.by,
    "pause": lambda fault: fault.seconds,
    "front end pauses": lambda fault: fault.seconds,
    "feed unread": lambda fault: min(MAX_AGE, fault.seconds),  # then the front end leaves it
}
"""By how many seconds a fault of each kind makes news late."""


def slack_of(plan: Plan) -> float:
    """For how many seconds, at most, news may be under way to a reader in this run, beyond the 3 s that are promised: to
    a catalog, and from there on."""
    worst = dict.fromkeys(_LATE, 0.0)
    for fault in plan.faults:
        if fault.kind in _LATE:
            worst[fault.kind] = max(worst[fault.kind], _LATE[fault.kind](fault))
    return 0.5 + 2 * sum(worst.values())


class Store:
    """`catalogs` by node, while they are up; `lately` are names of products that have changed, the last ones first."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.learners = [process for process in world.processes.values() if process not in world.voters]
        self.catalogs: dict[str, Catalog] = {}
        self.streams: dict[Stream, None] = {}
        self.fronts = {f"front-{n}": FrontEnd(self, f"front-{n}") for n in range(1, world.plan.shape.fronts + 1)}
        self.customers = [Customer(self, front, n + 1) for front in self.fronts.values() for n in range(CUSTOMERS)]
        self.staleness = Staleness(slack_of(world.plan))
        self.lately: list[str] = []
        self.made: list[str] = []
        """New products that somebody has sent."""
        self.late: list[tuple[str, float, float]] = []
        """From which catalogs, which share of answers is late, and by how much."""
        self._ids = 0

    @property
    def now(self) -> float:
        return self.world.timeline.now

    @property
    def leader(self) -> LeaderClient:
        return self.fronts["front-1"].leader

    def boot(self) -> None:
        for front in self.fronts.values():
            front.boot()

    def new_id(self, node: str) -> str:
        self._ids += 1
        return f"{node}:{self._ids}"

    def lateness(self, catalog: str, front: str) -> float:
        for node, share, by in self.late:
            if node == catalog:
                random = self.world.links.link(catalog, front)
                if random.draw("late?") < share:
                    return by * random.draw("late")
        return 0.0

    def streams_of(self, node: str) -> list[Stream]:
        """Those that begin or end at this node."""
        return [stream for stream in self.streams if node in (stream.front.id, stream.process.id)]

    def count(self, counters: Counters) -> None:
        """A front end has ended, with these."""
        self.world.tally["hits"] += counters.hits
        self.world.tally["misses"] += counters.misses

    # What the world tells

    def started(self, process: Process) -> None:
        if process in self.learners:
            catalog = self.catalogs[process.id] = Catalog(self, process)
            catalog.start()

    def stops(self, process: Process) -> None:
        """It has been told to."""
        catalog = self.catalogs.pop(process.id, None)
        if catalog is not None:
            catalog.stop()

    def died(self, process: Process) -> None:
        self.catalogs.pop(process.id, None)

    def applied(self, rows: Sequence[Applied]) -> None:
        for row in rows:
            products = row.outcome.products if isinstance(row.outcome, Done) else ()
            self.staleness.changed(row.index, products)

    def start_front(self, front: FrontEnd) -> None:
        if not front.up:
            self.world.note(f"{front.id} is up")
            front.boot()

    def heal(self) -> None:
        self.late.clear()
        for front in self.fronts.values():
            self.start_front(front)
            front.clock.resume()

    def at_rest(self) -> None:
        for front in self.fronts.values():
            self.count(front.cache.counters)
