"""Customers of a front end: they order as `Shopper`s do, but through the storefront, and look at what they buy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.python.failure import Failure

from tests.simulation.shoppers import Shopper
from tests.simulation.staleness import Asked
from toystore.frontend.leader import LeaderClient
from toystore.frontend.storefront import Carried, Storefront
from toystore.model import (
    Command,
    Done,
    Order,
    OrderStatus,
    PlaceOrder,
    Position,
    Product,
    PutProduct,
    Refused,
    Request,
    SetPrice,
)
from toystore.replication.interface import Answer
from toystore.web.errors import CatalogIsBehind, OutcomeUnknown, RefusedError, Unavailable, UnknownProduct
from toystore.web.interface import Dated

if TYPE_CHECKING:
    from tests.simulation.front_ends import FrontEnd
    from tests.simulation.store import Store

NAMES = ("Tux", "Fox", "Lego", "Whale")
NEW = tuple(f"Toy {n}" for n in range(1, 13))
"""Products that come to be during a run."""


@define
class Counter:
    """What stands for the client of the leader, where a customer orders: the storefront of its front end."""

    front: FrontEnd
    search: Any = field(default=None)

    def start(self) -> None:
        """The front end has started already."""

    def submit(self, request: Request) -> Deferred[Answer]:
        async def carry(storefront: Storefront) -> Answer:
            match request.command:
                case PlaceOrder(side, lines, key):
                    carrying = storefront.place(side, lines, key, request.request_id)
                case command:
                    carrying = storefront.change(command, request.request_id)
            try:
                carried: Carried = await carrying
            except RefusedError as error:
                return Answer(0, 0, Refused(error.refusal, error.detail))
            return Answer(carried.position.index, 0, carried.done, carried.position.generation)

        return self.front.call(carry)


class Customer(Shopper):
    """Looks at products, most often at those that have just changed, and often again at once: the second look is at what
    the first has put into the cache."""

    def __init__(self, store: Store, front: FrontEnd, number: int) -> None:
        super().__init__(store.world, f"{front.id}/{number}", cast(LeaderClient, Counter(front)))
        self._store, self._front = store, front
        self._looks = store.world.streams(f"client/{front.id}/looks").choice((0.3, 0.6, 0.9, 0.98))
        """How often it only looks; at a front end where hardly anyone buys, nobody notices from a buy what has changed."""
        self._hit = False

    def _shop(self) -> None:
        if self._closed or self._random.random() > self._looks:
            self._act()
            return
        self.begin()
        if self._random.random() < 0.9:
            self._look(self._some_name())
        else:
            self._list()

    def _act(self) -> None:
        if self._closed or self._random.random() < 0.85:
            super()._shop()
        else:
            self.begin()
            self._change()

    # What changes something

    def _told(self, answer: Answer | Failure, order: PlaceOrder, attempt: int) -> None:
        if not isinstance(answer, Failure) and isinstance(answer.outcome, Done):
            self._knows(answer.outcome)
        super()._told(answer, order, attempt)

    def _cancelled(self, answer: Answer | Failure) -> None:
        if not isinstance(answer, Failure) and isinstance(answer.outcome, Done):
            self._knows(answer.outcome)
        super()._cancelled(answer)

    def _knows(self, done: Done) -> None:
        """It was told: from now on this front end may not show what was before. Look there, or elsewhere."""
        store, order = self._store, done.order
        names = [product.name for product in done.products]
        index = done.index
        if order is not None and not names:  # a replay
            names, index = [line.name for line in order.lines], order.changed
        store.staleness.acknowledged(self._front.incarnation, store.now, index, names)
        store.lately = [*names, *store.lately][:6]
        if names and self._random.random() < 0.5 and not self._closed:
            customer = self if self._random.random() < 0.6 else self._random.choice(store.customers)
            name = self._random.choice(names)
            store.world.clock.callLater(self._random.choice((0.0005, 0.003, 0.03)), customer._look, name)

    def _adjust(self) -> None:
        if not self._world.plan.shape.restock:  # which would mix with the units that tell which adjustments came
            super()._adjust()

    def _adjusted(self, answer: Answer | Failure, delta: int) -> None:
        if not isinstance(answer, Failure) and isinstance(answer.outcome, Done):
            self._knows(answer.outcome)
        super()._adjusted(answer, delta)

    def _change(self) -> None:
        """A price, or a product that nobody has seen yet."""
        unused = [name for name in NEW if name not in self._store.made]
        if unused and self._random.random() < 0.5:
            name = self._random.choice(unused)
            self._store.made.append(name)
            self._send(PutProduct(name, 500, None, 40))
        else:
            self._send(SetPrice(self._random.choice((*NAMES, *self._store.made)), self._random.randint(1, 999)))

    def _send(self, command: Command) -> None:
        self._count += 1
        self._under_way += 1
        self.leader.submit(Request(f"{self.id}-{self._count}", command)).addBoth(self._changed)

    def _changed(self, answer: Answer | Failure) -> None:
        self._under_way -= 1
        if isinstance(answer, Failure):
            answer.trap(Unavailable, OutcomeUnknown)
        elif isinstance(answer.outcome, Done):
            self._world.reads.acknowledge(answer.outcome.index)
            self._knows(answer.outcome)

    # What only looks

    def _some_name(self) -> str:
        lately = self._store.lately
        if lately and self._random.random() < 0.7:
            return self._random.choice(lately)
        return self._random.choice((*NAMES, self.kite, *self._store.made[-2:], "Nemo"))

    def _look(self, name: str, again: bool = True) -> None:
        """At one product; now and then as of what was acknowledged here last, or as of now."""
        if not self._front.up:
            return
        store, linearizable = self._store, self._random.random() < 0.05
        least = store.staleness.last_acknowledged if self._random.random() < 0.1 else 0
        asked = store.staleness.asks(self._front.incarnation, store.now, least)
        question = self._front.call(lambda s: s.lookups.product(name, Position(0, least), linearizable))
        question.addCallback(self._shown, asked, name, linearizable)
        question.addErrback(self._not_shown, asked, name)
        if again and self._random.random() < 0.6:
            self._world.clock.callLater(self._random.choice((0.0, 0.01, 0.1, 1.0)), self._look, name, False)

    def _shown(self, dated: Dated[Product], asked: Asked, name: str, linearizable: bool) -> None:
        world, checker = self._world, self._store.staleness
        world.tally["lookups"] += 1
        world.tally["marked"] += dated.age != 0
        if linearizable:
            world.check(checker.linearizable, asked, dated.value, name, dated.asof.index)
        else:
            world.check(checker.product, asked, dated.value, dated.asof.index, dated.age)

    def _not_shown(self, failure: Failure, asked: Asked, name: str) -> None:
        failure.trap(UnknownProduct, Unavailable, CatalogIsBehind, OutcomeUnknown)
        if failure.check(UnknownProduct):
            self._world.tally["not found"] += 1
            self._world.check(self._store.staleness.no_product, asked, name, failure.value.age == 0)
        else:
            self._world.tally["lookups that failed"] += 1

    def _list(self) -> None:
        if self._front.up:
            asked = self._store.staleness.asks(self._front.incarnation, self._store.now)
            question = self._front.call(lambda s: s.lookups.products(0, 100))
            question.addCallbacks(self._listed, self._has_not_read, (asked,), {}, ("",))

    def _listed(self, dated: Dated[list[Product]], asked: Asked) -> None:
        self._world.tally["lists"] += 1
        self._world.check(self._store.staleness.products, asked, dated.value, dated.asof.index, dated.age)

    # Orders are read through the storefront too

    def _whom_to_ask(self) -> Any:
        return None

    def _read(self, connection: Any) -> None:
        floor = self._world.reads.acknowledged
        known = self._random.choice(self._orders) if self._orders and self._random.random() < 0.5 else None

        async def read(storefront: Storefront) -> Any:
            if known is not None:
                return await storefront.order(known.number)
            return await storefront.orders(None, 5)

        question = self._front.call(read)
        question.addCallbacks(self._has_read_orders, self._has_not_read, (floor, known), {}, ("",))

    def _has_read_orders(self, dated: Dated[Any], floor: int, known: Order | None) -> None:
        self._world.tally["reads"] += 1
        self._world.check(self._world.reads.answered, self.id, dated.asof.index, floor)
        if known is not None and known.status is OrderStatus.PLACED:
            same = (dated.value.number, dated.value.key, dated.value.lines) == (known.number, known.key, known.lines)
            if not same:
                self._world.violate(f"order {known.number} is {dated.value}, and was {known}")

    def _has_not_read(self, failure: Failure, node: str) -> None:
        failure.trap(Unavailable, CatalogIsBehind, OutcomeUnknown, TimedOut)
        self._world.tally["lost reads"] += 1

    # The end

    def close_shop(self) -> None:
        super().close_shop()
        self._world.clock.callLater(1.5, self._want_a_hit)

    def waits_for(self) -> list[str]:
        return super().waits_for() or ([] if self._hit else ["a hit"])

    def _want_a_hit(self) -> None:
        """Once all is well there are hits again."""
        before = self._front.cache.counters.hits

        def shown(dated: Dated[Product]) -> None:
            self._hit = dated.age == 0 and self._front.cache.counters.hits > before and not self._front.storefront.ready()

        question = self._front.call(lambda s: s.lookups.product("Tux"))
        question.addCallback(shown).addErrback(lambda failure: failure.trap(Unavailable, CatalogIsBehind))
        question.addCallback(lambda _: None if self._hit else self._world.clock.callLater(0.3, self._want_a_hit))
