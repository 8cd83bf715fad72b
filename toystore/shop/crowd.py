"""Shoppers who go at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from twisted.internet.task import deferLater

from toystore.shop.dialects import Ask, BadReply, Dialect
from toystore.shop.events import Tell, tell_nobody
from toystore.shop.shopper import BREATH, VERIFY_ROUNDS, Habits, Sender, Shopper
from toystore.shop.tally import Tally
from toystore.shop.verdict import Verdict, judge_by_log, sum_up
from toystore.together import together

LISTED_AT_MOST = 10_000
"""Product names that are read for the choice."""


class NoProducts(Exception):
    """The store can not be asked what it has, or it has nothing."""


class NoLog(Exception):
    """The store's log of what was bought, by which orders without numbers are verified, can not be read."""


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
        tell: Tell = tell_nobody,
    ) -> None:
        self.tally = Tally()
        self.shoppers = [
            Shopper(reactor, connect(), dialect, names, Random(f"{seed}/{n}"), self.tally, tell) for n in range(clients)
        ]
        self._reactor = reactor
        self._connect = connect
        self._dialect = dialect
        self._bought_before: Counter[str] | None = None

    @property
    def done(self) -> int:
        """Iterations, of all together."""
        return sum(shopper.done for shopper in self.shoppers)

    def leave(self) -> None:
        for shopper in self.shoppers:
            shopper.leave()

    async def arrive(self) -> None:
        """Read what was bought before, where only that tells later what was bought since; needed before `shop` then.
        Raises NoLog."""
        if self._dialect.log is not None:
            self._bought_before = await self._bought(self._dialect.log)

    async def shop(self, habits: Habits) -> None:
        await together(shopper.shop(habits) for shopper in self.shoppers)

    async def verify(self) -> Verdict:
        """Of all orders that were promised to any of them."""
        verdict = sum_up(await together(shopper.verify() for shopper in self.shoppers))
        if self._dialect.log is None:
            return verdict
        assert self._bought_before is not None, "they have arrived"
        promised = [order for shopper in self.shoppers for order in shopper.promised]
        try:
            after = await self._bought(self._dialect.log)
        except NoLog as error:
            return sum_up([verdict, Verdict(0, [], [order.number for order in promised], [str(error)])])
        return sum_up([verdict, judge_by_log(self._bought_before, after, promised)])

    async def _bought(self, log: Ask) -> Counter[str]:
        """The units of each product that were ever bought. Raises NoLog."""
        sender, said = self._connect(), ""
        for _ in range(VERIFY_ROUNDS):
            answer = await sender.send(log)
            if answer.reply is not None and answer.outcome == "2xx":
                try:
                    return self._dialect.bought(answer.reply)
                except (BadReply, ValueError) as error:
                    raise NoLog(f"the store's log is odd: {error}") from error
            said = answer.outcome
            await deferLater(self._reactor, BREATH)
        raise NoLog(f"the store's log can not be read: {said}")
