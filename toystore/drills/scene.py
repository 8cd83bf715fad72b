"""What a drill is made of, and what it is played on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from toystore.commands.status import Status
from toystore.commands.verify import Findings
from toystore.shop.shopper import Sender, Shopper
from toystore.shop.tally import Tally

LOOK_SECONDS = 0.05
"""Between two looks at what has not come yet."""


class CouldNotTell(Exception):
    """The drill says nothing of the store: it could not be played as it is written."""


@frozen
class Seen:
    """What came of a step, in words, and whether that `holds` what was expected."""

    text: str
    holds: bool


@frozen
class Order:
    """An order as the store acknowledged it, and as it tells of it later; `side` is buy or sell."""

    number: int
    name: str
    quantity: int
    side: str = "buy"

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.name}"


@frozen
class Shop:
    """Where a drill plays: the dialect of its customers, who see order 0 of the ledger as `first`, and may be another
    one in which they ask for orders; and the file that each order replica keeps, `{id}` in its path standing for the id
    of the replica, with the products by number where it names none."""

    dialect: str
    first: int
    format: str
    path: str
    asked_in: str | None = None
    products: Sequence[str] = ()


class Stage(Protocol):
    """A cluster to break things on. `patience` is how long, in seconds, anything may take to become as expected."""

    clock: Any
    patience: float

    @property
    def deaths(self) -> Sequence[str]:
        """Of processes that nobody has killed, in words."""

    async def start(self, without: Sequence[str]) -> Seen:
        """All nodes but these; holds when all of them serve. Raises CouldNotTell where one can not even run."""

    async def carry_out(self, verb: str, node: str) -> None:
        """kill, start or pause a node. Raises CouldNotTell."""

    async def status(self) -> Status:
        """What `toystore status` shows."""

    async def ask(self, node: str, path: str) -> Any:
        """The decoded JSON of a page of the node itself; None where there is no such answer."""

    def connect(self, dialect: str) -> Sender:
        """A customer's connection to the front end."""

    def file(self, order: int) -> bytes | None:
        """The file that the order replica with this id keeps; None where there is none."""

    async def examine(self) -> Findings:
        """What `toystore verify` finds."""


@define
class Scene:
    """A drill under way. `orders` are those that the store has acknowledged; `down` are the nodes that are down on
    purpose; `shopper` is a customer who goes on by itself, `shopping` while it does, and `tally` what it sees."""

    stage: Stage
    shop: Shop
    customer: Sender
    orders: list[Order] = field(factory=list)
    down: list[str] = field(factory=list)
    shopper: Shopper | None = None
    tally: Tally = field(factory=Tally)
    shopping: Deferred[None] | None = None

    def in_order(self) -> list[Order]:
        """What was acknowledged, by number."""
        return sorted(self.orders, key=lambda order: order.number)

    async def until(self, look: Callable[[], Awaitable[Seen]]) -> Seen:
        """The first look that holds, or the last one, when patience is over."""
        clock, deadline = self.stage.clock, self.stage.clock.seconds() + self.stage.patience
        while True:
            seen = await look()
            if seen.holds or clock.seconds() >= deadline:
                return seen
            await deferLater(clock, LOOK_SECONDS)


class Step(Protocol):
    """One line of a script. `title` says what is done, `expected` what should come of it."""

    @property
    def title(self) -> str: ...

    @property
    def expected(self) -> str: ...

    async def play(self, scene: Scene) -> Seen:
        """Do it. Raises CouldNotTell."""


@frozen
class Drill:
    """A script: `row` are the words of the row that it plays; `preference` is the cluster's leader_preference."""

    name: str
    row: str
    shop: Shop
    steps: Sequence[Step]
    preference: str = "sticky"
