# mypy: disallow-untyped-calls=False
# ruff: noqa: N802, N815
"""What every site of ours shares: limits on what a client may send.

Twisted's own defaults have no limit on a body, and their idle timeout starts again with every byte. Here a
body that is too long is refused before it is read (declared) or as soon as it is seen (chunked), and one
request must have arrived whole within `receive_timeout` seconds, however slowly its bytes come.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from klein import Klein
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http, server
from twisted.web.resource import IResource

from toystore.web.answers import ErrorShape, HotPaths, Reply

_log = Logger()

LINGER = 2.0
"""Seconds for which what a refused client still sends is read and dropped: closing at once would reset the
connection, and the client would never see why (RFC 9112, 9.6)."""


class SiteRequest(server.Request):
    """One request to a site; it knows how much of its body has come."""

    defaultContentType = None
    channel: Channel
    _received = 0
    _began = 0.0

    def handleContentChunk(self, data: bytes) -> None:
        self._received += len(data)
        if self._received <= self.channel.site.max_body:
            super().handleContentChunk(data)
        else:
            self.channel.refuse_body()

    def process(self) -> None:
        self._began = self.channel.site.reactor.seconds()
        super().process()

    def seconds_since_start(self, now: float) -> float:
        return now - self._began

    def write(self, data: bytes) -> None:
        if not self.startedWriting:
            self.responseHeaders.removeHeader(b"server")  # nobody's business
        super().write(data)

    def processingFailed(self, reason: Failure) -> Failure:
        reply = self.channel.site.errors.reply_to(reason)
        if self.startedWriting:  # half an answer is none: only closing can tell
            self.loseConnection()
        else:
            self.write(reply.send(self))
            self.finish()
        return reason


class Channel(http.HTTPChannel):
    """One connection to a site."""

    site: LimitedSite
    transport: Any
    _busy = False
    _refused = False
    _deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        if self.site.admit(self):
            super().connectionMade()
        else:
            self._refused = True
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.site.release(self)
        self._end_deadline()
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        if self._refused:
            return
        super().dataReceived(data)
        # A request that came whole sets no timer; LineReceiver keeps a part of a first line in `_buffer`.
        if self._deadline is None and not (self._busy or self._refused) and (self.requests or self._buffer):
            self._deadline = self.site.reactor.callLater(self.site.receive_timeout, self._too_slow)

    def lineReceived(self, line: bytes) -> None:
        if not self._refused:
            super().lineReceived(line)

    def rawDataReceived(self, data: bytes) -> None:
        if not self._refused:
            super().rawDataReceived(data)

    def allHeadersReceived(self) -> None:
        if self.length is not None and self.length > self.site.max_body:
            self.refuse_body()
        elif not self._refused:
            super().allHeadersReceived()

    def allContentReceived(self) -> None:
        if not self._refused:
            self._end_deadline()
            self._busy = True
            super().allContentReceived()

    def requestDone(self, request: http.Request) -> None:
        self._busy = False
        super().requestDone(request)

    def refuse_body(self) -> None:
        """Answer 413 and close; what still comes is dropped."""
        limit = self.site.max_body
        self._refuse(self.site.errors.reply(413, "too_large", f"the body may have at most {limit} bytes"))

    def _respondToBadRequestAndDisconnect(self) -> None:
        self._refuse(self.site.errors.reply(400, "malformed", "not a well-formed HTTP/1.1 request"))

    def _too_slow(self) -> None:
        self._deadline = None
        seconds = self.site.receive_timeout
        self._refuse(self.site.errors.reply(408, "too_slow", f"the request did not arrive within {seconds:g} s"))

    def _refuse(self, reply: Reply) -> None:
        if self._refused:
            return
        self._refused = True
        self._end_deadline()
        headers = (*reply.headers, (b"Content-Length", b"%d" % len(reply.body)), (b"Connection", b"close"))
        reason = http.RESPONSES.get(reply.status, b"Refused")
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (reply.status, reason, lines, reply.body))
        self.setTimeout(LINGER)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class LimitedSite(server.Site):
    """A `twisted.web` site with the limits of this module; made by `make_site`."""

    protocol = Channel  # type: ignore[assignment]
    requestFactory = SiteRequest
    errors: ErrorShape
    max_body: int
    receive_timeout: float
    max_connections: int
    access_log: Logger | None
    _open: set[Channel]

    def admit(self, channel: Channel) -> bool:
        """Whether there is room for one more connection."""
        if len(self._open) >= self.max_connections:
            _log.warn("refused a connection: {limit} are open", limit=self.max_connections)
            return False
        self._open.add(channel)
        return True

    def release(self, channel: Channel) -> None:
        self._open.discard(channel)

    def acceptableProtocols(self) -> list[bytes]:
        return [b"http/1.1"]  # the limits are those of HTTP/1.1 connections

    def getContentFile(self, length: int | None) -> BytesIO:
        """Where a body is kept: in memory, for it is short (Twisted opens a file for a chunked one)."""
        return BytesIO()

    def startFactory(self) -> None:
        """No log file, and no timer to keep its time: see `log`."""

    def stopFactory(self) -> None:
        """Nothing was opened by `startFactory`."""

    def log(self, request: http.Request) -> None:
        """The access log, at debug."""
        if self.access_log is None or not isinstance(request, SiteRequest):
            return
        self.access_log.debug(
            '{client} "{method} {uri} {protocol}" {code} {length} {seconds:.6f}',
            client=_host(request.getClientAddress()),
            method=request.method.decode("ascii", "backslashreplace"),
            uri=request.uri.decode("ascii", "backslashreplace"),
            protocol=request.clientproto.decode("ascii", "backslashreplace"),
            code=request.code,
            length=request.sentLength,
            seconds=request.seconds_since_start(self.reactor.seconds()),
        )


def _host(address: IAddress) -> str:
    return address.host if isinstance(address, IPv4Address | IPv6Address) else "-"


def make_site(
    root: IResource | Klein,
    reactor: IReactorTime,
    *,
    errors: ErrorShape,
    max_body: int = 65536,
    idle_timeout: float = 60.0,
    receive_timeout: float = 15.0,
    max_connections: int = 2000,
    log: Logger | None = None,
) -> LimitedSite:
    """A site with all limits.

    `max_body` is in bytes; `idle_timeout` (between requests) and `receive_timeout` (for one request to arrive
    whole) in seconds; connections above `max_connections` are closed. `log` None: no access log.
    """
    resource = HotPaths(root, errors) if isinstance(root, Klein) else root
    site = LimitedSite(resource, timeout=idle_timeout, reactor=reactor, parsePOSTFormSubmission=False)
    site.errors = errors
    site.max_body = max_body
    site.receive_timeout = receive_timeout
    site.max_connections = max_connections
    site.access_log = log
    site._open = set()
    return site
