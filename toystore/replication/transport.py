"""How messages between replicas travel.

A transport may lose, delay, repeat and reorder messages; it never changes one, and it never raises. `HttpTransport`
carries lists of messages by `POST /peer/step`: the answer to a request brings the replies to the messages in it, so that
an append is one round trip.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IAgent

from toystore.consensus.messages import Message, NodeId, Reply
from toystore.encoding import EncodingError
from toystore.replication.wire import Envelope, decode_envelope, encode_envelope
from toystore.web.client import Calls, Reached
from toystore.web.interface import Broken, Refused, Unreachable

PATH = "/peer/step"
VIEW_PATH = "/peer/view"
"""Between replicas and the register of views, in both directions."""


class Inbox(Protocol):
    """Where messages arrive."""

    def receive(self, messages: Sequence[Message]) -> Deferred[None]:
        """Fires once everything these led to is on disk and has been given to the transport."""

    def unreachable(self, peer: NodeId, gone: bool) -> None:
        """A message to `peer` was lost; `gone`: nobody listens at its address, so its process has ended."""


class Transport(Protocol):
    def attach(self, inbox: Inbox) -> None: ...

    def send(self, message: Message) -> None: ...

    def close(self) -> None: ...


@define(eq=False)
class _Answer:
    """What rides in the answer to one open request. Two of them are never equal, whatever they carry."""

    messages: list[Message] = field(factory=list)


class HttpTransport:
    """Messages as JSON over persistent connections, several at once to one peer; `registers` are those of the peers that
    are asked at the path of views.

    `timeout` (seconds) bounds one round trip: a peer that takes longer counts as unreachable for what was in it.
    """

    log = Logger()

    def __init__(
        self,
        cluster: str,
        node: NodeId,
        urls: Mapping[NodeId, str],
        agent: IAgent,
        clock: IReactorTime,
        timeout: float,
        connections: int = 4,
        path: str = PATH,
        registers: Collection[NodeId] = (),
    ) -> None:
        self._cluster, self._node = cluster, node
        self._inbox: Inbox | None = None
        self._waiting: dict[NodeId, deque[_Answer]] = {peer: deque() for peer in urls}
        self._links = {
            peer: _Link(
                self, peer, Calls(url, agent, clock, timeout), VIEW_PATH if peer in registers else path, connections
            )
            for peer, url in urls.items()
        }  # fmt: skip

    def attach(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def send(self, message: Message) -> None:
        """A reply rides in the answer to a request of its receiver, if one is open."""
        waiting = self._waiting.get(message.to)
        if waiting and isinstance(message, Reply):
            waiting[0].messages.append(message)
        elif message.to in self._links:
            self._links[message.to].put(message)

    async def receive(self, body: bytes) -> bytes:
        """The answer to a body of `POST /peer/step`. Raises EncodingError."""
        envelope = decode_envelope(body, self._cluster)
        answer = _Answer()
        waiting = self._waiting.get(envelope.sender)
        if waiting is not None and self._inbox is not None:
            waiting.append(answer)
            try:
                await self._inbox.receive(envelope.messages)
            finally:
                waiting.remove(answer)
        return self.encode(answer.messages)

    def encode(self, messages: Sequence[Message]) -> bytes:
        return encode_envelope(Envelope(self._cluster, self._node, tuple(messages)))

    def arrived(self, body: bytes) -> None:
        """Take in the answer to a request of ours."""
        messages = decode_envelope(body, self._cluster).messages
        if messages and self._inbox is not None:
            self._inbox.receive(messages)

    def lost(self, peer: NodeId, gone: bool) -> None:
        if self._inbox is not None:
            self._inbox.unreachable(peer, gone)

    def close(self) -> None:
        for link in self._links.values():
            link.close()


class _Link:
    """Requests to one peer: what gathers while all connections are busy goes together, the oldest is dropped first."""

    QUEUE = 64

    def __init__(self, transport: HttpTransport, peer: NodeId, calls: Calls, path: str, connections: int) -> None:
        self._transport, self._peer, self._calls, self._connections = transport, peer, calls, connections
        self._path = path
        self._queue: deque[Message] = deque(maxlen=self.QUEUE)
        self._busy: set[Deferred[Any]] = set()
        self._up: bool | None = None
        self._closed = False

    def put(self, message: Message) -> None:
        self._queue.append(message)
        self._post_next()

    def _post_next(self) -> None:
        if self._queue and len(self._busy) < self._connections and not self._closed:
            body = self._transport.encode(self._queue)
            self._queue.clear()
            request = self._calls.post(self._path, body)
            self._busy.add(request)
            request.addCallback(self._answered).addErrback(self._lost)
            request.addErrback(lambda failure: self._transport.log.failure("an answer could not be used", failure))
            request.addCallback(self._done, request)

    def _answered(self, answer: Reached) -> None:
        if answer.status != 200:
            raise Broken(f"{self._peer} answered {answer.status}: {answer.body[:200]!r}")
        if self._up is not True:
            self._transport.log.info("{peer} is reachable", peer=self._peer)
            self._up = True
        self._transport.arrived(answer.body)

    def _lost(self, failure: Failure) -> None:
        failure.trap(Unreachable, Broken, EncodingError)
        if self._up is not False:
            self._transport.log.info("{peer} can not be reached: {reason}", peer=self._peer, reason=failure.value)
            self._up = False
        self._transport.lost(self._peer, gone=isinstance(failure.value, Refused))

    def _done(self, _: object, request: Deferred[Any]) -> None:
        self._busy.discard(request)
        self._post_next()

    def close(self) -> None:
        self._closed = True
        self._queue.clear()
        for request in list(self._busy):
            request.cancel()
