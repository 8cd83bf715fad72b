# mypy: disallow-untyped-calls=False
"""The HTTP/1.1 client between nodes: what it sends, where an answer ends, which connections are kept."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from toystore.web.agent import KEPT_FOR, MAX_HEAD, Body, make_agent

URL = b"http://127.0.0.1:8/a"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Reading(Protocol):
    """Notes the body, and how it ended."""

    def __init__(self) -> None:
        self.body = b""
        self.end: Failure | None = None

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self.body += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        self.end = reason

    @property
    def whole(self) -> bool:
        return self.end is not None and self.end.check(ResponseDone) is not None


class Wire(StringTransport):
    """Connections close at once."""

    protocol: Any = None
    closed = False

    def abortConnection(self) -> None:  # noqa: N802
        if not self.closed:
            self.closed = True
            self.protocol.connectionLost(Failure(ConnectionDone()))


class Far:
    """The far end of all connections."""

    def __init__(self, max_per_host: int = 8) -> None:
        self.reactor = MemoryReactorClock()
        self.agent = make_agent(self.reactor, max_per_host=max_per_host)
        self.wires: list[Wire] = []

    def ask(self, body: Body | None = None, url: bytes = URL, headers: Headers | None = None) -> Deferred[IResponse]:
        """Connects where the agent wants to."""
        asked = self.agent.request(b"POST" if body else b"GET", url, headers, body)
        while len(self.wires) < len(self.reactor.tcpClients):
            wire = Wire()
            wire.protocol = self.reactor.tcpClients[len(self.wires)][2].buildProtocol(None)
            self.wires.append(wire)
            wire.protocol.makeConnection(wire)
        return asked

    def read(self, *pieces: bytes, wire: int = -1) -> Reading:
        """What comes of a request that is answered with these pieces."""
        reading = Reading()
        asked = self.ask()
        asked.addCallback(lambda response: response.deliverBody(reading))
        for piece in pieces:
            self.wires[wire].protocol.dataReceived(piece)
        return reading


@pytest.fixture
def far() -> Far:
    return Far()


def failed(asked: Deferred[Any]) -> object:
    failures: list[Failure] = []
    asked.addErrback(failures.append)
    return type(failures[0].value)


def test_what_is_sent(far: Far) -> None:
    body = Body(b"{}")
    far.ask(body, headers=Headers({b"Content-Type": [b"application/json"]}))
    assert body.started
    assert far.wires[0].value() == (
        b"POST /a HTTP/1.1\r\nHost: 127.0.0.1:8\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize("url", [b"http://127.0.0.1:8/a b", b"http://127.0.0.1:8/a\r\nX: y", b"http://x", b"https://x/a"])
def test_what_is_never_sent(far: Far, url: bytes) -> None:
    asked = far.ask(url=url)
    failures: list[Failure] = []
    asked.addErrback(failures.append)
    assert failures
    assert far.wires == []


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"


@pytest.mark.parametrize("answer", [WHOLE, CHUNKED])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_answer_in_pieces_and_its_connection_is_used_again(far: Far, answer: bytes, size: int) -> None:
    for _ in range(3):
        reading = far.read(*(answer[at : at + size] for at in range(0, len(answer), size)))
        assert (reading.body, reading.whole) == (b"ok", True)
    assert len(far.wires) == 1


@pytest.mark.parametrize(
    "head", [b"204 No Content\r\n", b"304 Not Modified\r\nContent-Length: 9\r\n", b"200\r\nContent-Length: 0\r\n"]
)
def test_an_answer_without_a_body(far: Far, head: bytes) -> None:
    assert far.read(b"HTTP/1.1 " + head + b"\r\n").whole
    assert far.read(WHOLE).whole
    assert len(far.wires) == 1


@pytest.mark.parametrize(
    "answer", [WHOLE.replace(b"1.1", b"1.0"), WHOLE.replace(b"OK", b"OK\r\nConnection: close"), WHOLE + b"more"]
)
def test_a_connection_that_is_not_kept(far: Far, answer: bytes) -> None:
    assert far.read(answer).whole
    assert far.wires[0].closed
    assert far.read(WHOLE).whole
    assert len(far.wires) == 2


def test_without_a_length_only_the_end_of_the_connection_ends_it_and_it_may_not_be_whole(far: Far) -> None:
    reading = far.read(b"HTTP/1.1 200 OK\r\n\r\n", b"ok")
    assert (reading.body, reading.end) == (b"ok", None)
    far.wires[0].abortConnection()
    assert reading.end is not None
    assert not reading.whole


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/2 200 OK",
        b"HTTP/1.1 100 Continue",
        b"HTTP/1.1 200 OK\r\nContent-Length: x",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip",
        b"HTTP/1.1 200 OK\r\nno header",
        b"x" * (MAX_HEAD + 1),
    ],
)
def test_an_answer_that_is_none(far: Far, head: bytes) -> None:
    asked = far.ask()
    far.wires[0].protocol.dataReceived(head + (b"" if len(head) > MAX_HEAD else b"\r\n\r\n"))
    assert failed(asked) is ValueError
    assert far.wires[0].closed


def test_a_chunk_that_is_none(far: Far) -> None:
    reading = far.read(CHUNKED[:-12], b"no chunk\r\n\r\n")
    assert reading.end is not None
    assert not reading.whole
    assert far.wires[0].closed


def test_a_connection_that_has_rested_too_long_is_not_used(far: Far) -> None:
    far.read(WHOLE)
    far.reactor.advance(KEPT_FOR)
    assert far.read(WHOLE).whole
    assert [wire.closed for wire in far.wires] == [True, False]


def test_only_so_many_are_kept() -> None:
    far = Far(max_per_host=2)
    for _ in range(3):
        far.ask()
    for wire in far.wires:
        wire.protocol.dataReceived(WHOLE)
    assert [wire.closed for wire in far.wires] == [True, False, False]


def test_a_far_end_that_speaks_unasked_is_hung_up_on(far: Far) -> None:
    far.read(WHOLE)
    far.wires[0].protocol.dataReceived(WHOLE)
    assert far.wires[0].closed


def test_who_hears_of_the_end_may_ask_again_at_once(far: Far) -> None:
    class Again(Reading):
        def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
            far.ask()

    far.ask().addCallback(lambda response: response.deliverBody(Again()))
    far.wires[0].protocol.dataReceived(WHOLE)
    assert len(far.wires) == 1
    assert far.wires[0].value().count(b"GET /a") == 2


def test_a_body_waits_until_somebody_reads_it(far: Far) -> None:
    reading, responses = Reading(), list[IResponse]()
    far.ask().addCallback(responses.append)
    far.wires[0].protocol.dataReceived(WHOLE[:-1])
    assert far.wires[0].producerState == "paused"
    responses[0].deliverBody(reading)
    assert far.wires[0].producerState == "producing"
    far.wires[0].protocol.dataReceived(WHOLE[-1:])
    assert (reading.body, reading.whole) == (b"ok", True)
