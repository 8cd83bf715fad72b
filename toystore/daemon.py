"""How a role runs: the Twisted service of one process, and how that process ends when it can not go on."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure

from toystore.ops.addresses import with_backlog
from toystore.ops.config import Config, ConfigError
from toystore.ops.logs import log_observer
from toystore.ops.options import RoleOptions
from toystore.replication.replicator import ModeMismatch
from toystore.storage.database import DataDirInUse
from toystore.storage.interface import Rotten, StorageError
from toystore.web.site import LimitedSite

EX_SOFTWARE = 70
"""The exit code where a replica can not go on (sysexits.h)."""
EX_USAGE = 2

_log = Logger()


class Daemon(Service):
    """One role: `begin`, then listen, until the process is told to stop; then `end`, and close the listeners.

    What can not begin ends the process: 1 for a taken port or data directory, 70 for a broken storage, each with a
    message that says what and where.
    """

    def __init__(
        self,
        name: str,
        reactor: Any,
        begin: Callable[[], Awaitable[None]],
        end: Callable[[], Awaitable[None]],
        listeners: Sequence[tuple[str, LimitedSite]],
        close_first: bool = False,
    ) -> None:
        """`close_first`: take no new connections while `end` is under way."""
        self.name: str = name
        self._close_first = close_first
        self._reactor = reactor
        self._begin, self._end, self._listeners = begin, end, listeners
        self._ports: list[IListeningPort] = []
        self._observer = log_observer(name)

    def setServiceParent(self, parent: Any) -> None:  # noqa: N802
        """twistd asks its application for where to log before it starts it."""
        parent.setComponent(ILogObserver, self._observer)
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]

    def startService(self) -> None:  # noqa: N802
        super().startService()  # type: ignore[no-untyped-call]
        Deferred.fromCoroutine(self._start()).addErrback(lambda failure: end_process(self.name, failure))

    async def _start(self) -> None:
        await self._begin()
        for description, site in self._listeners:
            endpoint = serverFromString(self._reactor, with_backlog(description))
            self._ports.append(await endpoint.listen(site))

    def stopService(self) -> Deferred[None]:  # noqa: N802
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._close_first:
            await self._close()
        await self._end()
        await self._close()

    async def _close(self) -> None:
        ports, self._ports = self._ports, []
        for port in ports:
            stopped = port.stopListening()
            if stopped is not None:
                await stopped


def end_process(name: str, failure: Failure) -> None:
    """Say why, and end at once: nothing that is not on disk may be said any more."""
    error = failure.value
    if isinstance(error, CannotListenError):
        where = f"{error.interface or '*'}:{error.port}"
        _log.critical("{name} can not listen on {where}: the port is taken", name=name, where=where)
        code = 1
    elif isinstance(error, DataDirInUse | ModeMismatch):
        _log.critical("{name} can not start: {reason}", name=name, reason=error)
        code = 1
    elif isinstance(error, Rotten):
        _log.critical(
            "{name} can not trust its storage: {reason}. It ends; with its next start the database is put aside (below"
            " quarantine/ in its directory), and it is filled from the others",
            name=name, reason=error,
        )  # fmt: skip
        code = EX_SOFTWARE
    elif isinstance(error, StorageError):
        _log.critical("{name} can not trust its storage: {reason}", name=name, reason=error)
        code = EX_SOFTWARE
    else:
        _log.failure("{name} can not go on", failure, name=name)
        code = EX_SOFTWARE
    sys.stderr.flush()
    os._exit(code)


def run_role(role: Callable[[Config, int, Any], Daemon], options: RoleOptions) -> IService:
    """What a tap calls: read the config, and build the role on the reactor of this process."""
    from twisted.internet import reactor

    reactor.seconds = time.monotonic  # type: ignore[method-assign]  # timers must not follow the wall clock
    try:
        config = options.read_config()
        for warning in config.warnings:
            print(warning, file=sys.stderr)  # noqa: T201  # before there is a log
        return role(config, options.node_id, reactor)
    except (ConfigError, ValueError) as error:
        print(error, file=sys.stderr)  # noqa: T201  # before there is a log
        sys.exit(EX_USAGE)
