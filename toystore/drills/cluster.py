"""A real cluster as a drill needs it: its processes are supervised in this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TimedOut

from toystore.commands.asking import Asker, Unanswered
from toystore.commands.loop import CommandFailed
from toystore.commands.place import Place
from toystore.commands.status import PATIENCE, Status, ask_nodes, cluster_status
from toystore.commands.up import Up, Wishes, public_addresses
from toystore.commands.verify import Findings, examine
from toystore.drills.scene import CouldNotTell, Seen
from toystore.shop.connection import Connection
from toystore.supervisor.cluster import NotPossible

START_SECONDS = 30.0
"""How long a cluster may take until all serve."""


class Cluster:
    """A `Stage` of real processes; `async with` ends them all."""

    def __init__(self, reactor: Any, place: Place, patience: float, say: Callable[[str], None]) -> None:
        self.clock = reactor
        self.patience = patience
        self.deaths: list[str] = []
        self._place = place
        self._say = say
        self._asker = Asker(reactor, PATIENCE)
        self._up: Up | None = None
        self._waits_for: str | None = ""

    async def __aenter__(self) -> Cluster:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._up is not None:
            await self._up.__aexit__(kind, error, trace)

    async def start(self, without: Sequence[str]) -> Seen:
        try:
            up = Up(self.clock, self._place, Wishes(tuple(without)), self._hear)
            self._up = await up.__aenter__()
            await Deferred.fromCoroutine(up.started()).addTimeout(START_SECONDS, self.clock)
        except CommandFailed as failed:
            raise CouldNotTell(failed.message) from failed
        except TimedOut:
            return Seen(f"not all serve after {START_SECONDS:.0f} s: {self._waits_for}", False)
        self._waits_for = None
        return Seen("all serve", True)

    async def carry_out(self, verb: str, node: str) -> None:
        assert self._up is not None, "it has been started"
        try:
            await self._up.supervised.carry_out(verb, node)
        except NotPossible as error:
            raise CouldNotTell(str(error)) from error

    async def status(self) -> Status:
        return cluster_status(self._place.config, await ask_nodes(self._place.config, self._asker), {})

    async def ask(self, node: str, path: str) -> Any:
        url = next(found.url for found in self._place.config.nodes if found.name == node)
        try:
            status, answer = await self._asker.get(url, path)
        except Unanswered:
            return None
        return answer if status == 200 else None

    def connect(self, dialect: str) -> Connection:
        return Connection(self.clock, public_addresses(self._place.config)[dialect][0])

    def file(self, order: int) -> bytes | None:
        (projection,) = self._place.config.projections
        try:
            return projection.path_for(order, self._place.data_dir).read_bytes()
        except FileNotFoundError:
            return None

    async def examine(self) -> Findings:
        findings, _ = await examine(self.clock, self._place)
        return findings

    def _hear(self, event: str) -> None:
        """What the supervisor says: while it starts, what is waited for; later, who died and was not killed."""
        self._say(event)
        if self._waits_for is None:
            self.deaths.append(event)
        else:
            self._waits_for = event
