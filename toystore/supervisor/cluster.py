"""All processes of a cluster on one machine: started, watched until they serve, changed on request,
stopped."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import DeferredList
from twisted.internet.task import deferLater

from toystore.supervisor.child import Child, Condition, Exit, NodeLog, leads, signal_group
from toystore.supervisor.launch import Command, Node, Prefixes, environment, leashed
from toystore.together import together

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 3.0
"""While the cluster is not ready: how often it is said what is waited for."""
START_SECONDS = 30.0
"""How long `start` waits for a node to answer."""

Ask = Callable[[str, str], Awaitable[tuple[int, Any]]]
"""GET this path of this URL: the status and the decoded JSON body (None where it is none).
Raises OSError where nothing answers."""


class CouldNotStart(Exception):
    """A node ended by itself before it had ever served, or another process took its address before the cluster was ready;
    the message names it and the reason, for each such node."""


class NotPossible(Exception):
    """What was asked for can not be done; the message says why."""


@frozen
class Standing:
    """How one process stands: `state` is running, paused, waiting (for its restart) or stopped (on
    purpose)."""

    state: str
    pid: int | None
    starts: int


class Supervised:
    """The processes of `nodes`, each run by `command(node)`, on a reactor of the caller's.

    `ask` reaches the nodes' health pages, `say` is told, in one line each, what happens.
    """

    def __init__(
        self,
        reactor: Any,
        nodes: Sequence[Node],
        data_dir: Path,
        command: Command,
        ask: Ask,
        say: Callable[[str], None],
        prefixes: Prefixes | None = None,
        send: Callable[[int, int], None] = signal_group,
    ) -> None:
        self.nodes = {node.name: node for node in nodes}
        self._reactor = reactor
        self._ask = ask
        self._say = say
        self._starting = True
        self._failures: list[str] = []
        self._logs: dict[str, NodeLog] = {}
        self._children: dict[str, Child] = {}
        under = prefixes or Prefixes()
        surroundings = environment()
        for node in nodes:
            log = self._logs[node.name] = NodeLog(data_dir / node.name)
            argv = leashed(command(node), under.of(node.name), os.getpid())
            self._children[node.name] = Child(reactor, node.name, argv, surroundings, log, self._died, send)

    def start(self, without: Collection[str] = ()) -> None:
        """Start all but `without`."""
        for name, child in self._children.items():
            if name not in without:
                child.start()

    async def ready(self) -> None:
        """Wait until every node that is not down on purpose says that it is ready.

        Raises CouldNotStart where one of them ends by itself before that, in its first run, or in any because its address
        is taken.
        """
        complain_at = self._reactor.seconds() + PATIENCE_SECONDS
        while True:
            waiting = await self._unready()
            if self._failures:
                raise CouldNotStart("\n".join(self._failures))
            if not waiting:
                self._starting = False
                return
            if self._reactor.seconds() >= complain_at:
                self._say("waiting for " + ", ".join(waiting))
                complain_at = self._reactor.seconds() + PATIENCE_SECONDS
            await deferLater(self._reactor, POLL_SECONDS)

    async def stop(self) -> None:
        """Stop all: SIGTERM to each, SIGKILL after a while, or at once when this is cancelled."""
        try:
            await DeferredList([child.stop() for child in self._children.values()])
        finally:
            for child in self._children.values():
                child.kill()
            for log in self._logs.values():
                log.close()

    def standing(self) -> dict[str, Standing]:
        """How each process stands, by the name of its node."""
        return {name: Standing(child.condition.value, child.pid, child.runs) for name, child in self._children.items()}

    def is_own(self, name: str, status: Any) -> bool:
        """Whether this answer to `/status` is that of the process which was started for the node. At its address may listen
        a node of another store, by the same name."""
        told, own = _pid_of(status), self._children[name].pid
        return told is not None and own is not None and leads(own, told)

    async def carry_out(self, verb: str, name: str) -> str:
        """stop, start, kill, pause or resume a node; waits until it is done and says what was. Raises
        NotPossible."""
        child = self._children.get(name)
        if child is None:
            raise NotPossible(f"there is no node {name!r}; this cluster has {', '.join(self._children)}")
        if verb == "start":
            return await self._start_one(child)
        if verb in ("pause", "resume"):
            return self._hold(child, verb)
        if verb not in ("stop", "kill"):
            raise NotPossible(f"unknown verb {verb!r}; known are stop, start, kill, pause, resume")
        if child.condition is Condition.STOPPED and not child.has_process():
            return f"{name} is down already"
        await (child.stop() if verb == "stop" else child.kill())
        return f"{name} is {'stopped' if verb == 'stop' else 'killed'}, and stays down until it is started"

    def _hold(self, child: Child, verb: str) -> str:
        now, wanted = child.condition, Condition.PAUSED if verb == "pause" else Condition.RUNNING
        if now is wanted:
            return f"{child.name} is {now.value} already"
        if now not in (Condition.RUNNING, Condition.PAUSED):
            raise NotPossible(f"{child.name} can not be {verb}d: it is {now.value}")
        (child.pause if verb == "pause" else child.resume)()
        return f"{child.name} is {'paused' if verb == 'pause' else 'running again'}"

    async def _start_one(self, child: Child) -> str:
        if child.condition is Condition.PAUSED:
            raise NotPossible(f"{child.name} is paused; resume it")
        if child.condition is Condition.RUNNING:
            return f"{child.name} is running already"
        if child.has_process():
            raise NotPossible(f"{child.name} is about to end; try again when it has")
        child.start()
        run, deadline = child.runs, self._reactor.seconds() + START_SECONDS
        while not await self._lives(child.name):
            if child.runs != run or not child.has_process():
                reason = self._logs[child.name].last_word()
                raise NotPossible(f"{child.name} ended again at once" + (f": {reason}" if reason else ""))
            if self._reactor.seconds() > deadline:
                raise NotPossible(f"{child.name} was started, but has not answered for {START_SECONDS:.0f} s")
            await deferLater(self._reactor, POLL_SECONDS)
        return f"{child.name} is up"

    def _died(self, child: Child, end: Exit, delay: float) -> bool:
        if self._starting and end.code and (child.runs == 1 or end.address_taken):
            self._failures.append(f"{child.name} could not start: {end.reason or end}")
            return False
        self._say(f"{child.name} {end}; starting it again in {delay:.1f} s")
        return True

    async def _unready(self) -> list[str]:
        """What is waited for, in words: the nodes with each reason."""
        wanted = [name for name, child in self._children.items() if child.condition is not Condition.STOPPED]
        names: dict[str, list[str]] = {}
        for name, fault in zip(wanted, await together(map(self._fault_of, wanted)), strict=True):
            if fault is not None:
                names.setdefault(fault, []).append(name)
        return [f"{', '.join(found)} ({fault})" for fault, found in names.items()]

    async def _fault_of(self, name: str) -> str | None:
        """Why a node is not ready, None if it is. Who answers is asked first: once the node itself has the address, nobody
        else can."""
        who = await self._answer(name, "/status")
        if who is not None and not self.is_own(name, who[1]):
            pid = _pid_of(who[1])
            return "something else answers there" if pid is None else f"process {pid}, which is not its own, answers there"
        answer = None if who is None else await self._answer(name, "/readyz")
        if answer is None:
            return "no answer yet"
        status, body = answer
        if status == 200:
            return None
        reasons = body.get("reasons") if isinstance(body, dict) else None
        return "; ".join(map(str, reasons)) if isinstance(reasons, list) and reasons else f"answers {status}"

    async def _lives(self, name: str) -> bool:
        """Whether the node answers. Its status may wait for a slow disk: then whoever answers is taken for the node."""
        if await self._answer(name, "/livez") is None:
            return False
        who = await self._answer(name, "/status")
        return who is None or self.is_own(name, who[1])

    async def _answer(self, name: str, path: str) -> tuple[int, Any] | None:
        try:
            return await self._ask(self.nodes[name].url, path)
        except OSError:
            return None


def _pid_of(status: Any) -> int | None:
    pid = status.get("pid") if isinstance(status, dict) else None
    return pid if isinstance(pid, int) else None
