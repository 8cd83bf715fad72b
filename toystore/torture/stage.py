"""What faults act on, and the claims by which two of them keep off one thing."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue
from twisted.python.failure import Failure

from toystore.supervisor.launch import environment, leashed
from toystore.torture.ground import NoGround
from toystore.torture.layout import Layout
from toystore.torture.nodes import Nodes
from toystore.torture.shims import Shims
from toystore.torture.weather import Weather, to_list, together

POLL_SECONDS = 0.1


class Skipped(Exception):
    """A fault can not happen now; the message says why."""


class Fault(Protocol):
    """One fault: it is begun, and, some time later, taken away again."""

    async def begin(self, stage: Stage) -> str:
        """What was done, for the log. Raises Skipped; then `end` is not called."""

    async def end(self, stage: Stage) -> None: ...


class Sky:
    """The weather of the network: what the faults that are under way have made of it, told to the switch."""

    def __init__(self, reactor: Any, ports: Mapping[str, tuple[str, int]], seed: int) -> None:
        """`ports`: address and file descriptor of each member."""
        self.counts: dict[str, int] = {}
        self._layers: dict[object, Weather] = {}
        self._switch = _Switch(self._said, self._gone)
        self._waiting: list[Deferred[None]] = []
        numbered = {name: (address, fd) for name, (address, fd) in ports.items()}
        command = [sys.executable, "-m", "toystore.torture.switch", str(seed), json.dumps(numbered)]
        fds = {fd: fd for _, fd in ports.values()}
        argv = leashed(command, (), os.getpid())
        reactor.spawnProcess(self._switch, argv[0], argv, env=environment(), childFDs={0: "w", 1: "r", 2: 2, **fds})

    async def put(self, key: object, weather: Weather) -> None:
        """A layer under this key, until it is lifted."""
        self._layers[key] = weather
        await self._tell()

    async def lift(self, key: object) -> None:
        self._layers.pop(key, None)
        await self._tell()

    def close(self) -> Deferred[None]:
        """Fires once the switch has ended and `counts` are there."""
        self._switch.transport.closeStdin()
        return self._switch.ended

    async def _tell(self) -> None:
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        self._switch.transport.writeToChild(0, json.dumps(to_list(together(self._layers.values()))).encode() + b"\n")
        await done

    def _gone(self) -> None:
        """The switch has ended; who waits for it fails."""
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.errback(NoGround("the switch has ended: there is no network any more"))

    def _said(self, line: bytes) -> None:
        if line == b"ok":
            self._waiting.pop(0).callback(None)
        elif line:
            self.counts = json.loads(line)


class _Switch(ProcessProtocol):
    transport: Any

    def __init__(self, said: Callable[[bytes], None], gone: Callable[[], None]) -> None:
        self.ended: Deferred[None] = Deferred()
        self._said = said
        self._gone = gone
        self._rest = b""

    def outReceived(self, data: bytes) -> None:  # noqa: N802
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._said(line)

    def processEnded(self, reason: Failure) -> None:  # noqa: N802
        self._gone()
        if reason.check(ProcessDone):
            self.ended.callback(None)
        else:
            self.ended.errback(reason)


class Watch(Protocol):
    """What is known of the nodes."""

    async def look(self) -> Mapping[str, Mapping[str, Any] | None]:
        """What each replica says of itself now, None where it does not answer."""

    def leader(self) -> str | None:
        """Whoever was seen to lead last."""


@define
class Stage:
    """`lose(node)` is called before a process is ended; `disk(order)` is where a replica has its data."""

    reactor: Any
    layout: Layout
    nodes: Nodes
    shims: Shims
    sky: Sky
    watch: Watch
    disk: Callable[[str], Path]
    lose: Callable[[str], None]
    _taken: set[str] = field(factory=set)

    # Claims

    def take(self, what: str, targets: Iterable[str]) -> str:
        """The first of `targets` of which nobody has taken `what` ("process", "disk", ...), which is now taken. Raises
        Skipped."""
        for target in targets:
            if f"{what} {target}" not in self._taken:
                self._taken.add(f"{what} {target}")
                return target
        raise Skipped(f"other faults have every {what} it could take")

    def take_all(self, what: str, targets: Sequence[str]) -> None:
        """Each of them. Raises Skipped, and has taken none then."""
        wanted = {f"{what} {target}" for target in targets}
        if wanted & self._taken:
            raise Skipped(f"other faults have {', '.join(sorted(wanted & self._taken))}")
        self._taken |= wanted

    def free(self, what: str, targets: Iterable[str]) -> None:
        self._taken -= {f"{what} {target}" for target in targets}

    # Deeds

    async def kill(self, *nodes: str) -> None:
        for node in nodes:
            self.lose(node)
        for ended in [self.nodes.kill(node) for node in nodes]:
            await ended

    async def stop(self, node: str) -> None:
        self.lose(node)
        await self.nodes.stop(node)

    async def run(self, command: Sequence[str]) -> None:
        """Raises NoGround where the program fails."""
        out, err, code = await getProcessOutputAndValue(command[0], command[1:], os.environ, reactor=self.reactor)
        if code:
            raise NoGround(f"{' '.join(command)}: {(err or out).decode(errors='replace').strip()}")

    async def pause(self, seconds: float) -> None:
        await deferLater(self.reactor, seconds)

    async def until(self, look: Callable[[], Awaitable[bool]], seconds: float) -> bool:
        """Whether it came true within so many seconds."""
        deadline = self.reactor.seconds() + seconds
        while not await look():
            if self.reactor.seconds() >= deadline:
                return False
            await self.pause(POLL_SECONDS)
        return True

    # Who leads

    async def leader(self) -> str | None:
        """Of those who say that they lead now, the one in the highest term; None where nobody does."""
        return leader_of(await self.watch.look())

    async def leader_first(self, targets: Sequence[str]) -> list[str]:
        """The leader, now or as it was last seen, then the rest of `targets`."""
        leader = await self.leader() or self.watch.leader()
        return list(targets) if leader is None else [leader, *(target for target in targets if target != leader)]


def leader_of(said: Mapping[str, Mapping[str, Any] | None]) -> str | None:
    """Of those who say that they lead, the one in the highest term."""
    claims = [(status["term"], name) for name, status in said.items() if status and status.get("state") == "leader"]
    return max(claims)[1] if claims else None


def out_of_sync(said: Mapping[str, Mapping[str, Any] | None], names: Iterable[str]) -> list[str]:
    """Those of `names` that do not say that they count and follow, or lead."""
    return [name for name in names if not (status := said.get(name)) or not status.get("in_sync")]
