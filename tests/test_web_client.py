"""What went wrong with a request: had a byte of it left, or not?"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from toystore.encoding import EncodingError
from toystore.model import ORIGIN, Position, Request, SetPrice
from toystore.web import client, codec
from toystore.web.agent import make_agent
from toystore.web.client import HttpCatalogService, HttpOrderService
from toystore.web.interface import Broken, FeedLine, FeedStart, Refused, Submitted, Unreachable

REQUEST = Request("a", SetPrice("Fox", 5))
ANSWER = codec.encode_results(3, [])


class Node:
    """The other side of the connections, by hand."""

    def __init__(self) -> None:
        self.reactor = MemoryReactorClock()
        agent = make_agent(self.reactor, connect_timeout=0.5)
        self.orders = HttpOrderService("order-1", "http://127.0.0.1:1/", agent, self.reactor, "toys", "f", 2.0)
        self.catalog = HttpCatalogService("catalog-1", "http://127.0.0.1:1", agent, self.reactor, 2.0)
        self.client: Any = None
        self.transport = StringTransport()

    def connect(self) -> None:
        factory = self.reactor.tcpClients[-1][2]
        self.client = factory.buildProtocol(None)
        self.transport = StringTransport()
        self.transport.abortConnection = self.transport.loseConnection  # type: ignore[method-assign]
        self.client.makeConnection(self.transport)

    def answer(self, body: bytes, status: int = 200, length: int | None = None) -> None:
        size = len(body) if length is None else length
        self.client.dataReceived(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, size, body))

    def lose(self, error: type[Exception] = ConnectionLost) -> None:
        self.client.connectionLost(Failure(error()))


@pytest.fixture
def node() -> Node:
    return Node()


def error_of(result: Deferred[Any]) -> type[BaseException] | None:
    failures: list[Failure] = []
    result.addErrback(failures.append)
    return type(failures[0].value) if failures else None


def test_an_answer(node: Node) -> None:
    result = node.orders.submit([])
    node.connect()
    assert node.transport.value().startswith(b"POST /ledger HTTP/1.1\r\n")
    node.answer(ANSWER)
    assert result.result == Submitted(3, ())


def test_a_refused_connection_says_that_nobody_listens(node: Node) -> None:
    results = [node.orders.submit([REQUEST]), node.orders.order(0)]
    for client_ in node.reactor.tcpClients:
        client_[2].clientConnectionFailed(None, Failure(error.ConnectionRefusedError()))
    assert [error_of(result) for result in results] == [Refused, Refused]
    assert issubclass(Refused, Unreachable)


def test_no_connection_in_time_is_unreachable(node: Node) -> None:
    result = node.orders.submit([REQUEST])
    node.reactor.advance(2.0)
    assert error_of(result) is Unreachable


def test_cancelled_before_the_connection_is_unreachable(node: Node) -> None:
    result = node.orders.submit([REQUEST])
    result.cancel()
    assert error_of(result) is Unreachable


def test_lost_after_sending_is_broken(node: Node) -> None:
    result = node.orders.submit([REQUEST])
    node.connect()
    node.lose()
    assert error_of(result) is Broken


def test_no_answer_in_time_is_broken_and_closes(node: Node) -> None:
    result = node.orders.submit([REQUEST])
    node.connect()
    node.reactor.advance(1.9)
    assert not node.transport.disconnecting
    node.reactor.advance(0.2)
    assert node.transport.disconnecting
    node.lose()
    assert error_of(result) is Broken


def test_half_an_answer_in_time_is_broken(node: Node) -> None:
    result = node.orders.submit([REQUEST])
    node.connect()
    node.answer(b"{", length=99)
    node.reactor.advance(2.0)
    assert node.transport.disconnecting
    assert error_of(result) is Broken


def test_a_kept_connection_that_was_closed_is_broken_and_nothing_is_sent_twice(node: Node) -> None:
    node.orders.order(0)
    node.connect()
    node.answer(codec.encode_dated(None, ORIGIN, 0.0))
    result = node.orders.order(1)
    assert len(node.reactor.tcpClients) == 1, "the connection is kept"
    node.lose(ConnectionDone)
    assert len(node.reactor.tcpClients) == 1, "and nothing is sent again"
    assert error_of(result) is Broken


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"{"),
        (200, b"{}"),
        (200, b'{"term":1,"generation":0,"results":[]}'),
        (200, b'{"term":1,"generation":0,"results":[["answer",1,1,["done",{}]]]}'),
        (200, b'{"term":1,"generation":0,"results":[["perhaps",1,1,"x"]]}'),
        (204, b""),
        (400, codec.encode_error("malformed", "x")),
        (500, b"<html>"),
        (503, codec.encode_error("unavailable", "x")),
        (421, codec.encode_error("other", "x")),
    ],
)
def test_an_answer_of_no_use_is_broken(node: Node, status: int, body: bytes) -> None:
    result = node.orders.submit([REQUEST])
    node.connect()
    node.answer(body, status)
    assert error_of(result) is Broken


def test_an_answer_without_end_is_broken(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_BODY", 10)
    result = node.orders.submit([REQUEST])
    node.connect()
    node.answer(b"x" * 11, length=99)
    assert error_of(result) is Broken
    assert node.transport.disconnecting


# The feed ---------------------------------------------------------------------------------------------------


def follow(node: Node) -> tuple[list[FeedLine], Deferred[None]]:
    lines: list[FeedLine] = []
    done = node.catalog.changes(lines.append)
    node.connect()
    node.client.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n")
    return lines, done


def test_lines_come_in_pieces(node: Node) -> None:
    lines, done = follow(node)
    for piece in (b'{"start":', b"[0,", b'7]}\n{"sta', b'rt":[0,8]}\n'):
        node.client.dataReceived(piece)
    assert lines == [FeedStart(Position(0, 7)), FeedStart(Position(0, 8))]
    node.reactor.advance(60)
    assert not done.called, "a stream has no timeout"


def test_a_stream_that_breaks_off(node: Node) -> None:
    _, done = follow(node)
    node.lose()
    assert error_of(done) is Broken


def test_a_line_that_can_not_be_read_ends_the_stream(node: Node) -> None:
    lines, done = follow(node)
    node.client.dataReceived(b'{"x":1}\n{"start":[0,7]}\n')
    assert error_of(done) is Broken
    assert (lines, node.transport.disconnecting) == ([], True)


def test_a_line_without_end_ends_the_stream(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_FEED_LINE", 10)
    _, done = follow(node)
    node.client.dataReceived(b"x" * 11)
    assert error_of(done) is Broken


def test_a_listener_that_fails_ends_the_stream(node: Node) -> None:
    done = node.catalog.changes(lambda line: 1 / 0)  # type: ignore[arg-type, return-value]
    node.connect()
    node.client.dataReceived(b'HTTP/1.1 200 OK\r\n\r\n{"start":[0,7]}\n')
    assert error_of(done) is ZeroDivisionError


def test_a_feed_that_is_not_given(node: Node) -> None:
    done = node.catalog.changes(lambda line: None)
    node.connect()
    node.answer(b"{}", 503)
    assert error_of(done) is Broken


def test_a_feed_that_does_not_begin(node: Node) -> None:
    done = node.catalog.changes(lambda line: None)
    node.connect()
    node.reactor.advance(2.0)
    assert error_of(done) is Broken


@pytest.mark.parametrize("position", [ORIGIN, Position(0, 12), Position(3, 4)])
def test_positions_as_text(position: Position) -> None:
    assert codec.read_position(codec.position_text(position)) == position


@pytest.mark.parametrize("text", ["", ":", "1:", "-1", "1:2:3", "٣", "9" * 17])
def test_no_position(text: str) -> None:
    with pytest.raises(EncodingError):
        codec.read_position(text)
