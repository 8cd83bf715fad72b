"""`toystore up`: the whole cluster as real processes on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import click
from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError

from toystore.commands.asking import Asker
from toystore.commands.loop import NO, USAGE, YES, CommandFailed, run
from toystore.commands.place import Place, cluster_options
from toystore.ops.addresses import parse_listen
from toystore.ops.config import Config
from toystore.supervisor import control, lock
from toystore.supervisor.cluster import CouldNotStart, Supervised
from toystore.supervisor.launch import (
    Command,
    Prefixes,
    UnknownNode,
    check_names,
    nodes_of,
    twistd_command,
)

HEALTH_SECONDS = 1.0
"""How long a node may take to say that it is ready."""


@frozen
class Wishes:
    """What `up` was asked for beside the cluster itself; `command` is what runs a node (None: the real
    roles)."""

    without: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    command: Command | None = None


class Up:
    """A supervised cluster that holds the lock of its data directory and answers on its control socket.

    `async with Up(...) as up: await up.started()`; all processes are stopped at the end.
    Raises CommandFailed where the directory is taken or the wishes make no sense.
    """

    def __init__(self, reactor: Any, place: Place, wishes: Wishes, say: Callable[[str], None]) -> None:
        nodes = nodes_of(place.config)
        try:
            check_names(wishes.without, nodes)
            prefixes = Prefixes.parse(wishes.prefixes, [node.name for node in nodes])
        except (UnknownNode, ValueError) as error:
            raise CommandFailed(USAGE, str(error)) from error
        self._reactor = reactor
        self._place = place
        self._without = wishes.without
        self._ready = False
        bootstrap = _founders(place, wishes.without)
        self._lock = _take_lock(place.data_dir)
        self.supervised = Supervised(
            reactor,
            nodes,
            place.data_dir,
            wishes.command or twistd_command(place.config_file, place.data_dir, bootstrap),
            Asker(reactor, HEALTH_SECONDS).get,
            say,
            prefixes,
        )

    async def __aenter__(self) -> Up:
        try:
            self._port = control.listen(self._reactor, self._place.data_dir, self._answer)
        except (CannotListenError, lock.UnsafeDirectory) as error:
            self._lock.close()
            raise CommandFailed(NO, f"no control socket: {error}") from error
        self.supervised.start(self._without)
        return self

    async def started(self) -> None:
        """Wait until all nodes are ready. Raises CommandFailed where one could not start."""
        try:
            await self.supervised.ready()
        except CouldNotStart as error:
            raise CommandFailed(NO, str(error)) from error
        self._ready = True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.supervised.stop()
        finally:
            await self._port.stopListening()
            self._lock.close()

    async def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        if message.get("do") == "status":
            nodes = {
                name: {"state": standing.state, "pid": standing.pid, "starts": standing.starts}
                for name, standing in self.supervised.standing().items()
            }
            return {"text": f"{len(nodes)} nodes", "pid": os.getpid(), "ready": self._ready, "nodes": nodes}
        return {"text": await self.supervised.carry_out(str(message.get("do")), str(message.get("node")))}


def _founders(place: Place, without: Sequence[str]) -> list[str]:
    """The order replicas that begin a cluster whose data directory this command makes; none where it is there already,
    for a replica that is left out may have a ledger then."""
    if any((place.data_dir / node.name).exists() for node in place.config.nodes):
        return []
    return [order.name for order in place.config.orders if order.name not in without]


def _take_lock(data_dir: Path) -> Any:
    try:
        return lock.take(data_dir)
    except lock.AlreadyUp as error:
        raise CommandFailed(NO, str(error)) from error
    except OSError as error:
        raise CommandFailed(USAGE, f"can not use the data directory {data_dir}: {error.strerror}") from error


def public_addresses(config: Config) -> dict[str, list[str]]:
    """The URLs at which this machine reaches each dialect."""
    found: dict[str, list[str]] = {}
    for front in config.fronts:
        for public in front.publics:
            found.setdefault(public.dialect, []).append(_url_of(public.listen))
    return found


def _url_of(listen: str) -> str:
    address = parse_listen(listen)
    host = "127.0.0.1" if address.interface in ("", "0.0.0.0") else address.interface
    return f"http://[{host}]:{address.port}" if ":" in host else f"http://{host}:{address.port}"


async def keep_up(reactor: Any, place: Place, wishes: Wishes) -> int:
    """Run the cluster until this is cancelled, which is its normal end."""
    began = reactor.seconds()
    click.echo(f"{place.config.cluster.name}: starting, data in {place.data_dir}")
    try:
        async with Up(reactor, place, wishes, click.echo) as up:
            await up.started()
            seconds = reactor.seconds() - began
            addresses = public_addresses(place.config).items()
            listed = ", ".join(f"{dialect} on {' and '.join(urls)}" for dialect, urls in addresses)
            click.echo(f"ready after {seconds:.1f} s: {listed}")
            await Deferred()
    except CancelledError:
        click.echo("stopped")
    return YES


@click.command("up")
@cluster_options
@click.option("--without", metavar="NODE", multiple=True, help="Leave this node down. May be repeated.")
@click.option(
    "--prefix",
    "prefixes",
    metavar="[NODE=]COMMAND",
    multiple=True,
    help="Run every process, or this node's, under a command such as 'nice -n 5'. May be repeated.",
)
def up_command(place: Place, without: Sequence[str], prefixes: Sequence[str]) -> None:
    """Run the whole cluster as real processes on this machine, until SIGINT or SIGTERM.

    Prints a line that starts with `ready` when all nodes serve. A process that dies is started again; one
    that was ended by `toystore node` stays down. What a node writes is in DATA_DIR/NODE/log.
    """
    run(lambda reactor: keep_up(reactor, place, Wishes(tuple(without), tuple(prefixes))))
