"""The shopper of row B1: looks at a random product, orders it with probability p (to buy it, or at random to buy or to
sell it where the dialect has both: row B3), and trusts nobody at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Protocol, TypeVar

from attrs import frozen
from twisted.internet.task import deferLater

from toystore.shop.connection import Answered
from toystore.shop.dialects import Ask, BadReply, Dialect, Promised, Reply
from toystore.shop.events import Answer, Checked, Looked, Placed, Placing, Tell, tell_nobody
from toystore.shop.tally import Tally
from toystore.shop.verdict import Verdict

T = TypeVar("T")

BREATH = 0.2
"""Seconds that a shopper waits after a request that was not answered, before the next one."""

VERIFY_ROUNDS = 3
"""How often an order is asked for at the end, where the store does not answer."""


class Sender(Protocol):
    """What `connection.Connection` does; a fake in tests."""

    async def send(self, ask: Ask) -> Answered: ...


@frozen
class Habits:
    """How to shop: `iterations` each (None: until told to stop), buying with `probability` a `quantity` in
    this range, both ends included; a `pause` in seconds between iterations makes a gentle customer; `check_at_once`
    asks for each order right after it was promised, instead of at the end."""

    iterations: int | None = 50
    probability: float = 0.4
    quantity: tuple[int, int] = (1, 10)
    pause: float = 0.0
    check_at_once: bool = False


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
        tell: Tell = tell_nobody,
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
        self._tell = tell
        self._early = Verdict(0, [], [])
        self._unchecked: list[Promised] = []
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
        """Ask for every promised order that was not asked for at once, and compare; those that get no answer are asked
        for again, a few times."""
        verdict = Verdict(self._early.verified, [*self.odd, *self._early.wrong], [])
        missing = self._unchecked
        for _ in range(VERIFY_ROUNDS):
            missing = [order for order in missing if not await self._check(order, verdict)]
            if not missing:
                break
        verdict.unanswered = [order.number for order in missing]
        return verdict

    async def _iteration(self, habits: Habits) -> None:
        name = self._random.choice(self._names)
        if await self._look(name) <= 0 or self._random.random() >= habits.probability:
            return
        quantity = self._random.randint(*habits.quantity)
        promised = await self._order(name, min(quantity, self._dialect.largest or quantity))
        if promised is None:
            return
        self.promised.append(promised)
        self._tally.orders += 1
        by_number = self._dialect.log is None
        if by_number and not (habits.check_at_once and await self._check(promised, self._early)):
            self._unchecked.append(promised)

    async def _look(self, name: str) -> int:
        """The stock of the product; 0 where the store does not say."""
        reply = await self._send("lookup", self._dialect.look(name))
        if reply is None:
            return 0
        self._tell(Looked(name, reply.body))
        return self._read(self._dialect.quantity, reply, 0)

    async def _order(self, name: str, quantity: int) -> Promised | None:
        """What the store promised; None where it did not."""
        side = self._random.choice(self._dialect.sides)
        self._tell(Placing(name, quantity, side))
        reply = await self._send("buy", self._dialect.place(name, quantity, side))
        if reply is None:
            return None
        promised = self._read(lambda said: Promised(self._dialect.number(said), name, quantity, side), reply, None)
        if promised is not None:
            self._tell(Placed(promised, reply.body))
        return promised

    async def _check(self, promised: Promised, verdict: Verdict) -> bool:
        """False where there was no answer that could be judged."""
        assert promised.number is not None, "it is asked for by its number"
        answer = await self._sender.send(self._dialect.query(promised.number))
        self._count("order query", answer.outcome, answer.seconds)
        if answer.reply is None or answer.outcome == "5xx":
            await deferLater(self._reactor, BREATH)
            return False
        fault = self._fault(promised, answer.reply)
        if fault is None:
            verdict.verified += 1
        else:
            verdict.wrong.append(fault)
        self._tell(Checked(promised, fault))
        return True

    def _fault(self, promised: Promised, reply: Reply) -> str | None:
        """What is wrong with the store's word on an order."""
        if reply.status // 100 != 2:
            return f"order {promised.number} was promised, and asking for it gives {reply.status}"
        try:
            told = self._dialect.order(reply)
        except (BadReply, ValueError) as error:
            return f"order {promised.number}: {error}"
        return None if told == promised else f"order {promised.number} was promised as {promised}, and is {told}"

    async def _send(self, kind: str, ask: Ask) -> Reply | None:
        """The reply where it is a 2xx and no refusal; whatever came is counted, a refusal as a 4xx."""
        answer = await self._sender.send(ask)
        outcome = "4xx" if self._refused(answer) else answer.outcome
        self._count(kind, outcome, answer.seconds)
        if outcome not in ("2xx", "4xx"):
            await deferLater(self._reactor, BREATH)
        return answer.reply if outcome == "2xx" else None

    def _count(self, kind: str, outcome: str, seconds: float) -> None:
        self._tally.count(kind, outcome, seconds)
        self._tell(Answer(kind, self._reactor.seconds() - seconds, outcome, seconds))

    def _refused(self, answer: Answered) -> bool:
        if answer.reply is None or answer.outcome != "2xx":
            return False
        try:
            return self._dialect.refuses(answer.reply)
        except BadReply:
            return False  # what is odd about it is told where it is read

    def _read(self, reading: Callable[[Reply], T], reply: Reply, otherwise: T) -> T:
        try:
            return reading(reply)
        except (BadReply, ValueError) as error:
            self.odd.append(f"an odd reply: {error}")
            return otherwise
