"""Steps in which customers speak to the store, each in the dialect of the drill."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from toystore.drills.scene import LOOK_SECONDS, CouldNotTell, Order, Scene, Seen
from toystore.shop.connection import Answered
from toystore.shop.dialects import DIALECTS, Ask, BadReply, Promised
from toystore.shop.shopper import Habits, Shopper

FRONT = "front-1"
REFUSED = "refused"
HABITS = Habits(iterations=None, probability=0.5, quantity=(1, 2), pause=0.02)
"""Of the customer who goes on all the time: gentle enough that nothing is sold out before the drill is over."""


@frozen
class Case:
    """One order of a client run, and the number that it gets (None: it is refused)."""

    side: str
    quantity: int
    name: str
    gets: int | None

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.name}"


@frozen
class ClientRun:
    """Orders, one after the other, over one connection."""

    cases: Sequence[Case]
    title: str = "client run"

    @property
    def expected(self) -> str:
        return "; ".join(f"{case}: {_told(case)}" for case in self.cases)

    async def play(self, scene: Scene) -> Seen:
        told = [await place(scene, case) for case in self.cases]
        text = "; ".join(f"{case}: {seen}" for case, seen in zip(self.cases, told, strict=True))
        return Seen(text, told == [_told(case) for case in self.cases])


@frozen
class KilledInFlight:
    """Kill the leader while an order is on its way to it."""

    leader: str
    case: Case

    @property
    def title(self) -> str:
        return f"{self.leader}, which leads, is killed while a POST is in flight"

    @property
    def expected(self) -> str:
        return f"{self.case}: client gets its number, {_told(self.case)}"

    async def play(self, scene: Scene) -> Seen:
        """The leader is stopped in its tracks first, so that the request, once it has been sent, surely waits there."""
        await scene.stage.carry_out("pause", self.leader)
        answer = Deferred.fromCoroutine(place(scene, self.case))
        await self._sent(scene, answer)
        await scene.stage.carry_out("kill", self.leader)
        scene.down.append(self.leader)
        told = await answer
        return Seen(f"{self.case}: {told}", told == _told(self.case))

    async def _sent(self, scene: Scene, answer: Deferred[str]) -> None:
        """Wait until the front end has sent it to the leader. Raises CouldNotTell where it is not in flight."""
        clock, deadline = scene.stage.clock, scene.stage.clock.seconds() + scene.stage.patience
        while not answer.called and clock.seconds() < deadline:
            status = await scene.stage.ask(FRONT, "/status")
            sent = status and status["commands_under_way"] and status["leader"] == self.leader
            if sent and not answer.called:
                return
            await deferLater(clock, LOOK_SECONDS / 10)
        raise CouldNotTell(f"the POST was not in flight: {self.leader} could not be killed meanwhile")


@frozen
class Asks:
    """A request that has an answer of its own; `order` is what the store acknowledges by it, where it tells no number."""

    title: str
    path: str
    answer: Any
    order: Order | None = None

    @property
    def expected(self) -> str:
        return f"GET {self.path}: {json.dumps(self.answer)}"

    async def play(self, scene: Scene) -> Seen:
        answered = await scene.customer.send(Ask(self.path))
        if answered.reply is None:
            return Seen(f"GET {self.path}: {_unanswered(answered)}", False)
        try:
            told = answered.reply.json()
        except BadReply as bad:
            return Seen(f"GET {self.path}: {bad}", False)
        holds = answered.reply.status == 200 and told == self.answer
        if holds and self.order is not None:
            scene.orders.append(self.order)
        status = "" if answered.reply.status == 200 else f"{answered.reply.status} "
        return Seen(f"GET {self.path}: {status}{json.dumps(told)}", holds)


@frozen
class ClientBegins:
    """A customer who looks, buys and looks again until `ClientEnds`."""

    title: str = "the client begins, and runs all the time"
    expected: str = "its first orders are acknowledged"

    async def play(self, scene: Scene) -> Seen:
        dialect = DIALECTS[scene.shop.dialect]
        scene.shopper = Shopper(scene.stage.clock, scene.customer, dialect, dialect.known, Random(1), scene.tally)
        scene.shopping = Deferred.fromCoroutine(scene.shopper.shop(HABITS))
        return await _more_orders(scene)


@frozen
class ClientGoesOn:
    """See that the customer is served."""

    title: str = "the client goes on"
    expected: str = "more of its orders are acknowledged"

    async def play(self, scene: Scene) -> Seen:
        return await _more_orders(scene)


@frozen
class ClientEnds:
    """The customer leaves, and tells what it saw."""

    title: str = "the client ends"
    expected: str = "nothing was visible to it: none of its requests failed or was refused"

    async def play(self, scene: Scene) -> Seen:
        shopper, shopping, tally = scene.shopper, scene.shopping, scene.tally
        assert shopper is not None, "the client has begun"
        assert shopping is not None, "the client has begun"
        shopper.leave()
        await shopping
        scene.orders += [acknowledged(promised) for promised in shopper.promised]
        troubles = [f"{tally.total(outcome)} {word}" for outcome, word in TROUBLES.items() if tally.total(outcome)]
        troubles += shopper.odd
        told = ", ".join(troubles) or "none failed or was refused"
        text = f"of {tally.total()} requests, {tally.orders} of them orders, {told}; longest wait {tally.longest:.2f} s"
        return Seen(text, not troubles)


TROUBLES = {
    "4xx": "were refused",
    "5xx": "got an error of the store",
    "reset": "broke off",
    "timeout": "had no answer in time",
    "unreachable": "found nobody",
}
"""What a customer would see, by the outcomes of `shop.tally`."""


async def _more_orders(scene: Scene, count: int = 3) -> Seen:
    """So many more than now."""
    before = scene.tally.orders

    async def look() -> Seen:
        more = scene.tally.orders - before
        return Seen(f"{more} more orders, {scene.tally.orders} in all", more >= count)

    return await scene.until(look)


async def place(scene: Scene, case: Case) -> str:
    """Send the order, once: its number, `refused`, or what went wrong."""
    dialect = DIALECTS[scene.shop.dialect]
    answered = await scene.customer.send(dialect.place(case.name, case.quantity, case.side))
    reply = answered.reply
    if reply is None:
        return _unanswered(answered)
    try:
        if answered.outcome == "4xx" or (answered.outcome == "2xx" and dialect.refuses(reply)):
            return REFUSED
        if answered.outcome != "2xx":
            return f"the store answers {reply.status}"
        number = dialect.number(reply)
    except (BadReply, ValueError) as error:
        return f"an odd reply: {error}"
    order = acknowledged(Promised(number, case.name, case.quantity, case.side))
    scene.orders.append(order)
    return str(order.number)


def acknowledged(promised: Promised) -> Order:
    assert promised.number is not None, "orders have numbers in this dialect"
    return Order(promised.number, promised.name, promised.quantity, promised.side)


def _unanswered(answered: Answered) -> str:
    return f"no answer ({answered.outcome} after {answered.seconds:.1f} s)"


def _told(case: Case) -> str:
    return REFUSED if case.gets is None else str(case.gets)
