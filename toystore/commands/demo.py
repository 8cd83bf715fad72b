"""`toystore demo`: a cluster in a fresh directory, gentle customers, and a live table to watch while you
break things."""

from __future__ import annotations

import json
import os
import select
import shlex
import shutil
import sys
import tempfile
import termios
import tty
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from attrs import evolve
from rich.console import Group
from rich.live import Live
from rich.text import Text
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from toystore.commands.asking import Asker
from toystore.commands.loop import UNSURE, USAGE, YES, CommandFailed, run
from toystore.commands.place import Place, cluster_options, packaged_place
from toystore.commands.shop import Trip, exit_code, gather_crowd, in_words
from toystore.commands.status import (
    PATIENCE,
    Status,
    ask_nodes,
    cluster_status,
    console,
    status_table,
)
from toystore.commands.up import Up, Wishes, public_addresses, see_addresses
from toystore.ops.catalog_csv import read_catalog
from toystore.shop.crowd import Crowd
from toystore.shop.dialects import DIALECTS
from toystore.shop.shopper import Habits

CLIENTS = 5
GENTLE = Habits(iterations=None, probability=0.5, quantity=(1, 2), pause=0.1)
"""About 25 orders a second."""
LOOK_SECONDS = 0.5
LINE_SECONDS = 2.0
"""How often the table is drawn, or, without a terminal, a line printed."""
EVENTS_SHOWN = 8


class Watch:
    """What there is to see of a running demonstration."""

    def __init__(self, reactor: Any, place: Place, up: Up, crowd: Crowd) -> None:
        self.events: deque[str] = deque(maxlen=EVENTS_SHOWN)
        self._reactor = reactor
        self._place = place
        self._up = up
        self._crowd = crowd
        self._asker = Asker(reactor, PATIENCE)
        self._began = reactor.seconds()
        self._leader: str | None = None
        self._before = (self._began, 0)

    @property
    def seconds(self) -> float:
        return float(self._reactor.seconds() - self._began)

    async def look(self) -> Status:
        """Ask all nodes, and believe only the processes of this cluster; a change of leader becomes an event."""
        supervised = self._up.supervised
        answers = await ask_nodes(self._place.config, self._asker)
        own = {name: answer for name, answer in answers.items() if supervised.is_own(name, answer)}
        pids = {name: standing.pid for name, standing in supervised.standing().items()}
        status = cluster_status(self._place.config, own, pids)
        if status["leader"] and status["leader"] != self._leader:
            self.happened(f"{status['leader']} leads")
            self._leader = status["leader"]
        return status

    def happened(self, event: str) -> None:
        self.events.append(f"{self.seconds:7.1f} s  {event}")

    def summary(self) -> str:
        """The counts, and the rate of orders since the last call."""
        now, orders = self._reactor.seconds(), self._crowd.tally.orders
        since, before = self._before
        rate = (orders - before) / (now - since) if now > since else 0.0
        self._before = (now, orders)
        return f"{self.counts()}, {rate:.1f} orders/s"

    def counts(self) -> str:
        """What came of the customers' requests, and the longest wait of any."""
        tally = self._crowd.tally
        failed = sum(tally.total(outcome) for outcome in ("5xx", "reset", "timeout", "unreachable"))
        return f"{tally.orders} orders, {tally.total('4xx')} refused, {failed} failed, longest wait {tally.longest:.2f} s"

    def line(self, status: Status) -> str:
        """All of it in one line."""
        up = sum(row["state"] != "down" for row in status["nodes"])
        leader = status["leader"] or "none"
        nodes = f"{up} of {len(status['nodes'])} nodes up"
        return f"{self.seconds:6.1f} s  leader {leader}, {nodes}, {self.summary()}"


def this_command() -> str:
    """How the command that runs now is called from another terminal."""
    program = Path(sys.argv[0])
    if program.name == "toystore" and shutil.which("toystore") == str(program.absolute()):
        return "toystore"
    if program.name == "toystore" and program.is_file():
        return shlex.quote(str(program.absolute()))
    checkout = Path(__file__).resolve().parent.parent.parent
    return f"PYTHONPATH={shlex.quote(str(checkout))} {shlex.quote(sys.executable)} -m toystore"


def introduction(place: Place, leader: str) -> str:
    """Where everything is, and what to try, such as an order for the first product of the catalog."""
    addresses = public_addresses(place.config)
    cluster = place.config.cluster
    rows = read_catalog(cluster.catalog_csv, cluster.currency) if cluster.catalog_csv else ()
    product = rows[0].name if rows else "Fox"
    lines = [f"{dialect:<7} {url}" for dialect, urls in addresses.items() for url in urls]
    lines.append(f"data    {place.data_dir}")
    if "v1" in addresses:
        body = json.dumps({"side": "buy", "lines": [{"name": product, "quantity": 1}]})
        lines.append(f"order   curl -s {addresses['v1'][0]}/v1/orders -d {shlex.quote(body)}")
    where = f"--config {shlex.quote(str(place.config_file))} --data-dir {shlex.quote(str(place.data_dir))}"
    lines.append(f"kill the leader: {this_command()} node kill {leader} {where}")
    lines.append(f"start it again:  {this_command()} node start {leader} {where}")
    return "\n".join(lines)


