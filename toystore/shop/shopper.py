"""The shopper of row B1: looks at a random product, orders it with probability p (to buy it, or at random to buy or to
sell it where the dialect has both: row B3), and trusts nobody at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Protocol

from attrs import define, frozen
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater

from toystore.shop.connection import Answered
from toystore.shop.dialects import Ask, BadReply, Dialect, Promised, Reply
from toystore.shop.tally import Tally

BREATH = 0.2
"""Seconds that a shopper waits after a request that was not answered, before the next one."""

VERIFY_ROUNDS = 3
"""How often an order is asked for at the end, where the store does not answer."""

LISTED_AT_MOST = 10_000
"""Product names that are read for the choice."""


class Sender(Protocol):
    """What `connection.Connection` does; a fake in tests."""

    async def send(self, ask: Ask) -> Answered: ...


class NoProducts(Exception):
    """The store can not be asked what it has, or it has nothing."""


@frozen
class Habits:
    """How to shop: `iterations` each (None: until told to stop), buying with `probability` a `quantity` in
    this range, both ends included; a `pause` in seconds between iterations makes a gentle customer."""

    iterations: int | None = 50
    probability: float = 0.4
    quantity: tuple[int, int] = (1, 10)
    pause: float = 0.0


@define
class Verdict:
    """What asking for every promised order at the end gave. `wrong` has a sentence for each mismatch."""

    verified: int
    wrong: list[str]
    unanswered: list[int]

    @property
    def holds(self) -> bool:
        return not self.wrong and not self.unanswered


class Shopper:
    """One customer. `promised` are the orders that the store has acknowledged to it."""

    def __init__(
        self,
        reactor: Any,
        sender: Sender,
        dialect: Dialect,
        names: Sequence[str],
        random: Random,
        tally: Tally,
    ) -> None:
        self.promised: list[Promised] = []
        self.done = 0
        self.odd: list[str] = []
        self._reactor = reactor
        self._sender = sender
        self._dialect = dialect
        self._names = names
        self._random = random
        self._tally = tally
        self._leaving = False

    def leave(self) -> None:
        """Finish the iteration at hand, and no more."""
        self._leaving = True

    async def shop(self, habits: Habits) -> None:
        """Until the iterations are done or `leave` is called."""
        while not self._leaving and (habits.iterations is None or self.done < habits.iterations):
            await self._iteration(habits)
            self.done += 1
            if habits.pause:
                await deferLater(self._reactor, habits.pause)

    async def verify(self) -> Verdict:
        """Ask for every promised order and compare; those that get no answer are asked for again, a few
        times."""
        verdict = Verdict(0, self.odd, [])
        missing = self.promised
        for _ in range(VERIFY_ROUNDS):
            missing = [order for order in missing if not await self._check(order, verdict)]
            if not missing:
                break
        verdict.unanswered = [order.number for order in missing]
        return verdict

    async def _iteration(self, habits: Habits) -> None:
        name = self._random.choice(self._names)
        reply = await self._send("lookup", self._dialect.look(name))
        stock = 0 if reply is None else self._read(self._dialect.quantity, reply) or 0
        if stock <= 0 or self._random.random() >= habits.probability:
            return
        quantity = self._random.randint(*habits.quantity)
        side = self._random.choice(self._dialect.sides)
        reply = await self._send("buy", self._dialect.place(name, quantity, side))
        number = None if reply is None else self._read(self._dialect.number, reply)
        if number is not None:
            self.promised.append(Promised(number, name, quantity, side))
            self._tally.orders += 1

    async def _check(self, promised: Promised, verdict: Verdict) -> bool:
        """False where there was no answer that could be judged."""
        answer = await self._sender.send(self._dialect.query(promised.number))
        self._tally.count("order query", answer.outcome, answer.seconds)
        if answer.reply is None or answer.outcome == "5xx":
            await deferLater(self._reactor, BREATH)
            return False
        if answer.outcome != "2xx":
            verdict.wrong.append(f"order {promised.number} was promised, and asking for it gives {answer.reply.status}")
            return True
        try:
            told = self._dialect.order(answer.reply)
        except (BadReply, ValueError) as error:
            verdict.wrong.append(f"order {promised.number}: {error}")
            return True
        if told == promised:
            verdict.verified += 1
        else:
            verdict.wrong.append(f"order {promised.number} was promised as {promised}, and is {told}")
        return True

    async def _send(self, kind: str, ask: Ask) -> Reply | None:
        """The reply where it is a 2xx and no refusal; whatever came is counted, a refusal as a 4xx."""
        answer = await self._sender.send(ask)
        outcome = "4xx" if self._refused(answer) else answer.outcome
        self._tally.count(kind, outcome, answer.seconds)
        if outcome not in ("2xx", "4xx"):
            await deferLater(self._reactor, BREATH)
        return answer.reply if outcome == "2xx" else None

    def _refused(self, answer: Answered) -> bool:
        if answer.reply is None or answer.outcome != "2xx":
            return False
        try:
            return self._dialect.refuses(answer.reply)
        except BadReply:
            return False  # what is odd about it is told where it is read

    def _read(self, reading: Callable[[Reply], int], reply: Reply) -> int | None:
        try:
            return reading(reply)
        except (BadReply, ValueError) as error:
            self.odd.append(f"an odd reply: {error}")
            return None


async def product_names(sender: Sender, dialect: Dialect) -> list[str]:
    """What the store lists, at most `LISTED_AT_MOST`; none where the dialect has no list. Raises
    NoProducts."""
    names: list[str] = []
    ask = dialect.names(None)
    while ask is not None and len(names) < LISTED_AT_MOST:
        answer = await sender.send(ask)
        if answer.reply is None or answer.outcome != "2xx":
            said = answer.outcome if answer.reply is None else f"status {answer.reply.status}"
            raise NoProducts(f"the store can not be asked for its products: {said}")
        try:
            page, after = dialect.named(answer.reply)
        except BadReply as error:
            raise NoProducts(f"the store's list of products is odd: {error}") from error
        names += page
        ask = dialect.names(after) if after else None
    return names


class Crowd:
    """Shoppers who go at the same time, one connection each, and what they saw together."""

    def __init__(
        self,
        reactor: Any,
        connect: Callable[[], Sender],
        dialect: Dialect,
        names: Sequence[str],
        clients: int,
        seed: int,
    ) -> None:
        self.tally = Tally()
        self.shoppers = [
            Shopper(reactor, connect(), dialect, names, Random(f"{seed}/{n}"), self.tally) for n in range(clients)
        ]

    @property
    def done(self) -> int:
        """Iterations, of all together."""
        return sum(shopper.done for shopper in self.shoppers)

    def leave(self) -> None:
        for shopper in self.shoppers:
            shopper.leave()

    async def shop(self, habits: Habits) -> None:
        await self._all(lambda shopper: shopper.shop(habits))

    async def verify(self) -> Verdict:
        verdicts: list[Verdict] = await self._all(lambda shopper: shopper.verify())
        return Verdict(
            sum(verdict.verified for verdict in verdicts),
            [sentence for verdict in verdicts for sentence in verdict.wrong],
            [number for verdict in verdicts for number in verdict.unanswered],
        )

    async def _all(self, doing: Callable[[Shopper], Any]) -> list[Any]:
        running = [Deferred.fromCoroutine(doing(shopper)) for shopper in self.shoppers]
        results = await DeferredList(running, fireOnOneErrback=True, consumeErrors=True)
        return [result for _, result in results]
