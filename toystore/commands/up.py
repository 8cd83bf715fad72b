"""`toystore up`: the whole cluster as real processes on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
from toystore.supervisor.ports import TAKEN, unavailable

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
    Raises CommandFailed where the directory or an address is taken or the wishes make no sense; nothing has been made then.
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
        with _refusing(place.data_dir):
            lock.look(place.data_dir)
            see_addresses(place, wishes.without)
            self._lock = lock.take(place.data_dir)
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


def see_addresses(place: Place, without: Sequence[str] = ()) -> None:
    """Raises CommandFailed where an address is not to be had of a node that is to be started: another store might answer
    there in its stead. Changes nothing."""
    missing = unavailable(place.config, without)
    if not missing:
        return
    lines = [f"{place.config.cluster.name} was not started, for it can not have all of its addresses:"]
    lines += [f"  {one.node}: {one.address} {one.reason}" for one in missing]
    taken = any(one.reason == TAKEN for one in missing)
    beside = " (with its catalog beside it)" if place.config.cluster.catalog_csv else ""
    lines.append(
        "Perhaps another store runs there: stop it, or give this one other addresses." if taken else "Give it others."
    )
    lines.append(
        f"They are `listen` and `url` in {place.config_file}; change them in a copy{beside}, and name that by --config."
    )
    raise CommandFailed(USAGE, "\n".join(lines))


@contextmanager
def _refusing(data_dir: Path) -> Iterator[None]:
    """What the lock raises becomes CommandFailed."""
    try:
        yield
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
    starting = Up(reactor, place, wishes, click.echo)
    click.echo(f"{place.config.cluster.name}: starting, data in {place.data_dir}")
    try:
        async with starting as up:
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
