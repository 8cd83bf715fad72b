"""Steps that end and start nodes, and look at who leads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from attrs import frozen
from twisted.internet.task import deferLater

from toystore.commands.status import Status
from toystore.drills.scene import Scene, Seen

STEADY_SECONDS = 1.5
"""Well over the time that a leader takes to hand over."""


@frozen
class Start:
    """Start the cluster, some nodes of it dead on arrival."""

    leader: str
    without: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return "start" + (f", {listed(self.without)} dead on arrival" if self.without else "")

    @property
    def expected(self) -> str:
        return f"all serve, the shelves are filled, {self.leader} leads, and all know it"

    async def play(self, scene: Scene) -> Seen:
        scene.down += self.without
        seen = await scene.stage.start(self.without)
        if seen.holds:
            seen = await scene.until(lambda: _stocked(scene))
        return await _leads(scene, self.leader, f"{seen.text}, ") if seen.holds else seen


@frozen
class Kill:
    """End a node with SIGKILL."""

    node: str

    @property
    def title(self) -> str:
        return f"kill {self.node}"

    @property
    def expected(self) -> str:
        return f"{self.node} is down"

    async def play(self, scene: Scene) -> Seen:
        await scene.stage.carry_out("kill", self.node)
        scene.down.append(self.node)

        async def look() -> Seen:
            state = row_of(await scene.stage.status(), self.node)["state"]
            return Seen(f"{self.node} is {state}", state == "down")

        return await scene.until(look)


@frozen
class Restart:
    """Start a node again, and wait until it holds what the others hold."""

    node: str

    @property
    def title(self) -> str:
        return f"restart {self.node}"

    @property
    def expected(self) -> str:
        return f"{self.node} is in sync, with all that has been committed"

    async def play(self, scene: Scene) -> Seen:
        await scene.stage.carry_out("start", self.node)
        scene.down.remove(self.node)

        async def look() -> Seen:
            return in_sync(await scene.stage.status(), self.node)

        return await scene.until(look)


@frozen
class Leads:
    """Look who leads, without any request of a customer."""

    leader: str
    title: str

    @property
    def expected(self) -> str:
        return f"{self.leader} leads, and all know it"

    async def play(self, scene: Scene) -> Seen:
        return await _leads(scene, self.leader)


@frozen
class Stays:
    """See that the lead does not change, as it would if it were given back."""

    leader: str
    title: str

    @property
    def expected(self) -> str:
        return f"{self.leader} leads, and all know it; {STEADY_SECONDS:g} s later it leads in the same term"

    async def play(self, scene: Scene) -> Seen:
        before = await _leads(scene, self.leader)
        if not before.holds:
            return before
        term = await self._term(scene)
        await deferLater(scene.stage.clock, STEADY_SECONDS)
        after = await _leads(scene, self.leader)
        if not after.holds:
            return Seen(f"{self.leader} led; {STEADY_SECONDS:g} s later {after.text}", False)
        later = await self._term(scene)
        return Seen(f"{before.text}, in term {term}; {STEADY_SECONDS:g} s later in term {later}", term == later)

    async def _term(self, scene: Scene) -> int | None:
        term: int | None = row_of(await scene.stage.status(), self.leader)["term"]
        return term


@frozen
class Serves:
    """Ask one catalog itself for a product; its price is in minor units."""

    title: str
    node: str
    name: str
    price: int
    quantity: int

    @property
    def expected(self) -> str:
        return f"{self.node} itself tells price {self.price}, quantity {self.quantity} of {self.name!r}"

    async def play(self, scene: Scene) -> Seen:
        async def look() -> Seen:
            answer = await scene.stage.ask(self.node, f"/products/{quote(self.name, safe='')}")
            product = answer and answer.get("value")
            if not product:
                return Seen(f"{self.node} itself has no answer", False)
            told = f"price {product['price']}, quantity {product['quantity']} of {product['name']!r}"
            holds = (product["price"], product["quantity"]) == (self.price, self.quantity)
            return Seen(f"{self.node} itself tells {told}", holds)

        return await scene.until(look)


def in_sync(status: Status, node: str) -> Seen:
    """Whether a replica counts, and has applied as much as the leader has committed."""
    row, leader = row_of(status, node), status["leader"]
    if leader is None:
        return Seen(f"{node} is {row['state']}; nobody leads", False)
    committed, applied = row_of(status, leader)["commit_index"], row["applied_index"]
    if not row["in_sync"]:
        return Seen(f"{node} is {row['state']}, and not in sync", False)
    if applied is None or applied < committed:
        return Seen(f"{node} has applied {applied} of {committed}", False)
    return Seen(f"{node} is in sync, with all that has been committed, up to index {applied}", True)


async def _stocked(scene: Scene) -> Seen:
    """Whether the catalogs have something to sell: the first leader loads it shortly after all nodes are ready."""
    rows = [row for row in (await scene.stage.status())["nodes"] if row["role"] == "catalog"]
    pages = {row["name"]: await scene.stage.ask(row["name"], "/products?limit=1") for row in rows}
    empty = [name for name, page in pages.items() if not (page and page["value"])]
    if empty:
        return Seen(f"all serve, nothing is on the shelves of {listed(empty)}", False)
    return Seen("all serve, the shelves are filled", True)


async def _leads(scene: Scene, leader: str, before: str = "") -> Seen:
    """Whether this one leads, and every node that is not down on purpose says so."""

    async def look() -> Seen:
        status = await scene.stage.status()
        rows = [row for row in status["nodes"] if row["name"] not in scene.down]
        others = [f"{row['name']} {_names(row)}" for row in rows if row["leader"] != leader]
        if status["leader"] != leader or others:
            leads = f"{status['leader']} leads" if status["leader"] else "nobody leads"
            return Seen(before + ", ".join([leads, *others]), False)
        return Seen(f"{before}{leader} leads, and all know it", True)

    return await scene.until(look)


def _names(row: dict[str, Any]) -> str:
    if row["state"] == "down":
        return "is down"
    return f"names {row['leader']}" if row["leader"] else "knows of no leader"


def row_of(status: Status, node: str) -> dict[str, Any]:
    """What a node says of itself."""
    found: dict[str, Any] = next(row for row in status["nodes"] if row["name"] == node)
    return found


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
