"""Clients: each has the production client of the leader, and remembers all that it was told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import TimeoutError as TimedOut
from twisted.python.failure import Failure

from tests.simulation.network import Calls, Connection
from toystore.frontend.leader import LeaderClient
from toystore.model import AdjustStock, CancelOrder, Done, Line, Order, OrderStatus, PlaceOrder, Refusal, Refused, Request
from toystore.replication.interface import Answer, NotLeader
from toystore.web.errors import OutcomeUnknown, Unavailable
from toystore.web.interface import Broken, Unreachable

if TYPE_CHECKING:
    from tests.simulation.world import World

DEADLINE = 1.5

WANTED = (("Tux", "Fox", "Lego", "Whale", "Nemo"), (6, 4, 4, 4, 1))
"""What, and how often; the last is not for sale."""


class Shopper:
    """Places orders (some of them as a burst), cancels a few, reads at any replica that says it leads, and repeats the
    key of each order whose outcome it could not be told."""

    def __init__(self, world: World, name: str, leader: LeaderClient | None = None) -> None:
        self.id, self.kite = name, f"Kite of {name}"
        self._world = world
        self._random = world.streams(f"client/{name}")
        self._rate = world.plan.shape.rate
        self._connections = [Connection(Calls(name, process, world.clock, world.links)) for process in world.voters]
        self.leader = leader or LeaderClient(
            self._connections, world.clock, world.streams(f"client/{name}/search"),
            deadline=DEADLINE, unreachable_after=0.5, attempt_timeout=0.8,
        )  # fmt: skip
        self._orders: list[Order] = []
        self._count = 0
        self._attempts: dict[str, int] = {}
        self._open: dict[str, PlaceOrder] = {}
        self._under_way = 0
        self._closed = False

    def open(self) -> None:
        self.leader.start()

    def begin(self) -> None:
        self._world.clock.callLater(self._random.expovariate(self._rate), self._shop)

    def close_shop(self) -> None:
        """Nothing new; what is still open is asked for until it is known."""
        self._closed = True
        self._world.clock.callLater(1.0, self._last_order)

    def _last_order(self) -> None:
        self._place(PlaceOrder("sell", (Line("Tux", 1),), f"{self.id}-last"))

    def waits_for(self) -> list[str]:
        last = f"{self.id}-last"
        waiting = [*self._open] if self._attempts.get(last) else [*self._open, last]
        return waiting or (["answers"] if self._under_way else [])

    def _shop(self) -> None:
        if self._closed:
            return
        self.begin()
        kind = self._random.random()
        if self._random.random() < self._world.plan.shape.reads:
            self._read(self._whom_to_ask())
        elif kind < 0.07:
            self._adjust()
        elif kind < 0.12 and self._orders:
            self._change_its_mind(self._random.choice(self._orders))
        elif kind < 0.9 or not self._orders:
            for _ in range(self._random.choice((1, 1, 1, 5))):
                self._place(self._new_order())
        else:
            self._cancel(self._random.choice(self._orders))

    # Orders

    def _new_order(self) -> PlaceOrder:
        self._count += 1
        names = self._random.choices(
            ("Tux", "Fox", "Lego", "Whale", "Nemo"), (6, 4, 4, 4, 1), k=self._random.choice((1, 1, 2))
        )
        lines = tuple(Line(name, self._random.randint(1, 5)) for name in names)
        return PlaceOrder(self._random.choice(("buy", "buy", "sell")), lines, f"{self.id}-{self._count}")

    def _place(self, order: PlaceOrder) -> None:
        """Once more, where the key was sent before; each attempt of the client is a request of its own."""
        attempt = self._attempts[order.key] = self._attempts.get(order.key, 0) + 1
        self._open[order.key] = order
        self._world.orders.sent(order)
        answer = self.leader.submit(Request(f"{order.key}/{attempt}", order))
        answer.addBoth(self._told, order, attempt)

    def _told(self, answer: Answer | Failure, order: PlaceOrder, attempt: int) -> None:
        """Only where the first attempt brought a no is it known that there is no order: another attempt's no may be
        overtaken by the first, still on its way. Once everything is healed and calm, the answer is the last one."""
        world, final = self._world, attempt == 1
        if isinstance(answer, Failure):
            answer.trap(Unavailable, OutcomeUnknown)
            world.note(f"{self.id}: {order.key}/{attempt} {type(answer.value).__name__}")
            world.tally["turned away" if answer.check(Unavailable) else "unknown"] += 1
            if final and answer.check(Unavailable):
                world.check(world.orders.never, order.key, "was turned away")
                self._over(order)
            else:
                world.clock.callLater(self._random.uniform(0.05, 1.0), self._place, order)
            return
        world.note(f"{self.id}: {order.key}/{attempt} answered at {answer.index} of term {answer.term}")
        match answer.outcome:
            case Done(index=index, order=Order() as placed):
                world.reads.acknowledge(index)
                world.check(world.orders.acknowledged, placed)
                world.mischief.at("a client is told", self.id)
                self._orders.append(placed)
                self._over(order)
            case Refused(refusal):
                world.tally["refused"] += 1
                if final:
                    world.check(world.orders.never, order.key, f"was refused: {refusal.value}")
                self._over(order)
            case outcome:
                world.violate(f"an order was answered with {outcome}")

    def _over(self, order: PlaceOrder) -> None:
        self._open.pop(order.key, None)

    def _cancel(self, order: Order) -> None:
        self._count += 1
        self._under_way += 1
        answer = self.leader.submit(Request(f"{self.id}-{self._count}", CancelOrder(order.number)))
        answer.addBoth(self._cancelled)

    def _cancelled(self, answer: Answer | Failure) -> None:
        self._under_way -= 1
        if isinstance(answer, Failure):
            answer.trap(Unavailable, OutcomeUnknown)
        elif isinstance(answer.outcome, Done):
            order = answer.outcome.order
            assert order is not None
            assert order.status is OrderStatus.CANCELLED
            self._world.reads.acknowledge(answer.outcome.index)
            self._world.orders.cancelled(order.number)

    def _adjust(self) -> None:
        """A command without a key: only its request id keeps it from being carried out twice."""
        delta = self._world.kites.next_delta(self.kite)
        if delta is not None:
            self._under_way += 1
            answer = self.leader.submit(Request(f"{self.kite}/{delta}", AdjustStock(self.kite, delta, False)))
            answer.addBoth(self._adjusted, delta)

    def _adjusted(self, answer: Answer | Failure, delta: int) -> None:
        self._under_way -= 1
        if not isinstance(answer, Failure):
            self._world.kites.told(self.kite, delta, isinstance(answer.outcome, Done))
            self._world.reads.acknowledge(answer.index)
        elif not answer.check(OutcomeUnknown):
            answer.trap(Unavailable)
            self._world.kites.told(self.kite, delta, False)

    def _change_its_mind(self, order: Order) -> None:
        """Another body under a known key: that is refused, and changes nothing."""
        self._count += 1
        self._under_way += 1
        line = order.lines[0]
        other = PlaceOrder(order.side.value, (Line(line.name, line.quantity + 1),), order.key)
        self.leader.submit(Request(f"{self.id}-{self._count}", other)).addBoth(self._reused, order)

    def _reused(self, answer: Answer | Failure, order: Order) -> None:
        self._under_way -= 1
        if isinstance(answer, Failure):
            answer.trap(Unavailable, OutcomeUnknown)
        elif not (isinstance(answer.outcome, Refused) and answer.outcome.refusal is Refusal.KEY_REUSED):
            self._world.violate(f"another body under the key of order {order.number} was answered with {answer.outcome}")

    # Reads

    def _whom_to_ask(self) -> Connection:
        """Most often the leader, as far as is known; but whoever answers must answer right."""
        anyone, known = self._random.choice(self._connections), self.leader.search.leader
        if self._random.random() < 0.3 or known is None:
            return anyone
        return next(connection for connection in self._connections if connection.node == known.node)

    def _read(self, connection: Connection) -> None:
        floor = self._world.reads.acknowledged
        read = connection.read_linearizable(lambda reader: reader.applied())
        read.addTimeout(DEADLINE, self._world.clock)
        read.addCallbacks(self._has_read, self._has_not_read, (connection.node, floor))

    def _has_read(self, read: Any, node: str, floor: int) -> None:
        self._world.tally["reads"] += 1
        self._world.check(self._world.reads.answered, node, read[1].index, floor)

    def _has_not_read(self, failure: Failure) -> None:
        failure.trap(NotLeader, Unreachable, Broken, TimedOut)
        self._world.tally["lost reads"] += 1
