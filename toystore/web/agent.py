# mypy: disallow-untyped-calls=False
"""How requests to nodes travel: an HTTP/1.1 client with kept connections, and no more than nodes need.

Twisted's own agent does more (redirects, proxies, retries, every kind of answer) and takes twice the processor time, which
a lookup that misses the cache, and an append to a follower, mostly consist of.
"""

from __future__ import annotations

import re
from typing import Any, cast

from attrs import define, field
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IConsumer, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI, ResponseDone
from twisted.web.error import SchemeNotSupported
from twisted.web.http import _ChunkedTransferDecoder, _IdentityTransferDecoder, _MalformedChunkedDataError
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IBodyProducer, IResponse
from zope.interface import implementer

MAX_HEAD = 64 * 1024
"""Bytes of the longest head of an answer."""
KEPT_FOR = 20.0
"""Seconds a connection may rest before it is used again; well below the idle timeout of our sites."""

_STATUS = re.compile(rb"HTTP/1\.([01]) ([2-5][0-9]{2})(?: ([^\r\n]*))?")
_PATH = re.compile(rb"[!-~]*")
_DONE = Failure(ResponseDone())


@implementer(IBodyProducer)
@define
class Body:
    """A body written in one go; `started` tells whether a byte of the request may have left."""

    data: bytes
    started: bool = False

    @property
    def length(self) -> int:
        return len(self.data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:  # noqa: N802
        self.started = True
        consumer.write(self.data)
        return succeed(None)

    def pauseProducing(self) -> None:  # noqa: N802
        """All has been written already."""

    def resumeProducing(self) -> None:  # noqa: N802
        """All has been written already."""

    def stopProducing(self) -> None:  # noqa: N802
        """All has been written already."""


@implementer(IAgent)
class KeptAgent:
    """Requests to nodes; up to `max_per_host` resting connections to each are kept, and nothing is sent twice.

    A request may be cancelled, which closes its connection. It fails with what the connection failed with, or with
    ValueError for an answer that is not HTTP/1.1.
    """

    def __init__(self, reactor: Any, connect_timeout: float, max_per_host: int) -> None:
        self._reactor = reactor
        self._connect_timeout = connect_timeout
        self._max_per_host = max_per_host
        self._hosts: dict[bytes, _Host] = {}

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803
    ) -> Deferred[IResponse]:
        assert bodyProducer is None or isinstance(bodyProducer, Body), "bodies are written in one go"
        cut = uri.find(b"/", len(b"http://"))
        origin, path = uri[:cut], uri[cut:]
        if cut < 0 or _PATH.fullmatch(path) is None:
            return fail(ValueError(f"not a URL to ask for: {uri!r}"))
        host = self._hosts.get(origin)
        if host is None:
            try:
                endpoint = _endpoint(self._reactor, URI.fromBytes(uri), self._connect_timeout)
            except SchemeNotSupported as error:
                return fail(error)
            host = self._hosts[origin] = _Host(endpoint, self._reactor, self._max_per_host)
        fields = [(name, value) for name, values in headers.getAllRawHeaders() for value in values] if headers else []
        if bodyProducer is not None:
            fields.append((b"Content-Length", b"%d" % bodyProducer.length))
        lines = b"".join([b"%s: %s\r\n" % field for field in fields])
        head = b"%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (method, path, origin[len(b"http://") :], lines)
        return host.exchange(head, bodyProducer)


def make_agent(reactor: Any, connect_timeout: float = 0.5, max_per_host: int = 8) -> KeptAgent:
    """For the nodes of a cluster; `connect_timeout` in seconds."""
    return KeptAgent(reactor, connect_timeout, max_per_host)


def _endpoint(reactor: Any, uri: URI, timeout: float) -> IStreamClientEndpoint:
    """How to connect to a node.

    Twisted's own way (a HostnameEndpoint for all) reports a refused connection only after 0.3 s, the delay
    before it would try a next address: a third of the time that a failover may take.
    """
    if uri.scheme != b"http":
        raise SchemeNotSupported(f"nodes speak http, not {uri.scheme!r}")
    host = uri.host.decode("ascii")
    if isIPAddress(host):
        return TCP4ClientEndpoint(reactor, host, uri.port, timeout)
    if isIPv6Address(host):
        return TCP6ClientEndpoint(reactor, host, uri.port, timeout)
    return HostnameEndpoint(reactor, host, uri.port, timeout, attemptDelay=0.02)


@define(eq=False)
class _Host:
    """The connections to one place that rest, the longest at rest first."""

    endpoint: IStreamClientEndpoint
    clock: IReactorTime
    limit: int
    resting: list[_Connection] = field(factory=list, init=False)

    def exchange(self, head: bytes, body: Body | None) -> Deferred[IResponse]:
        while self.resting:
            connection = self.resting.pop()
            if self.clock.seconds() - connection.since < KEPT_FOR:
                return connection.exchange(head, body)
            connection.abort()
        factory = Factory.forProtocol(lambda: _Connection(self))
        connecting = cast("Deferred[_Connection]", self.endpoint.connect(factory))
        return connecting.addCallback(lambda connection: connection.exchange(head, body))

    def keep(self, connection: _Connection) -> None:
        connection.since = self.clock.seconds()
        self.resting.append(connection)
        if len(self.resting) > self.limit:
            self.resting.pop(0).abort()

    def forget(self, connection: _Connection) -> None:
        if connection in self.resting:
            self.resting.remove(connection)


