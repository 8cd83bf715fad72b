"""A catalog over HTTP: bad input, changes passed on to the leader, the feed and its slow readers."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.support.nodes import CatalogNode, OrderNode
from tests.support.replica import FakeReplica
from toystore.catalog import feed as feeds
from toystore.catalog.feed import MAX_WAITING, PATIENCE, Feed
from toystore.catalog.forward import Forwarder, NoLeader
from toystore.model import CatalogRow, Line, PlaceOrder, Position, Request, SetPrice
from toystore.replication.interface import Answer, NotLeader, Result, Unsure
from toystore.web.answers import INTERNAL_ERRORS
from toystore.web.codec import decode_feed_line, decode_results, encode_batch
from toystore.web.interface import (
    Broken,
    FeedBeat,
    FeedChange,
    FeedLine,
    FeedReset,
    FeedStart,
    Submitted,
    Unreachable,
)
from toystore.web.site import make_site


def price(request_id: str, amount: int = 5) -> Request:
    return Request(request_id, SetPrice("Fox", amount))


def buy(request_id: str) -> Request:
    return Request(request_id, PlaceOrder("buy", (Line("Fox", 1),), request_id))


@pytest.fixture
def node() -> CatalogNode:
    return CatalogNode()


@pytest.mark.fault(12)
@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/products?limit=x", 400, "malformed"),
        ("/products?limit=0", 400, "malformed"),
        ("/products?after=-1", 400, "malformed"),
        ("/products?q=%ff", 400, "malformed"),
        ("/products/Fox?min_index=x", 400, "malformed"),
        ("/products/Fox?min_index=1:2:3", 400, "malformed"),
        ("/products/Fox?min_index=", 400, "malformed"),
        ("/nothing", 404, "not_found"),
    ],
)
def test_bad_input_gets_a_clear_error(node: CatalogNode, path: str, status: int, code: str) -> None:
    answered, told = node.get(path)
    assert (answered, told["error"]) == (status, code)
    assert told["detail"]


def test_health_routes_are_there(node: CatalogNode) -> None:
    assert node.get("/livez") == (200, {"live": True})
    assert node.get("/status")[1]["role"] == "catalog"


@pytest.mark.row("Q10")
def test_the_home_page(node: CatalogNode) -> None:
    answer = node.ask("GET", "/")
    assert (answer.status, answer.headers.getRawHeaders("Content-Type")) == (200, ["text/html; charset=utf-8"])
    assert b"Home Page!" in answer.body


@pytest.mark.parametrize("least", ["1", "0:1"])
def test_both_ways_to_write_a_position(node: CatalogNode, least: str) -> None:
    assert node.get(f"/products/Fox?min_index={least}")[0] == 200


# Changes for the leader -------------------------------------------------------------------------------------


def test_a_change_reaches_the_leader() -> None:
    order = OrderNode()
    node = CatalogNode(order)
    node.replica.leader = "order-1"
    answer = node.ask("POST", "/ledger", encode_batch("toys", "front-1", [price("a")]))
    (result,) = decode_results(answer.body).results
    assert isinstance(result, Answer)
    assert order.get("/products/Fox")[1]["value"]["price"] == 5


def test_orders_do_not_go_through_a_catalog() -> None:
    order = OrderNode()
    answer = CatalogNode(order).ask("POST", "/ledger", encode_batch("toys", "f", [price("a"), buy("b")]))
    assert answer.status == 400
    assert b"does not take place_order" in answer.body
    assert order.replica.submitted == []


def test_another_cluster_is_not_served(node: CatalogNode) -> None:
    answer = node.ask("POST", "/ledger", encode_batch("stocks", "front-1", [price("a")]))
    assert (answer.status, json.loads(answer.body)["error"]) == (400, "malformed")


def test_no_leader(node: CatalogNode) -> None:
    answer = node.ask("POST", "/ledger", encode_batch("toys", "front-1", [price("a")]))
    assert (answer.status, json.loads(answer.body)["error"]) == (503, "no_leader")


class Replies:
    """An order service that answers as told; the last answer is for ever."""

    def __init__(self, node: str, asked: list[str], *answers: Exception | Submitted) -> None:
        self.node, self._asked, self._answers = node, asked, list(answers)

    def submit(self, requests: object) -> Deferred[Submitted]:
        self._asked.append(self.node)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return fail(answer) if isinstance(answer, Exception) else succeed(answer)


DONE = Submitted(3, ())


@pytest.mark.parametrize(
    ("known", "answers", "asked"),
    [
        ("order-2", {"order-1": [NotLeader(None)], "order-2": [DONE]}, ["order-2"]),
        (
            None,
            {"order-1": [NotLeader("order-3")], "order-2": [DONE], "order-3": [DONE]},
            ["order-1", "order-3"],
        ),
        ("order-2", {"order-1": [DONE], "order-2": [Unreachable()]}, ["order-2", "order-1"]),
        ("order-2", {"order-1": [DONE], "order-2": [Broken()]}, ["order-2", "order-1"]),
        ("order-9", {"order-1": [DONE]}, ["order-1"]),
        (
            "order-1",
            {"order-1": [NotLeader("order-2"), DONE], "order-2": [NotLeader("order-1")]},
            ["order-1", "order-2", "order-1"],
        ),
    ],
)
def test_who_is_asked(known: str | None, answers: dict[str, list[Exception | Submitted]], asked: list[str]) -> None:
    replica, seen = FakeReplica(), list[str]()
    replica.leader = known
    services = {name: Replies(name, seen, *said) for name, said in answers.items()}
    submitted = Deferred.fromCoroutine(Forwarder(replica, services).submit([price("a")]))  # type: ignore[arg-type]
    assert (submitted.result, seen) == (DONE, asked)


def test_nobody_is_asked_for_ever() -> None:
    seen: list[str] = []
    services = {
        "order-1": Replies("order-1", seen, NotLeader("order-2")),
        "order-2": Replies("order-2", seen, NotLeader("order-1")),
    }
    submitted = Deferred.fromCoroutine(Forwarder(FakeReplica(), services).submit([price("a")]))  # type: ignore[arg-type]
    submitted.addErrback(lambda failure: failure.check(NoLeader))
    assert (submitted.result, len(seen)) == (NoLeader, 4)


def test_after_a_broken_answer_the_outcome_is_unsure() -> None:
    services = {"order-1": Replies("order-1", [], Broken("reset"))}
    submitted = Deferred.fromCoroutine(Forwarder(FakeReplica(), services).submit([price("a")]))  # type: ignore[arg-type]
    results: tuple[Result, ...] = submitted.result.results  # type: ignore[union-attr]
    assert results == (Unsure("reset"),)


# The feed ---------------------------------------------------------------------------------------------------


class Reader:
    """One front end that follows the feed, byte for byte."""

    def __init__(self, node: CatalogNode) -> None:
        self.node = node
        self.channel = make_site(node.routes.resource(), node.clock, errors=INTERNAL_ERRORS).buildProtocol(None)
        self.transport = StringTransport()
        self.aborted = False
        self.transport.abortConnection = self._abort  # type: ignore[method-assign]
        self.channel.makeConnection(self.transport)
        self.channel.dataReceived(b"GET /changes HTTP/1.1\r\nHost: x\r\n\r\n")

    def _abort(self) -> None:
        self.aborted = True
        self.hang_up()

    def hang_up(self) -> None:
        self.channel.connectionLost(Failure(Broken()))

    def lines(self) -> list[FeedLine]:
        """What has come since the last call."""
        text = self.transport.value()
        self.transport.clear()
        return [decode_feed_line(line) for line in text.split(b"\r\n") if line.startswith(b'{"')]

    def pause(self) -> None:
        self.transport.producer.pauseProducing()

    def resume(self) -> None:
        self.transport.producer.resumeProducing()


@pytest.fixture
def reader(node: CatalogNode) -> Reader:
    node.feed.start()
    found = Reader(node)
    assert found.lines() == [FeedStart(Position(0, 1)), FeedBeat(0.0)]
    return found


@pytest.mark.fault(7)
def test_a_line_for_each_batch_with_the_last_index_that_changed_a_product(reader: Reader) -> None:
    reader.node.replica.commit(buy("a"), price("b"), Request("c", PlaceOrder("buy", (), "c")))
    reader.node.replica.commit(Request("d", PlaceOrder("buy", (), "d")))
    assert reader.lines() == [FeedChange(Position(0, 3), ("Fox",))]


def test_a_line_that_would_name_too_many_is_a_reset(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MAX_NAMES", 0)
    reader.node.replica.commit(buy("a"))
    assert reader.lines() == [FeedReset(Position(0, 2))]


def test_a_heartbeat_every_second(reader: Reader) -> None:
    reader.node.replica.age = 0.5
    for _ in range(3):
        reader.node.clock.advance(1)
    assert reader.lines() == [FeedBeat(0.5)] * 3


def test_a_reader_that_pauses_gets_what_it_missed_but_no_old_heartbeats(reader: Reader) -> None:
    reader.pause()
    reader.node.replica.commit(buy("a"))
    reader.node.clock.advance(2)
    reader.node.replica.commit(price("b"))
    assert reader.lines() == []
    reader.resume()
    assert reader.lines() == [FeedChange(Position(0, 2), ("Fox",)), FeedChange(Position(0, 3), ("Fox",))]
    reader.node.clock.advance(PATIENCE)
    assert not reader.aborted


def test_a_reader_that_misses_too_much_is_told_to_start_again(reader: Reader) -> None:
    reader.pause()
    for number in range(MAX_WAITING + 10):
        reader.node.replica.commit(price(f"p{number}"))
    reader.resume()
    assert reader.lines() == [FeedReset(Position(0, 1 + MAX_WAITING + 10))]
    reader.node.replica.commit(price("again"))
    assert reader.lines() == [FeedChange(Position(0, 2 + MAX_WAITING + 10), ("Fox",))]


def test_a_reader_that_does_not_read_is_hung_up_on(reader: Reader) -> None:
    reader.pause()
    reader.node.clock.advance(PATIENCE)
    assert reader.aborted
    assert len(reader.node.feed) == 0


@pytest.mark.parametrize("before", [lambda reader: None, Reader.pause])
def test_a_reader_that_hangs_up_leaves_nothing(reader: Reader, before: Callable[[Reader], None]) -> None:
    before(reader)
    reader.hang_up()
    assert len(reader.node.feed) == 0
    reader.node.replica.commit(buy("a"))
    reader.node.feed.stop()
    assert reader.node.clock.getDelayedCalls() == []


def test_the_end_of_the_feed_ends_the_streams(reader: Reader) -> None:
    reader.node.feed.stop()
    assert reader.transport.value().endswith(b"0\r\n\r\n")
    reader.node.replica.commit(buy("a"))
    assert len(reader.node.feed) == 0


def test_there_is_a_limit_to_subscribers(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MAX_SUBSCRIBERS", 1)
    status, told = reader.node.get("/changes")
    assert (status, told["error"]) == (503, "feed_full")


def test_asking_for_the_headers_alone_is_no_subscription(node: CatalogNode) -> None:
    assert node.ask("HEAD", "/changes").status == 200
    assert len(node.feed) == 0


def test_the_position_of_a_change_is_of_this_generation() -> None:
    replica = FakeReplica(rows=[CatalogRow("Fox", 1, 1)])
    replica.generation = 4
    told: list[FeedLine] = []
    feed = Feed(replica, Clock())
    feed._tell = told.append  # type: ignore[method-assign]
    feed.start()
    replica.commit(price("a"))
    assert told == [FeedChange(Position(4, 2), ("Fox",))]
