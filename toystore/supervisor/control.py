"""How other programs ask a supervisor for something: lines of JSON over its Unix socket.

A request is `{"do": "status"}` or `{"do": "stop", "node": "order-1"}` (stop, start, kill, pause, resume). The
answer is one line: `{"ok": true, "text": "...", ...}`, or `{"ok": false, "error": "..."}`; it comes when the
thing is done. The answer to `status` has `pid` (of the supervisor), `ready`, and for each node `{"state",
"pid", "starts"}`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from toystore.supervisor.cluster import NotPossible
from toystore.supervisor.lock import socket_path

Answering = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Carry out a request and give what to answer. Raises NotPossible."""


class NoSupervisor(Exception):
    """No `toystore up` runs on this data directory, or it does not answer."""


class _Requests(LineOnlyReceiver):
    """The supervisor's end of one connection."""

    delimiter = b"\n"
    _log = Logger()

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        answer = Deferred.fromCoroutine(self._answer(line))
        answer.addErrback(lambda failure: self._log.failure("Answering {line!r} failed", failure, line=line))

    async def _answer(self, line: bytes) -> None:
        try:
            answer = {"ok": True, **await self._answering(_request(line))}
        except NotPossible as no:
            answer = {"ok": False, "error": str(no)}
        assert self.transport is not None
        self.transport.write(json.dumps(answer).encode() + b"\n")


def _request(line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except ValueError as error:
        raise NotPossible(f"not JSON: {error}") from error
    if not isinstance(request, dict):
        raise NotPossible("a request is a JSON object")
    return request


class _Answer(Protocol):
    """The caller's end: sends one request and waits for one line."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.line: Deferred[bytes] = Deferred(lambda _: self._hang_up())
        self._request = request
        self._received = b""

    def connectionMade(self) -> None:  # noqa: N802
        assert self.transport is not None
        self.transport.write(json.dumps(self._request).encode() + b"\n")

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self._received += data
        if b"\n" in self._received and not self.line.called:
            self._hang_up()
            self.line.callback(self._received)

    def _hang_up(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: N802, B008
        if not self.line.called:
            self.line.errback(NoSupervisor("the supervisor hung up before it had answered"))


class _RequestsFactory(Factory):
    noisy = False

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    def buildProtocol(self, addr: object) -> _Requests:  # noqa: N802
        return _Requests(self._answering)


def listen(reactor: Any, data_dir: Path, answering: Answering) -> Any:
    """Listen on the socket of `data_dir`, for the holder of its lock: a socket found there is a dead one, and
    removed.

    The result is a listening port. Raises UnsafeDirectory, CannotListenError.
    """
    path = socket_path(data_dir)
    path.unlink(missing_ok=True)
    return reactor.listenUNIX(str(path), _RequestsFactory(answering), mode=0o600)


async def request(reactor: Any, data_dir: Path, message: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Ask the supervisor of `data_dir`; the answer, within `timeout` seconds.

    Raises NoSupervisor where none answers, NotPossible with its words where it says no.
    """
    protocol = _Answer(message)
    try:
        endpoint = UNIXClientEndpoint(reactor, str(socket_path(data_dir)), timeout=timeout)
        await connectProtocol(endpoint, protocol)
        line = await protocol.line.addTimeout(timeout, reactor)
    except ConnectError as error:
        raise NoSupervisor(f"no `toystore up` runs on {data_dir}") from error
    except TimedOut as error:
        raise NoSupervisor(f"the `toystore up` on {data_dir} has not answered within {timeout:g} s") from error
    answer: dict[str, Any] = json.loads(line)
    if not answer.pop("ok"):
        raise NotPossible(answer["error"])
    return answer