class _Connection(Protocol):
    """One exchange at a time. At rest `_asked` and `_answer` are None; then `_asked` waits for a head, and `_answer`
    for the rest of a body."""

    transport: Any
    since = 0.0

    def __init__(self, host: _Host) -> None:
        self._host = host
        self._asked: Deferred[IResponse] | None = None
        self._answer: _Answer | None = None
        self._head = b""
        self._decoder: Any = None

    def exchange(self, head: bytes, body: Body | None) -> Deferred[IResponse]:
        asked = self._asked = Deferred(lambda _: self.abort())
        if body is None:
            self.transport.write(head)
        else:
            body.started = True
            self.transport.write(head + body.data)
        return asked

    def abort(self) -> None:
        self._host.forget(self)
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        try:
            if self._asked is not None:
                head, end, data = (self._head + data).partition(b"\r\n\r\n")
                if not end:
                    self._head = head
                    if len(head) > MAX_HEAD:
                        raise ValueError(f"the head of the answer has more than {MAX_HEAD} bytes")
                    return
                self._head = b""
                self._begin(head)
                if self._answer is not None and self._answer.length == 0:
                    self._finish(data)
                    return
            if self._answer is not None:
                if data:
                    self._decoder.dataReceived(data)
            else:
                self.abort()  # nothing was asked
        except (ValueError, _MalformedChunkedDataError):
            self._broken(Failure())
            self.abort()

    def _begin(self, head: bytes) -> None:
        """The head has come. Raises ValueError."""
        answer = self._answer = _read_head(head, self.transport)
        if answer.chunked:
            self._decoder = _ChunkedTransferDecoder(answer.receive, self._finish)
        else:
            length = None if answer.length is UNKNOWN_LENGTH else answer.length
            self._decoder = _IdentityTransferDecoder(length, answer.receive, self._finish)
        asked, self._asked = self._asked, None
        assert asked is not None, "a head is waited for"
        if not asked.called:
            asked.callback(answer)

    def _finish(self, rest: bytes) -> None:
        answer, self._answer, self._decoder = self._answer, None, None
        assert answer is not None, "a body was waited for"
        if rest or not answer.kept:
            self.abort()
        else:
            self._host.keep(self)
        answer.end(_DONE)  # last: who hears of it may use this connection at once

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        self._host.forget(self)
        self._broken(reason)

    def _broken(self, reason: Failure) -> None:
        """Whoever waits is told; a body that only the end of the connection ends is not known to be whole."""
        asked, self._asked = self._asked, None
        answer, self._answer = self._answer, None
        if asked is not None and not asked.called:
            asked.errback(reason)
        if answer is not None:
            answer.end(reason)


def _read_head(head: bytes, transport: Any) -> _Answer:
    """Raises ValueError."""
    first, *lines = head.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if status is None:
        raise ValueError(f"not an answer of HTTP/1.1: {first[:80]!r}")
    headers = Headers()
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name.strip() != name:
            raise ValueError(f"not a header: {line[:80]!r}")
        headers.addRawHeader(name, value.strip())
    version, code = int(status[1]), int(status[2])
    coding = headers.getRawHeaders(b"transfer-encoding")
    lengths = headers.getRawHeaders(b"content-length") or ()
    if (coding and (lengths or [one.lower() for one in coding] != [b"chunked"])) or len(set(lengths)) > 1:
        raise ValueError("it is not clear where the answer ends")
    if any(not one.isdigit() for one in lengths):
        raise ValueError(f"not a length: {lengths[0][:80]!r}")
    length = 0 if code in (204, 304) else int(lengths[0]) if lengths else UNKNOWN_LENGTH
    closing = b"close" in [one.lower() for one in headers.getRawHeaders(b"connection") or ()]
    answer = _Answer(version, code, status[3] or b"", headers, length, bool(coding) and length != 0, transport)
    answer.kept = version == 1 and not closing and (answer.chunked or length is not UNKNOWN_LENGTH)
    return answer


@implementer(IResponse)
@define(eq=False)
class _Answer:
    """The head of an answer; its body goes to whom `deliverBody` names, and waits as long as nobody is named."""

    minor: int
    code: int
    phrase: bytes
    headers: Headers
    length: Any
    chunked: bool
    transport: Any
    kept: bool = False
    request: Any = None
    previousResponse: IResponse | None = None  # noqa: N815
    _reader: Any = field(default=None, init=False)
    _waiting: list[bytes] = field(factory=list, init=False)
    _ended: Failure | None = field(default=None, init=False)

    @property
    def version(self) -> tuple[bytes, int, int]:
        return b"HTTP", 1, self.minor

    def setPreviousResponse(self, response: IResponse) -> None:  # noqa: N802
        self.previousResponse = response

    def deliverBody(self, protocol: Any) -> None:  # noqa: N802
        self._reader = protocol
        protocol.makeConnection(self.transport)
        for data in self._waiting:
            protocol.dataReceived(data)
        if self._ended is not None:
            protocol.connectionLost(self._ended)
        elif self._waiting:
            self.transport.resumeProducing()

    def receive(self, data: bytes) -> None:
        if self._reader is not None:
            self._reader.dataReceived(data)
        else:
            self._waiting.append(data)
            self.transport.pauseProducing()

    def end(self, reason: Failure) -> None:
        self._ended = reason
        if self._reader is not None:
            self._reader.connectionLost(reason)
        elif self._waiting:
            self.transport.resumeProducing()