async def demonstrate(reactor: Any, place: Place, dialect: str, seconds: float | None) -> int:
    """Up, shop, watch until it is over, verify. The exit code is that of the verdict."""
    urls = public_addresses(place.config).get(dialect)
    if not urls:
        raise CommandFailed(USAGE, f"{place.config_file} has no public listener for the dialect {dialect}")
    say: Callable[[str], None] = click.echo

    def tell(event: str) -> None:
        say(event)  # which changes: to the table while there is one

    click.echo(f"starting {len(place.config.nodes)} nodes, data in {place.data_dir}")
    async with Up(reactor, place, Wishes(), tell) as up:
        await up.started()
        crowd = await gather_crowd(reactor, Trip(urls[0], dialect, (), CLIENTS, 1, GENTLE))
        watch = Watch(reactor, place, up, crowd)
        first = await watch.look()
        intro = introduction(place, first["leader"] or place.config.orders[-1].name)
        shopping = Deferred.fromCoroutine(crowd.shop(GENTLE))
        say = watch.happened if sys.stdout.isatty() else click.echo
        try:
            await _watch(reactor, watch, intro, seconds)
        except CancelledError:
            click.echo("interrupted: verifying every order")
        say = click.echo
        crowd.leave()
        await shopping
        verdict = await crowd.verify()
        click.echo(watch.counts())
        click.echo(in_words(verdict))
        return exit_code(crowd.tally, verdict)


async def _watch(reactor: Any, watch: Watch, intro: str, seconds: float | None) -> None:
    """Show what happens for so many seconds, or until `q` is pressed."""
    if not sys.stdout.isatty():
        click.echo(intro)
        while seconds is None or watch.seconds < seconds:
            left = LINE_SECONDS if seconds is None else min(LINE_SECONDS, seconds - watch.seconds)
            await deferLater(reactor, max(left, 0.0))
            click.echo(watch.line(await watch.look()))
        return
    screen = console()
    click.echo(f"{intro}\npress q to stop and verify every order\n")
    with _keys() as pressed, Live(console=screen, auto_refresh=False) as live:
        while "q" not in pressed() and (seconds is None or watch.seconds < seconds):
            table = status_table(await watch.look())
            live.update(Group(table, Text(watch.summary()), Text("\n".join(watch.events))), refresh=True)
            await deferLater(reactor, LOOK_SECONDS)


@contextmanager
def _keys() -> Iterator[Callable[[], str]]:
    """A function that gives the keys pressed since its last call, unechoed; none where stdin is no
    terminal."""
    if not sys.stdin.isatty():
        yield lambda: ""
        return
    terminal = sys.stdin.fileno()

    def pressed() -> str:
        readable, _, _ = select.select([terminal], [], [], 0)
        return os.read(terminal, 64).decode("ascii", "replace") if readable else ""

    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield pressed
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


@click.command("demo")
@cluster_options
@click.option("--dialect", type=click.Choice(sorted(DIALECTS)), default="v1", help="Of the customers. [v1]")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="How long. [until q or Ctrl-C]")
def demo_command(place: Place, dialect: str, seconds: float | None) -> None:
    """Run a cluster in a fresh directory, send it gentle customers, and show what happens.

    Without --config it is the packaged cluster that speaks the dialect. The data is in a temporary directory
    of its own, or in a new one under DATA_DIR where that is given. At the end every order is verified; exit
    code 1 where one is not as it was promised. The data is removed where all is well.
    """
    options = click.get_current_context().params
    given = options.get("data_dir")
    if options.get("config") is None:
        place = packaged_place(dialect, given)
    see_addresses(place)
    if given is not None:
        given.mkdir(mode=0o700, parents=True, exist_ok=True)
    data_dir = Path(tempfile.mkdtemp(prefix="toystore-demo-", dir=given)).absolute()
    cluster = evolve(place.config.cluster, data_dir=data_dir)
    fresh = evolve(place, config=evolve(place.config, cluster=cluster), data_dir=data_dir)

    async def main(reactor: Any) -> int:
        code = UNSURE
        try:
            code = await demonstrate(reactor, fresh, dialect, seconds)
        finally:
            if code == YES:
                shutil.rmtree(data_dir)
            else:
                click.echo(f"the data stays in {data_dir}")
        return code

    run(main)
