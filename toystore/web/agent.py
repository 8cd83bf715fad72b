"""The HTTP agent between nodes: Twisted's own, with connections that are kept and requests that are sent once."""

from __future__ import annotations

from typing import Any

from attrs import define, frozen
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IConsumer, IStreamClientEndpoint
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.error import SchemeNotSupported
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

KEPT_FOR = 20
"""Seconds that a connection may rest; well below the idle timeout of our sites."""


def make_agent(reactor: Any, connect_timeout: float = 0.5, max_per_host: int = 8) -> Agent:
    """An agent that keeps up to `max_per_host` idle connections to each node, and sends nothing twice."""
    pool = HTTPConnectionPool(reactor, persistent=True)
    pool.maxPersistentPerHost = max_per_host
    pool.cachedConnectionTimeout = KEPT_FOR
    pool.retryAutomatically = False
    agent: Agent = Agent.usingEndpointFactory(reactor, _Endpoints(reactor, connect_timeout), pool)
    return agent


@implementer(IAgentEndpointFactory)
@frozen
class _Endpoints:
    """How to connect to a node.

    Twisted's own way (a HostnameEndpoint for all) reports a refused connection only after 0.3 s, the delay before it would
    try a next address: a third of the time that a failover may take.
    """

    reactor: Any
    timeout: float

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: N802
        if uri.scheme != b"http":
            raise SchemeNotSupported(f"nodes speak http, not {uri.scheme!r}")
        host = uri.host.decode("ascii")
        if isIPAddress(host):
            return TCP4ClientEndpoint(self.reactor, host, uri.port, self.timeout)
        if isIPv6Address(host):
            return TCP6ClientEndpoint(self.reactor, host, uri.port, self.timeout)
        return HostnameEndpoint(self.reactor, host, uri.port, self.timeout, attemptDelay=0.02)


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
