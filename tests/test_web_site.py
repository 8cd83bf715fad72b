"""The limits of every site, byte for byte, on a fake clock."""

import json
from typing import Any

import pytest
from klein import Klein
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import Logger, LogLevel, formatEvent
from twisted.web.server import Request

from toystore.web.answers import ErrorShape, HotPaths, Reply, json_app
from toystore.web.input import BadInput
from toystore.web.site import LINGER, LimitedSite, make_site

ERRORS = ErrorShape(lambda status, code, message: json.dumps({"error": code, "text": message}).encode())


class Echo:
    app = json_app()

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.slow: Deferred[Reply] = Deferred()

    @app.route("/echo", methods=["POST"])
    def echo(self, request: Request) -> bytes:
        body: bytes = request.content.read()
        self.seen.append(body)
        return Reply(200, body).send(request)

    @app.route("/names/<name>", methods=["GET"])
    def name(self, request: Request, name: str) -> bytes:
        return Reply(200, name.encode()).send(request)

    @app.route("/broken", methods=["GET"])
    def broken(self, request: Request) -> bytes:
        raise RuntimeError("secret")

    @app.route("/bad", methods=["GET"])
    def bad(self, request: Request) -> bytes:
        raise BadInput("that is bad")

    async def hot(self, request: Request, body: bytes) -> Reply:
        self.seen.append(body)
        return Reply(200, b'"hot"')

    async def hot_name(self, name: str, request: Request, body: bytes) -> Reply:
        return Reply(200, json.dumps(["hot", name]).encode())

    @app.route("/hot/<name>", methods=["GET"])
    def cool_name(self, request: Request, name: str) -> bytes:
        return Reply(200, json.dumps(["cool", name]).encode()).send(request)

    def wait(self, request: Request, body: bytes) -> Deferred[Reply]:
        return self.slow

    ERRORS.install(app)

    def resource(self) -> HotPaths:
        root = HotPaths(self.app, ERRORS).add("POST", "/hot", self.hot).add("GET", "/wait", self.wait)
        return root.add_names("GET", "/hot/", self.hot_name)


class Connection:
    """One client of a site."""

    def __init__(self, site: LimitedSite) -> None:
        self.channel: Any = site.buildProtocol(None)
        self.transport = StringTransport()
        self.transport.abortConnection = self.transport.loseConnection  # type: ignore[method-assign]
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> bytes:
        """What the site answers."""
        self.transport.clear()
        self.channel.dataReceived(data)
        return self.transport.value()

    def ask(self, method: str, path: str, body: bytes = b"", *headers: bytes) -> tuple[int, Any]:
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n".encode("latin-1")
        return read(self.send(head + b"".join(line + b"\r\n" for line in headers) + b"\r\n" + body))

    @property
    def closed(self) -> bool:
        return self.transport.disconnecting


def read(answer: bytes) -> tuple[int, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head.lower()
    return int(head.split(b" ")[1]), json.loads(body) if body else None


class Shop:
    """A site, its clock and its resource."""

    def __init__(self, **limits: Any) -> None:
        self.clock = Clock()
        self.echo = Echo()
        self.site = make_site(self.echo.resource(), self.clock, errors=ERRORS, **limits)

    def connect(self) -> Connection:
        return Connection(self.site)


@pytest.fixture
def shop() -> Shop:
    return Shop(max_body=10)


def test_a_body_up_to_the_limit(shop: Shop) -> None:
    connection = shop.connect()
    assert connection.ask("POST", "/echo", b'"12345678"') == (200, "12345678")
    assert connection.ask("POST", "/echo", b"2") == (200, 2), "the connection is kept"
    assert not connection.closed


def test_a_long_body_is_refused_before_it_is_read(shop: Shop) -> None:
    connection = shop.connect()
    answer = connection.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n")
    assert read(answer) == (413, {"error": "too_large", "text": "the body may have at most 10 bytes"})
    assert b"Connection: close" in answer
    assert connection.send(b"x" * 11 + b"GET /bad HTTP/1.1\r\n\r\n") == b"", "what follows is dropped"
    shop.clock.advance(LINGER)
    assert connection.closed
    assert shop.echo.seen == []


def test_no_100_continue_for_a_body_that_is_too_long(shop: Shop) -> None:
    answer = shop.connect().send(b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("chunks", [[b"b\r\n12345678901\r\n0\r\n\r\n"], [b"6\r\n123456\r\n", b"6\r\n123456\r\n"]])
def test_a_long_chunked_body_is_refused_when_it_is_seen(shop: Shop, chunks: list[bytes]) -> None:
    connection = shop.connect()
    connection.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    answers = [connection.send(chunk) for chunk in chunks]
    assert read(answers[-1])[0] == 413
    assert connection.send(b"0\r\n\r\n") == b""
    assert shop.echo.seen == []


def test_a_short_chunked_body(shop: Shop) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert read(shop.connect().send(head + b"1\r\n4\r\n1\r\n2\r\n0\r\n\r\n")) == (200, 42)


@pytest.mark.parametrize("start", [b"P", b"POST /echo HTTP/1.1\r\n", b"POST /hot HTTP/1.1\r\nContent-Length: 10\r\n\r\n"])
def test_a_request_must_arrive_in_time_however_slowly_its_bytes_come(shop: Shop, start: bytes) -> None:
    connection = shop.connect()
    connection.send(start)
    for _ in range(7):
        shop.clock.advance(2)
        assert connection.send(b"x") == b""
    connection.transport.clear()
    shop.clock.advance(1)
    assert read(connection.transport.value())[0] == 408
    shop.clock.advance(LINGER)
    assert connection.closed
    assert shop.echo.seen == []


def test_the_time_is_for_each_request_alone(shop: Shop) -> None:
    connection = shop.connect()
    for _ in range(4):
        connection.send(b"POST /echo HTTP/1.1\r\nContent-Length: 1\r\n\r\n")
        shop.clock.advance(10)
        assert read(connection.send(b"1")) == (200, 1)
    connection.send(b"POST /echo HTTP/1.1\r\nContent-Length: 1\r\n\r\n1POS")
    shop.clock.advance(15)
    assert b" 408 " in connection.transport.value(), "also where it began together with the one before"


def test_an_answer_may_take_its_time(shop: Shop) -> None:
    connection = shop.connect()
    assert connection.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    shop.clock.advance(100)
    shop.echo.slow.callback(Reply(200, b"1"))
    assert read(connection.transport.value()) == (200, 1)


def test_an_idle_connection_is_closed(shop: Shop) -> None:
    connection = shop.connect()
    connection.ask("POST", "/echo", b"1")
    shop.clock.advance(60)
    assert connection.closed


def test_a_connection_too_many_is_closed() -> None:
    shop = Shop(max_connections=1)
    first, second = shop.connect(), shop.connect()
    assert (first.closed, second.closed) == (False, True)
    assert second.send(b"GET /bad HTTP/1.1\r\n\r\n") == b""
    first.channel.connectionLost()
    assert not shop.connect().closed, "there is room again"


def test_the_client_hangs_up(shop: Shop) -> None:
    connection = shop.connect()
    cancelled: list[object] = []
    shop.echo.slow = Deferred(cancelled.append)
    connection.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.channel.connectionLost()
    assert cancelled == [shop.echo.slow]
    assert not shop.clock.getDelayedCalls(), "nothing is left behind"


@pytest.mark.fault(12)
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/names//a", 404, "not_found"),
        ("GET", "/echo", 405, "method_not_allowed"),
        ("BREW", "/echo", 405, "method_not_allowed"),
        ("GET", "/bad", 400, "malformed"),
        ("GET", "/names/%ff", 400, "malformed"),
        ("GET", "/broken", 500, "internal"),
    ],
)
def test_every_error_is_json(shop: Shop, method: str, path: str, status: int, code: str) -> None:
    answered, body = shop.connect().ask(method, path)
    assert (answered, body["error"]) == (status, code)
    assert "secret" not in body["text"]


