"""The front end that appoints: its loop over disk and network, and what it answers to operators."""

from __future__ import annotations

import json
from typing import Any

import pytest
from treq import content
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from toystore.consensus.messages import Message, Ping, Standing
from toystore.consensus.register import RegisterConfig
from toystore.consensus.views import NO_CLAIM, Claim, View
from toystore.frontend.appointer import Appointer
from toystore.frontend.view_routes import ERRORS, add_view_routes
from toystore.replication.loopback import Loopback
from toystore.storage.interface import DiskFull, StorageError
from toystore.storage.views import MemoryViewStore
from toystore.web.agent import Body
from toystore.web.answers import HotPaths, json_app

REPLICAS = ("order-1", "order-2", "order-3")


class World:
    """An appointer, and three replicas that answer its pings as `standings` says (a name that is missing: not at all)."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.network = Loopback(self.clock)
        self.store = MemoryViewStore()
        self.failures: list[Failure] = []
        self.pings: list[Ping] = []
        self.views: dict[str, View | None] = dict.fromkeys(REPLICAS)
        self.promised: dict[str, Claim] = dict.fromkeys(REPLICAS, NO_CLAIM)
        self.alive = set(REPLICAS)
        for replica in REPLICAS:
            self.network.transport(replica).attach(Replica(self, replica))
        config = RegisterConfig("front-1", REPLICAS, REPLICAS)
        self.appointer = Appointer(
            config,
            self.store,
            self.network.transport("front-1"),
            self.clock,
            lambda: "R",
            0,
            self.failures.append,
        )
        ensureDeferred(self.appointer.start())
        root = HotPaths(json_app(), ERRORS)
        add_view_routes(root, self.appointer)
        self.agent = RequestTraversalAgent(root)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 1000)):
            self.clock.advance(0.001)

    def ask(self, method: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else Body(json.dumps(body).encode())
        answers: list[Any] = []
        asked = self.agent.request(method.encode(), b"http://127.0.0.1/views", None, data)
        asked.addCallback(lambda response: content(response).addCallback(lambda c: answers.append((response.code, c))))
        for _ in range(10):
            self.agent.flush()
            self.run(0.005)
        [(code, found)] = answers
        return code, json.loads(found)


class Replica:
    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name

    def receive(self, messages: Any) -> Deferred[None]:
        world = self.world
        for ping in messages:
            world.pings.append(ping)
            if self.name not in world.alive:
                continue
            if ping.view is not None:
                world.views[self.name] = ping.view
            view = world.views[self.name]
            term, leads = (0, False) if view is None else (view.epoch, view.leader == self.name)
            world.promised[self.name] = max(world.promised[self.name], ping.claim)
            uuid, promised = f"u{self.name[-1]}", world.promised[self.name]
            answer: Message = Standing(self.name, "front-1", term, uuid, ping.seq, view, leads, True, view is None, promised)
            world.network.carry(answer)
        return Deferred()

    def unreachable(self, peer: str, gone: bool) -> None:
        raise AssertionError("nothing is sent to one that is not there")


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.row("E1", "E5")
def test_the_first_view_names_the_highest_and_is_told_to_all(world: World) -> None:
    world.run(0.2)
    assert world.store.view == View("R", 0, 1, 1, "order-3", {f"order-{n}": f"u{n}" for n in (1, 2, 3)})
    assert all(view == world.store.view for view in world.views.values())


def test_nobody_is_told_of_a_view_that_is_not_stored(world: World) -> None:
    held: list[Any] = []
    world.store = MemoryViewStore(lambda write, tell: held.append((write, tell)))
    world.appointer._store = world.store
    world.run(0.2)
    [(write, tell)] = held
    assert all(ping.view is None for ping in world.pings)
    write()
    tell()
    world.run(0.05)
    assert world.views["order-1"] == world.store.view


def test_a_full_disk_is_tried_again(world: World) -> None:
    world.store.failing = DiskFull
    world.run(0.5)
    assert world.store.view is None
    world.store.failing = None
    world.run(1.1)
    assert world.views["order-1"] == world.store.view is not None


def test_a_broken_disk_ends_the_process(world: World) -> None:
    world.store.failing = StorageError
    world.run(0.2)
    [failure] = world.failures
    assert failure.check(StorageError)
    told = len(world.pings)
    world.run(1.0)
    assert len(world.pings) == told, "nothing is said any more"


class TestWhatAnOperatorMayAsk:
    def test_the_present_view(self, world: World) -> None:
        world.alive.discard("order-2")
        world.run(0.2)
        code, told = world.ask("GET")
        assert (code, told) == (200, {"view": None, "waits_for": "waiting for the first answer of order-2"})
        world.alive.add("order-2")
        world.run(0.2)
        code, told = world.ask("GET")
        assert (told["view"]["leader"], told["waits_for"]) == ("order-3", "")

    def test_another_leader(self, world: World) -> None:
        world.run(0.2)
        code, told = world.ask("POST", {"leader": "order-1"})
        assert code == 200
        assert (told["view"]["leader"], told["view"]["version"], told["view"]["epoch"]) == ("order-1", 2, 2)
        assert world.store.view is not None
        assert world.store.view.leader == "order-1"

    @pytest.mark.parametrize(
        ("body", "code", "says"),
        [
            ({"leader": "order-9"}, 409, "there is no order replica 'order-9'; there are order-1, order-2, order-3"),
            ({"leader": "order-3"}, 409, "order-3 leads already"),
            ({"leader": "order-1", "accept_loss": True}, 409, "nothing need be lost"),
            ({"leader": 3}, 400, "expected"),
            ({"leader": "order-1", "accept_loss": "yes"}, 400, "expected"),
            ({"leader": "order-1", "accept_losses": True}, 400, "expected"),
            ([], 400, "must be a JSON object"),
        ],
    )
    def test_what_is_refused_changes_nothing(self, world: World, body: Any, code: int, says: str) -> None:
        world.run(0.2)
        before = world.store.view
        answered, told = world.ask("POST", body)
        assert answered == code
        assert says in told["detail"]
        assert world.store.view == before
