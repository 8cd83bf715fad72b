"""A request body of bytes that are at hand, written in one go."""

from __future__ import annotations

from attrs import frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer


@implementer(IBodyProducer)
@frozen
class Bytes:
    body: bytes

    @property
    def length(self) -> int:
        return len(self.body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:  # noqa: N802
        consumer.write(self.body)
        return succeed(None)

    def pauseProducing(self) -> None:  # noqa: N802
        """All has been written already."""

    def resumeProducing(self) -> None:  # noqa: N802
        """All has been written already."""

    def stopProducing(self) -> None:  # noqa: N802
        """All has been written already."""
