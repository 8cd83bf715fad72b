"""Every drill on a pretended cluster: it holds on a healthy one, and differs on one that is broken on purpose, at the
step that a careless store would get wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field

from tests.support.drill_ground import Ground, Replica, Wire, run
from toystore.drills.play import Played, play
from toystore.drills.scene import Drill, Seen, Step
from toystore.drills.scripts import DRILLS
from toystore.model import Request
from toystore.shop.connection import Answered
from toystore.shop.dialects import Ask


@define
class Notes:
    """A teller that writes down."""

    steps: list[tuple[str, Seen]] = field(factory=list)
    played: Played | None = None

    def begins(self, drill: Drill) -> None:
        """Nothing to note."""

    def step(self, number: int, step: Step) -> None:
        assert number == len(self.steps) + 1

    def seen(self, step: Step, seen: Seen, seconds: float) -> None:
        self.steps.append((step.title, seen))

    def ends(self, played: Played) -> None:
        self.played = played


def rehearse(drill: Drill, ground: Ground) -> Notes:
    notes = Notes()
    run(ground.clock, play(drill, ground, notes))
    return notes


@pytest.mark.parametrize("name", DRILLS)
def test_a_drill_holds_on_a_healthy_cluster(name: str, tmp_path: Path) -> None:
    notes = rehearse(DRILLS[name], Ground(DRILLS[name], tmp_path))
    assert notes.played is not None
    assert notes.played.holds, notes.steps[-1]


# Clusters broken on purpose -----------------------------------------------------------------------------------------


class NeverCatchesUp(Ground):
    """A replica that has returned writes no order that it missed."""

    def _returned(self, replica: Replica) -> None:
        super()._returned(replica)
        self.stale = {replica.service.node: replica.file}

    def _written(self, node: str, whole: bytes) -> bytes:
        return getattr(self, "stale", {}).get(node) or whole


class DropsAnOrder(Ground):
    """One replica loses an order on its way to its file."""

    def _written(self, node: str, whole: bytes) -> bytes:
        return whole.replace(b', "1": {"name": "apple", "type": "buy", "quantity": 10}', b"") if node == "order-2" else whole


class NeedsTheHighest(Ground):
    """Nobody leads while the highest is down."""

    def _elect(self) -> None:
        if self.replicas["order-3"].up:
            super()._elect()


class GivesUp(Ground):
    """The front end does not wait for the next leader."""

    def __init__(self, drill: Drill, directory: Path) -> None:
        super().__init__(drill, directory, deadline=0.5)


class SendsAsNew(Ground):
    """The order that was in flight is carried out once more, as another one."""

    def _elect(self) -> None:
        if self.leader is None and self.front.orders[2].batches:
            (request,) = self.front.orders[2].batches[-1]
            self.front.ledger.commit(Request("another", evolve(request.command, key="another")))
        super()._elect()


class StopsAtTheFirstDead(Ground):
    """What can not be copied to 2 is not copied to 1 either."""

    def _written(self, node: str, whole: bytes) -> bytes:
        replica = self.replicas[node]
        return replica.file or whole if node == "order-1" and not self.replicas["order-2"].up else whole


class LosesOrderZero(Ground):
    """A replica that returns asks only for what comes after order 0 (fault 2)."""

    def _returned(self, replica: Replica) -> None:
        super()._returned(replica)
        self.forgetful = replica.service.node

    def _written(self, node: str, whole: bytes) -> bytes:
        first = b'"0": {"name": "gamestop", "type": "sell", "quantity": 10}, '
        return whole.replace(first, b"") if node == getattr(self, "forgetful", "") else whole


class KeepsItsHeir(Ground):
    """The highest does not take over again."""

    def __init__(self, drill: Drill, directory: Path) -> None:
        super().__init__(drill, directory)
        self.preference = "sticky"


class ServesTheOldValue(Ground):
    """A catalog that returns has what it had."""

    def _set_catalog(self, catalog: Any, up: bool) -> None:
        catalog.unreachable, catalog.lags = not up, True


class TakesOverAgain(Ground):
    """The highest leads again as soon as it is back."""

    def __init__(self, drill: Drill, directory: Path) -> None:
        super().__init__(drill, directory)
        self.preference = "highest"


class LeadsForAMoment(Ground):
    """The highest leads for a moment when it is back, and gives the lead back."""

    def _returned(self, replica: Replica) -> None:
        self.clock.callLater(0.5, self._flap, replica.service.node)
        self.clock.callLater(1.0, self._flap, self.leader)

    def _flap(self, leader: str) -> None:
        for name, replica in self.replicas.items():
            replica.service.leads, replica.service.term = name == leader, self.term + 1
        self.leader, self.term = leader, self.term + 1


class ForgetsOldOrders(Ground):
    """An order older than the last change of the leader is not found (fault 3)."""

    def connect(self, dialect: str) -> Wire:
        wire, send = super().connect(dialect), Wire.send

        class Forgetful(Wire):
            async def send(self, ask: Ask) -> Answered:
                return await send(self, Ask("/orders/999") if ask.path == "/orders/0" else ask)

        return Forgetful(wire.calls, wire.clock)


@pytest.mark.parametrize(
    ("name", "broken", "step", "seen"),
    [
        ("X1", NeverCatchesUp, "file of 1 catches up", "file 1: order 4 is missing"),
        ("X1", TakesOverAgain, "2 stays leader", "order-3 leads"),
        ("X2", DropsAnOrder, "three files equal", "file 2: order 1 is buy 10 apple; in the file 2 is sell 10 tesla"),
        ("X3", NeedsTheHighest, "start, order-3 dead on arrival", "no leader"),
        ("X4", GivesUp, "order-3, which leads, is killed while a POST is in flight", "the store answers 504"),
        ("X4", SendsAsNew, "order-3, which leads, is killed while a POST is in flight", "buy 7 ford: 3"),
        ("X5", StopsAtTheFirstDead, "files 1 = 3", "file 1: order 2 is missing"),
        ("X6", LosesOrderZero, "leader killed and restarted: three files equal", "file 3: order 0 is sell 10 gamestop"),
        ("X6", ForgetsOldOrders, "ask for every acknowledged order", "order 0 was acknowledged as sell 10 gamestop"),
        ("X7", GivesUp, "the client ends", "got an error of the store"),
        ("X7", KeepsItsHeir, "the highest takes over again, at once", "order-2 leads"),
        ("X8", ServesTheOldValue, "2 serves the new value", "price 5000, quantity 99"),
        ("X9", NeverCatchesUp, "`databasesync`: 3 fetches what it missed", "file 3: order 3 is missing"),
        ("X9", TakesOverAgain, "3 returns as follower", "order-2 led; 1.5 s later order-3 leads"),
        ("X9", LeadsForAMoment, "3 returns as follower", "order-2 leads, and all know it, in term 2; 1.5 s later in term 4"),
    ],
)
def test_a_drill_differs_on_a_cluster_that_is_broken(
    name: str, broken: type[Ground], step: str, seen: str, tmp_path: Path
) -> None:
    notes = rehearse(DRILLS[name], broken(DRILLS[name], tmp_path))
    assert notes.played is not None
    assert not notes.played.holds
    title, last = notes.steps[-1]
    assert title == step, notes.steps
    assert seen in last.text
    assert not last.holds
