"""The transport within one process: what HttpTransport is between several, and the fake beside it.

`Loopback` carries messages by a clock, with a delay and a fate that the test decides.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from toystore.consensus.messages import Message, NodeId
from toystore.replication.transport import Inbox

Fate = Callable[[Message], list[float]]
"""The delays (seconds) with which copies of a message arrive; an empty list loses it."""


def prompt(message: Message) -> list[float]:
    """Every message arrives once, a millisecond later."""
    return [0.001]


class Loopback:
    """A network of replicas in one process. `fate` may be replaced at any time."""

    def __init__(self, clock: IReactorTime, fate: Fate = prompt) -> None:
        self._clock = clock
        self.fate = fate
        self._inboxes: dict[NodeId, Inbox] = {}

    def transport(self, node: NodeId) -> LoopbackTransport:
        return LoopbackTransport(self, node)

    def plug(self, node: NodeId, inbox: Inbox) -> None:
        self._inboxes[node] = inbox

    def unplug(self, node: NodeId, inbox: Inbox | None) -> None:
        """Unless another inbox has been plugged in meanwhile."""
        if inbox is not None and self._inboxes.get(node) is inbox:
            del self._inboxes[node]

    def carry(self, message: Message) -> None:
        for delay in self.fate(message):
            self._clock.callLater(delay, self._arrive, message)

    def _arrive(self, message: Message) -> None:
        inbox, sender = self._inboxes.get(message.to), self._inboxes.get(message.sender)
        if inbox is not None:
            inbox.receive([message])
        elif sender is not None:
            sender.unreachable(message.to, gone=True)  # as a refused connection says


class LoopbackTransport:
    """One node's plug (`replication.transport.Transport`)."""

    def __init__(self, network: Loopback, node: NodeId) -> None:
        self._network, self._node = network, node
        self._inbox: Inbox | None = None

    def attach(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._network.plug(self._node, inbox)

    def send(self, message: Message) -> None:
        if self._inbox is not None:
            self._network.carry(message)

    def close(self) -> None:
        self._network.unplug(self._node, self._inbox)
        self._inbox = None
