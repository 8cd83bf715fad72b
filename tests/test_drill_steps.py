"""Single steps of drills: what they take for a difference, and what they can not tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.drill_ground import Ground, Wire, run
from toystore.drills.closing import NobodyDied, Verify
from toystore.drills.customers import Asks, Case, ClientRun, KilledInFlight
from toystore.drills.files import Files, Unreadable, read_orders
from toystore.drills.nodes import Kill, Leads, Restart, listed
from toystore.drills.scene import CouldNotTell, Order, Scene, Seen, Shop, Step
from toystore.drills.scripts import BAZAAR, BOOKS, DRILLS, TITLES, TOYS, TRADER
from toystore.shop.connection import Answered
from toystore.shop.dialects import Ask, Reply

# Files --------------------------------------------------------------------------------------------------------------

SOLD = [Order(0, "apple", 10, "sell"), Order(1, "ford", 7, "buy")]


def bazaar_file(*orders: Order) -> bytes:
    return json.dumps(
        {str(one.number): {"name": one.name, "type": one.side, "quantity": one.quantity} for one in orders}
    ).encode()


@pytest.mark.parametrize(
    ("shop", "data", "orders"),
    [
        (TOYS, b"0,Tux,2\r\n1,Fox,7\r\n", [Order(0, "Tux", 2), Order(1, "Fox", 7)]),
        (
            TRADER,
            b"transaction_number,stockname,ordertype,quantity\r\n1,stock3,SELL,25\r\n",
            [Order(0, "stock3", 25, "sell")],
        ),
        (BAZAAR, bazaar_file(*SOLD), SOLD),
        (BAZAAR, b"{}", []),
        (
            BOOKS,
            b"query,field,item_number,value\r\nset_price,price,1,1000\r\nbuy,quantity,2,1\r\n",
            [Order(0, TITLES[1], 1)],
        ),
        (TOYS, None, []),
    ],
)
def test_a_file_tells_its_orders(shop: Shop, data: bytes | None, orders: list[Order]) -> None:
    assert read_orders(shop, data) == orders


@pytest.mark.parametrize("data", [b"{", b"[1]", b'{"x": {}}', b'{"0": {"name": "apple"}}', b"\xff"])
def test_a_file_that_is_none_of_its_format_is_a_difference(data: bytes) -> None:
    with pytest.raises(Unreadable, match="not as bazaar-orders should be"):
        read_orders(BAZAAR, data)


class Shelf(Ground):
    """Its files are what a test says."""

    files: dict[int, bytes | None]

    def file(self, order: int) -> bytes | None:
        return self.files[order]


def compare(directory: Path, hold: dict[int, int | None], **files: bytes | None) -> Seen:
    ground = Shelf(DRILLS["X2"], directory)
    ground.files = {int(name[-1]): data for name, data in files.items()}
    scene = Scene(ground, BAZAAR, ground.connect("bazaar"), orders=list(reversed(SOLD)))
    seen: Seen = run(ground.clock, Files("files", hold).play(scene))
    return seen


def test_files_that_hold_the_same_must_have_the_same_bytes(tmp_path: Path) -> None:
    same, spaced = bazaar_file(*SOLD), bazaar_file(*SOLD).replace(b": ", b":")
    assert compare(tmp_path, {1: 1, 2: 1}, f1=same, f2=same).holds
    seen = compare(tmp_path, {1: 1, 2: 1}, f1=same, f2=spaced)
    assert (seen.holds, "up to order 1, but other bytes: 1 sha256 " in seen.text) == (False, True)


@pytest.mark.parametrize(
    ("data", "last", "fault"),
    [
        (bazaar_file(*SOLD), 0, "order 1 is there too"),
        (bazaar_file(*SOLD), None, "order 0 is there too"),
        (bazaar_file(SOLD[0]), 1, "order 1 is missing"),
        (bazaar_file(SOLD[0], Order(1, "ford", 8, "buy")), 1, "order 1 is buy 7 ford; in the file 1 is buy 8 ford"),
        (bazaar_file(SOLD[0], Order(2, "ford", 7, "buy")), 1, "order 1 is buy 7 ford; in the file 2 is buy 7 ford"),
        (None, 0, "order 0 is missing"),
        (b"[", 1, "not as bazaar-orders should be"),
    ],
)
def test_a_file_holds_exactly_the_acknowledged_orders(
    data: bytes | None, last: int | None, fault: str, tmp_path: Path
) -> None:
    seen = compare(tmp_path, {3: last}, f3=data)
    assert not seen.holds
    assert seen.text.startswith("file 3: ")
    assert fault in seen.text


@pytest.mark.parametrize(("data", "told"), [(b"{}", "file 3: `{}`"), (None, "file 3: absent")])
def test_a_replica_that_never_ran_has_an_empty_file_or_none(data: bytes | None, told: str, tmp_path: Path) -> None:
    assert compare(tmp_path, {3: None}, f3=data) == Seen(told, True)


# Customers ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(DRILLS["X2"], tmp_path)


def after_start(ground: Ground, *steps: Step) -> Seen:
    """What comes of the last step, once the cluster has started."""
    scene = Scene(ground, BAZAAR, ground.connect("bazaar"))

    async def play() -> Seen:
        seen = await DRILLS["X2"].steps[0].play(scene)
        for step in steps:
            seen = await step.play(scene)
        return seen

    seen: Seen = run(ground.clock, play())
    return seen


class Lies(Ground):
    """Its answers are spoiled on their way."""

    spoil: Callable[[Reply], Reply | None]

    def connect(self, dialect: str) -> Wire:
        wire, spoil = super().connect(dialect), self.spoil

        class Proxy(Wire):
            async def send(self, ask: Ask) -> Answered:
                answered = await wire.send(ask)
                assert answered.reply is not None
                reply = spoil(answered.reply)
                return Answered("timeout" if reply is None else f"{reply.status // 100}xx", 15.0, reply)

        return Proxy(wire.calls, wire.clock)


@pytest.mark.parametrize(
    ("spoil", "seen"),
    [
        (lambda reply: None, "buy 7 ford: no answer (timeout after 15.0 s)"),
        (lambda reply: Reply(503, b""), "buy 7 ford: the store answers 503"),
        (lambda reply: Reply(200, b"{}"), "buy 7 ford: an odd reply: "),
        (lambda reply: Reply(200, b'{"data":{"transaction_number":1}}'), "buy 7 ford: 1"),
        (lambda reply: Reply(404, reply.body), "buy 7 ford: refused"),
    ],
)
def test_an_order_that_comes_out_otherwise_is_a_difference(
    spoil: Callable[[Reply], Reply | None], seen: str, tmp_path: Path
) -> None:
    ground = Lies(DRILLS["X2"], tmp_path)
    ground.spoil = spoil
    told = after_start(ground, ClientRun([Case("buy", 7, "ford", 0)]))
    assert not told.holds
    assert told.text.startswith(seen)


def test_an_order_that_should_be_refused_and_is_not_is_a_difference(ground: Ground) -> None:
    assert after_start(ground, ClientRun([Case("buy", 7, "ford", None)])) == Seen("buy 7 ford: 0", False)


@pytest.mark.parametrize(
    ("spoil", "seen"),
    [
        (lambda reply: None, "GET /leader: no answer"),
        (lambda reply: Reply(200, b"<html>"), "GET /leader: status 200, and no JSON"),
        (lambda reply: Reply(503, b"1"), "GET /leader: 503 1"),
        (lambda reply: Reply(200, b"2"), "GET /leader: 2"),
    ],
)
def test_another_answer_is_a_difference(spoil: Callable[[Reply], Reply | None], seen: str, tmp_path: Path) -> None:
    ground = Lies(DRILLS["X2"], tmp_path)
    ground.spoil = spoil
    told = after_start(ground, Asks("who leads?", "/leader", 1))
    assert not told.holds
    assert told.text.startswith(seen)


def test_an_order_that_was_answered_before_the_kill_was_not_in_flight(ground: Ground) -> None:
    """A replica that does not lead is stopped: the order never goes there."""
    with pytest.raises(CouldNotTell, match="the POST was not in flight"):
        after_start(ground, KilledInFlight("order-1", Case("buy", 7, "ford", 0)))


# Nodes --------------------------------------------------------------------------------------------------------------


def test_a_node_that_knows_another_leader_is_a_difference(ground: Ground) -> None:
    told = ground.status

    async def status() -> object:
        answer = await told()
        answer["nodes"][0]["leader"] = "order-2"
        answer["nodes"][3]["leader"] = None
        return answer

    ground.status = status
    seen = after_start(ground)
    assert seen == Seen(
        "all serve, the shelves are filled, order-3 leads, order-1 names order-2, catalog-1 knows of no leader", False
    )


def test_another_leader_is_a_difference(ground: Ground) -> None:
    assert after_start(ground, Leads("order-2", "2 leads")).text.startswith("order-3 leads, order-1 names order-3")


def test_nobody_leads_for_a_while_after_a_kill(ground: Ground) -> None:
    ground.patience = 0.2
    seen = after_start(ground, Kill("order-3"), Leads("order-2", "2 leads"))
    assert seen.text.startswith("nobody leads, order-1 knows of no leader")


@pytest.mark.parametrize(
    ("field", "value", "seen"),
    [
        ("in_sync", False, "order-1 is follower, and not in sync"),
        ("applied_index", 0, "order-1 has applied 0 of "),
        ("applied_index", None, "order-1 has applied None of "),
    ],
)
def test_a_replica_that_lags_has_not_returned(field: str, value: object, seen: str, ground: Ground) -> None:
    told = ground.status

    async def status() -> object:
        answer = await told()
        answer["nodes"][0][field] = value
        return answer

    ground.status = status
    restarted = after_start(ground, Kill("order-1"), Restart("order-1"))
    assert not restarted.holds
    assert restarted.text.startswith(seen)


def test_what_verify_did_not_compare_is_a_difference(tmp_path: Path) -> None:
    ground = Ground(DRILLS["X1"], tmp_path)
    seen = after_start(ground, Verify())  # the files of X1 are not those of the bazaar
    assert seen == Seen("files were not compared", False)


def test_a_process_that_dies_unasked_is_a_difference(ground: Ground) -> None:
    assert after_start(ground, NobodyDied()).holds
    ground.deaths = ["order-2 ended with exit code 70; starting it again in 0.1 s"]
    assert after_start(ground, NobodyDied()) == Seen(ground.deaths[0], False)


def test_a_list_in_words() -> None:
    assert [listed("a"), listed("ab"), listed("abc")] == ["a", "a and b", "a, b and c"]
