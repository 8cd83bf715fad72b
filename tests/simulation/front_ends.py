"""Front ends: the program's own, from one start to the next, on a clock of their own."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from tests.simulation.catalogs import CatalogConnection
from tests.simulation.clock import VirtualClock
from tests.simulation.network import Calls, Connection
from tests.simulation.shoppers import DEADLINE
from toystore.frontend.balance import Balance
from toystore.frontend.cache import Cache
from toystore.frontend.leader import LeaderClient
from toystore.frontend.lookups import Lookups
from toystore.frontend.storefront import Storefront
from toystore.frontend.subscription import Subscription
from toystore.web.errors import OutcomeUnknown, Unavailable

if TYPE_CHECKING:
    from tests.simulation.store import Store

T = TypeVar("T")


class FrontEnd:
    """Nothing survives its end. Customers are on its doorstep: they reach it at once, and notice when it dies."""

    def __init__(self, store: Store, name: str) -> None:
        self.id = name
        self.up = False
        self._store = store
        self._starts = 0
        self._calls: dict[Deferred[Any], None] = {}

    @property
    def incarnation(self) -> str:
        return f"{self.id}#{self._starts}"

    def boot(self) -> None:
        assert not self.up
        world = self._store.world
        shape, links = world.plan.shape, world.links
        self._starts += 1
        self.up = True
        self.clock = clock = VirtualClock(world.timeline)
        random = world.streams(f"front/{self.id}/{self._starts}")
        orders = [Connection(Calls(self.id, process, clock, links)) for process in world.voters]
        catalogs = [CatalogConnection(self._store, self, process) for process in self._store.learners]
        self.leader = LeaderClient(
            orders, clock, random, deadline=DEADLINE, unreachable_after=0.5, attempt_timeout=0.8
        )  # fmt: skip
        self.cache = Cache(shape.cache_size, max_floors=shape.max_floors)
        self.feed = Subscription(catalogs, self.cache, clock, random)  # type: ignore[arg-type]
        balance = Balance([catalog.node for catalog in catalogs])
        lookups = Lookups(self.leader, catalogs, self.cache, self.feed, balance, clock)  # type: ignore[arg-type]
        self.storefront = Storefront(self.leader, lookups, self.cache, self.feed, balance, clock)
        self.storefront.start()

    def call(self, use_case: Callable[[Storefront], Coroutine[Any, Any, T]]) -> Deferred[T]:
        """What a customer asks of it. Fails as `Storefront` does; Unavailable where it is down, OutcomeUnknown where
        it dies meanwhile."""
        if not self.up:
            return fail(Unavailable(1.0, "nobody listens"))
        answer: Deferred[T] = Deferred()

        def begin() -> None:
            Deferred.fromCoroutine(use_case(self.storefront)).addBoth(over)

        def over(result: T | Failure) -> None:
            if answer in self._calls:
                del self._calls[answer]
                answer.callback(result)

        self._calls[answer] = None
        if self.clock.paused:
            self.clock.callLater(0, begin)
        else:
            begin()
        return answer

    def kill(self) -> None:
        self.clock.end()
        self.up = False
        self._store.count(self.cache.counters)
        for stream in self._store.streams_of(self.id):
            stream.left()
        calls, self._calls = self._calls, {}
        for call in calls:
            call.errback(OutcomeUnknown(None))
