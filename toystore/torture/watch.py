"""Who leads, as the replicas say: asked all the time, and written down where it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field, frozen
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from toystore.commands.asking import Asker, Unanswered
from toystore.supervisor.launch import Node
from toystore.together import together
from toystore.torture.stage import leader_of

EVERY_SECONDS = 0.5
PATIENCE = 0.8

log = Logger()


@frozen
class Led:
    """A replica was first seen to lead in a term: `at` seconds of the monotonic clock."""

    at: float
    leader: str
    term: int


@define
class Observer:
    """Asks `replicas` for their status; a `Watch`."""

    reactor: Any
    asker: Asker
    replicas: Sequence[Node]
    reigns: list[Led] = field(factory=list)
    _terms: set[tuple[str, int]] = field(factory=set)
    _loop: LoopingCall | None = None

    def start(self) -> None:
        self._loop = LoopingCall(self.look)
        self._loop.clock = self.reactor
        self._loop.start(EVERY_SECONDS).addErrback(lambda failure: log.failure("nobody watches any more", failure))

    def stop(self) -> None:
        if self._loop is not None and self._loop.running:
            self._loop.stop()

    async def look(self) -> Mapping[str, Mapping[str, Any] | None]:
        said = dict(await together(self._ask(node) for node in self.replicas))
        leader = leader_of(said)
        if leader is not None:
            term = int((said[leader] or {})["term"])
            if (leader, term) not in self._terms:
                self._terms.add((leader, term))
                self.reigns.append(Led(self.reactor.seconds(), leader, term))
        return said

    def leader(self) -> str | None:
        return self.reigns[-1].leader if self.reigns else None

    async def _ask(self, node: Node) -> tuple[str, Mapping[str, Any] | None]:
        try:
            status, answer = await self.asker.get(node.url, "/status", PATIENCE)
        except Unanswered:
            return node.name, None
        return node.name, answer if status == 200 and isinstance(answer, dict) else None
