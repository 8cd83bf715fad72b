"""A running store to measure: its two front ends, one with a cache and one without, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Any

from attrs import frozen
from twisted.internet.task import deferLater

from toystore.shop.connection import Answered
from toystore.shop.crowd import Crowd, NoLog, NoProducts, product_names
from toystore.shop.dialects import DIALECTS, Ask, BadReply, Reply
from toystore.shop.events import Tell, tell_nobody
from toystore.shop.shopper import Sender
from toystore.shop.sweep.results import Counted, SlotEvent
from toystore.together import together

PUSH_SECONDS = 3.0
"""How long a front end may take to hear of a change."""
POLL_SECONDS = 0.002


class NotMeasured(Exception):
    """The store did not answer as it must for a measurement; the message says what it did."""


@frozen
class Front:
    """`public` is where its customers go, `own` where it tells of itself."""

    name: str
    public: str
    own: str


class Stand:
    """`connect(url)` makes a connection for one customer. Whatever asks the store raises NotMeasured."""

    def __init__(
        self, reactor: Any, connect: Callable[[str], Sender], dialect: str, cached: Front, uncached: Front, catalogs: int
    ) -> None:
        self.reactor = reactor
        self.dialect = DIALECTS[dialect]
        self.cached = cached
        self.uncached = uncached
        self.catalogs = catalogs
        self.names: Sequence[str] = ()
        self._connect = connect
        self._asking = {front.name: connect(front.own) for front in (cached, uncached)}

    async def open(self) -> None:
        """Learn what the store has."""
        try:
            self.names = await product_names(self.customer(self.cached), self.dialect) or self.dialect.known
        except NoProducts as error:
            raise NotMeasured(str(error)) from error

    def front(self, cache: bool) -> Front:
        return self.cached if cache else self.uncached

    def customer(self, front: Front) -> Sender:
        """A connection of one more customer."""
        return self._connect(front.public)

    async def crowd(self, front: Front, clients: int, seed: int, tell: Tell = tell_nobody) -> Crowd:
        """Customers who have arrived."""
        crowd = Crowd(self.reactor, lambda: self.customer(front), self.dialect, self.names, clients, seed, tell)
        try:
            await crowd.arrive()
        except NoLog as error:
            raise NotMeasured(str(error)) from error
        return crowd

    # Requests of customers

    async def ask(self, sender: Sender, ask: Ask) -> tuple[Reply, float]:
        """The reply, which is a yes, and the seconds that it took."""
        answer = await sender.send(ask)
        if answer.outcome != "2xx" or answer.reply is None or self.dialect.refuses(answer.reply):
            raise NotMeasured(f"{ask.path} was answered with {_in_short(answer)}")
        return answer.reply, answer.seconds

    async def bulk(self, front: Front, clients: int, asks: Iterable[Ask]) -> tuple[list[tuple[Reply, float]], float]:
        """All replies with their seconds, in the order in which they came, and the seconds for the whole. Each of the
        customers sends the next request when its last one is answered."""
        waiting: Iterator[Ask] = iter(asks)
        found: list[tuple[Reply, float]] = []

        async def go_on(sender: Sender) -> None:
            for ask in waiting:
                found.append(await self.ask(sender, ask))

        began = self.reactor.seconds()
        await together(go_on(self.customer(front)) for _ in range(clients))
        return found, self.reactor.seconds() - began

    async def buy(self, sender: Sender, name: str) -> float:
        """One unit; the seconds."""
        _, seconds = await self.ask(sender, self.dialect.place(name, 1, "buy"))
        return seconds

    async def look(self, sender: Sender, name: str) -> float:
        """The seconds."""
        _, seconds = await self.ask(sender, self.dialect.look(name))
        return seconds

    def any_name(self, random: Random) -> str:
        return random.choice(self.names)

    # What a front end tells of itself

    async def tell(self, front: Front, path: str) -> Any:
        """The JSON object at this path of its own port."""
        answer = await self._asking[front.name].send(Ask(path))
        try:
            if answer.reply is not None and answer.outcome == "2xx":
                return answer.reply.json()
        except BadReply as error:
            raise NotMeasured(f"{front.name}{path}: {error}") from error
        raise NotMeasured(f"{front.name}{path} was answered with {_in_short(answer)}")

    async def leader(self) -> str | None:
        """The name of the node that leads, as the front end with the cache knows it."""
        name: str | None = (await self.tell(self.cached, "/status"))["leader"]
        return name

    async def counted(self, front: Front) -> Counted:
        """Its lookups so far."""
        cache = (await self.tell(front, "/status"))["cache"]
        return Counted(cache["hits"], cache["misses"])

    async def contents(self, front: Front) -> dict[int, str]:
        """The products in its cache, by slot."""
        return {int(slot): name for slot, name in (await self.tell(front, "/status"))["cache"]["contents"].items()}

    async def last_event(self, front: Front) -> int:
        """The number of the last event of its cache."""
        return int((await self.tell(front, "/cache-events"))["last"])

    async def events(self, front: Front, after: int) -> list[SlotEvent]:
        """What happened to its cache since the event of this number."""
        found: list[SlotEvent] = []
        while page := (await self.tell(front, f"/cache-events?after={after}"))["events"]:
            found += [SlotEvent(**event) for event in page]
            if found[0].number != after + 1 and len(found) == len(page):
                raise NotMeasured(f"{front.name} has forgotten what happened to its cache after event {after}")
            after = found[-1].number
        return found

    async def until_emptied(self, front: Front, after: int) -> None:
        """Until it has heard that a product in its cache has changed."""
        deadline = self.reactor.seconds() + PUSH_SECONDS
        while not any(event.event == "emptied" for event in await self.events(front, after)):
            if self.reactor.seconds() > deadline:
                raise NotMeasured(f"{front.name} has not heard of a change for {PUSH_SECONDS:g} s")
            await deferLater(self.reactor, POLL_SECONDS)

    def number_of(self, reply: Reply) -> int | None:
        """The number of an order, in the reply to it."""
        try:
            return self.dialect.number(reply)
        except (BadReply, ValueError) as error:
            raise NotMeasured(str(error)) from error


def _in_short(answer: Answered) -> str:
    return answer.outcome if answer.reply is None else f"status {answer.reply.status}: {answer.reply.body[:120]!r}"