@pytest.mark.fault(12)
@pytest.mark.parametrize("host", [b"[", b"x" * 300, b"\xff", b"..", b"a b"])
def test_a_strange_host_is_no_fault_of_ours(shop: Shop, host: bytes) -> None:
    answer = shop.connect().send(b"GET /names/a HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
    assert answer.split(b" ")[1] in (b"200", b"400")


@pytest.mark.parametrize("garbage", [b"hello\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"\0\r\n"])
def test_garbage_is_answered_with_json(shop: Shop, garbage: bytes) -> None:
    connection = shop.connect()
    assert read(connection.send(garbage + b"GET /bad HTTP/1.1\r\n\r\n"))[0] == 400
    shop.clock.advance(LINGER)
    assert connection.closed


@pytest.mark.parametrize("path", ["/hot", "/echo", "/echo/"])
def test_hot_paths_and_others_are_answered_alike(shop: Shop, path: str) -> None:
    connection = shop.connect()
    status, _ = connection.ask("POST", path, b"1")
    assert (status, shop.echo.seen) == (200, [b"1"])


@pytest.mark.parametrize(
    ("method", "path", "status", "answer"),
    [
        ("GET", "/hot/Fox", 200, ["hot", "Fox"]),
        ("GET", "/hot/Fox/", 200, ["hot", "Fox"]),
        ("GET", "/hot/Fox?a=b", 200, ["hot", "Fox"]),
        ("GET", "/hot/a%20%C3%A9", 200, ["hot", "a é"]),
        ("GET", "/hot/%ff", 400, None),
        ("GET", "/hot/", 404, None),
        ("GET", "/hot/a/b", 404, None),
        ("GET", "/cold/Fox", 404, None),
        ("POST", "/hot/Fox", 405, None),
    ],
)
def test_a_hot_path_of_names(shop: Shop, method: str, path: str, status: int, answer: list[str] | None) -> None:
    got, body = shop.connect().ask(method, path)
    assert got == status
    assert answer is None or body == answer


def test_nothing_tells_what_runs_here(shop: Shop) -> None:
    answer = shop.connect().send(b"GET /bad HTTP/1.1\r\nHost: x\r\n\r\n").lower()
    assert b"server:" not in answer
    assert b"twisted" not in answer
    assert b"content-type: application/json\r\n" in answer


def test_a_klein_app_makes_a_site() -> None:
    app = Klein()
    site = make_site(app, Clock(), errors=ERRORS)
    assert isinstance(site.resource, HotPaths)


def test_the_access_log() -> None:
    events: list[dict[str, Any]] = []
    shop = Shop(log=Logger(observer=events.append))
    shop.connect().ask("POST", "/hot?a=b", b"1")
    (event,) = events
    assert event["log_level"] is LogLevel.debug
    assert (event["method"], event["uri"], event["code"], event["length"]) == ("POST", "/hot?a=b", 200, 5)
    assert '"POST /hot?a=b HTTP/1.1" 200 5 ' in formatEvent(event)


def test_a_reply_of_a_hot_path_is_awaited(shop: Shop) -> None:
    shop.echo.slow = succeed(Reply(404, b"{}"))
    assert shop.connect().ask("GET", "/wait") == (404, {})


def test_a_status_that_twisted_does_not_know_has_its_phrase_too(shop: Shop) -> None:
    shop.echo.slow = succeed(Reply(422, b"{}"))
    answer = shop.connect().send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 422 Unprocessable Entity\r\n")
