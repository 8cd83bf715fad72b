"""Steps with which every drill ends: all return, and everything is compared."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from toystore.drills.customers import acknowledged
from toystore.drills.files import compared
from toystore.drills.nodes import in_sync, listed
from toystore.drills.scene import Order, Scene, Seen, Step
from toystore.shop.connection import Answered
from toystore.shop.dialects import DIALECTS, BadReply, Dialect


@frozen
class AllReturn:
    """Start whatever is down."""

    title: str = "all that are down return"
    expected: str = "every replica is in sync, with all that has been committed"

    async def play(self, scene: Scene) -> Seen:
        returned = list(scene.down)
        for node in returned:
            await scene.stage.carry_out("start", node)
        scene.down.clear()

        async def look() -> Seen:
            status = await scene.stage.status()
            seen = [in_sync(status, row["name"]) for row in status["nodes"] if row["role"] != "front"]
            late = [each.text for each in seen if not each.holds]
            text = f"{listed(returned)} came back; {self.expected}" if returned else f"none was down; {self.expected}"
            return Seen("; ".join(late) or text, not late)

        return await scene.until(look)


@frozen
class AskForOrders:
    """Ask for every order that was acknowledged."""

    title: str = "ask for every acknowledged order"
    expected: str = "each is as it was acknowledged"

    async def play(self, scene: Scene) -> Seen:
        asked_in = scene.shop.asked_in or scene.shop.dialect
        dialect, sender = DIALECTS[asked_in], scene.stage.connect(asked_in)
        orders, wrong = scene.in_order(), []
        for order in orders:
            answered = await sender.send(dialect.query(order.number))
            if (told := _told(dialect, answered)) != order:
                wrong.append(f"order {order.number} was acknowledged as {order}, and is {told}")
        text = f"{len(orders) - len(wrong)} of {len(orders)} are as they were acknowledged"
        return Seen("; ".join([text, *wrong]), bool(orders) and not wrong)


def _told(dialect: Dialect, answered: Answered) -> Order | str:
    """What the store says when it is asked for an order."""
    if answered.reply is None or answered.outcome != "2xx":
        return "not told: " + (answered.outcome if answered.reply is None else f"{answered.reply.status}")
    try:
        return acknowledged(dialect.order(answered.reply))
    except (BadReply, ValueError) as error:
        return f"not told: {error}"


@frozen
class CompareFiles:
    """The files of all order replicas."""

    title: str = "compare the files of all order replicas"
    expected: str = "each holds every acknowledged order and no other; the same bytes"

    async def play(self, scene: Scene) -> Seen:
        rows = (await scene.stage.status())["nodes"]
        ids = [int(row["name"].removeprefix("order-")) for row in rows if row["role"] == "order"]
        last = max((order.number for order in scene.orders), default=None)
        return await compared(scene, dict.fromkeys(ids, last))


@frozen
class Verify:
    """The checks of `toystore verify`."""

    title: str = "toystore verify"
    expected: str = "digests, states, order numbers and files of all replicas agree"

    async def play(self, scene: Scene) -> Seen:
        findings = await scene.stage.examine()
        starts = {"digest": "digests", "state": "states", "orders": "order numbers", scene.shop.format: "files"}
        uncompared = [f"{what} were not compared" for start, what in starts.items() if not _tells(findings.equal, start)]
        troubles = findings.different + findings.unknown or uncompared
        return Seen("; ".join(troubles or [sentence.partition(":")[0] for sentence in findings.equal]), not troubles)


def _tells(sentences: Sequence[str], start: str) -> bool:
    return any(sentence.startswith(f"{start} ") for sentence in sentences)


@frozen
class NobodyDied:
    """All processes live that the drill has not killed."""

    title: str = "look for deaths that the drill did not ask for"
    expected: str = "no process ended by itself"

    async def play(self, scene: Scene) -> Seen:
        deaths = scene.stage.deaths
        return Seen("; ".join(deaths) or self.expected, not deaths)


CLOSING: tuple[Step, ...] = (AllReturn(), AskForOrders(), CompareFiles(), Verify(), NobodyDied())
