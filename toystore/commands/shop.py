"""`toystore shop`: customers who look, buy, and check at the end that every order is as it was promised."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import click
from attrs import frozen
from rich.table import Table
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall

from toystore.commands.loop import NO, UNSURE, USAGE, YES, CommandFailed, run
from toystore.commands.status import console
from toystore.shop.connection import Connection
from toystore.shop.dialects import DIALECTS
from toystore.shop.shopper import Crowd, Habits, NoProducts, Verdict, product_names
from toystore.shop.tally import KINDS, OUTCOMES, Tally

WRONG_SHOWN = 20


@frozen
class Trip:
    """Who shops where: `names` are the products to choose from (none: what the store lists)."""

    url: str
    dialect: str
    names: tuple[str, ...]
    clients: int
    seed: int
    habits: Habits
    seconds: float | None = None


async def gather_crowd(reactor: Any, trip: Trip) -> Crowd:
    """The customers, who know what to choose from. Raises CommandFailed (3) where the store can not be
    asked."""
    dialect = DIALECTS[trip.dialect]

    def connect() -> Connection:
        return Connection(reactor, trip.url)

    try:
        names = list(trip.names) or await product_names(connect(), dialect) or list(dialect.known)
    except NoProducts as error:
        raise CommandFailed(UNSURE, f"{trip.url}: {error}") from error
    return Crowd(reactor, connect, dialect, names, trip.clients, trip.seed)


async def until_cancelled(crowd: Crowd, habits: Habits) -> None:
    """Shop; when this is cancelled, each customer finishes what is at hand."""
    finished: Deferred[None] = Deferred()

    def finish(result: object) -> object:
        if not finished.called:
            finished.callback(None)
        return result

    shopping = Deferred.fromCoroutine(crowd.shop(habits)).addBoth(finish)
    try:
        await finished
    except CancelledError:
        crowd.leave()
    await shopping


async def go_shopping(reactor: Any, trip: Trip, output: str) -> int:
    crowd = await gather_crowd(reactor, trip)
    began = reactor.seconds()
    if trip.seconds is not None:
        reactor.callLater(trip.seconds, crowd.leave)
    progress = _show_progress(reactor, crowd)
    try:
        await until_cancelled(crowd, trip.habits)
        seconds = reactor.seconds() - began
        verdict = await crowd.verify()
    finally:
        progress()
    if output == "json":
        click.echo(json.dumps(report(trip, crowd.tally, verdict, seconds)))
    else:
        show(crowd.tally, verdict, seconds)
    return exit_code(crowd.tally, verdict)


def exit_code(tally: Tally, verdict: Verdict) -> int:
    """1 where an order is not as promised, 3 where one could not be asked for or nothing was answered at
    all."""
    if verdict.wrong:
        return NO
    if verdict.unanswered or not tally.total("2xx"):
        return UNSURE
    return YES


def report(trip: Trip, tally: Tally, verdict: Verdict, seconds: float) -> dict[str, Any]:
    """The JSON object of `toystore shop -o json`."""
    return {
        "format": 1,
        "url": trip.url,
        "dialect": trip.dialect,
        "clients": trip.clients,
        "p": trip.habits.probability,
        "seed": trip.seed,
        "seconds": round(seconds, 3),
        **tally.report(),
        "verified": verdict.verified,
        "wrong": verdict.wrong,
        "unanswered": verdict.unanswered,
    }


def show(tally: Tally, verdict: Verdict, seconds: float) -> None:
    """The same for people."""
    table = Table(box=None)
    table.add_column("milliseconds")
    for heading in ("answers", "avg", "p50", "p95", "p99", "max", *OUTCOMES):
        table.add_column(heading, justify="right")
    for kind in KINDS:
        latency = tally.latency(kind)
        figures = ["-" if latency[name] is None else f"{latency[name]:.2f}" for name in ("avg", "p50", "p95", "p99", "max")]
        table.add_row(kind, str(latency["count"]), *figures, *(str(tally.outcomes[kind][name]) for name in OUTCOMES))
    console().print(table)
    rate = tally.orders / seconds if seconds else 0.0
    click.echo(f"{tally.total()} requests in {seconds:.1f} s, {tally.orders} orders ({rate:.1f}/s)")
    click.echo(f"longest wait {tally.longest:.3f} s" + (f" ({tally.longest_kind})" if tally.longest_kind else ""))
    click.echo(in_words(verdict))


def in_words(verdict: Verdict) -> str:
    """The verdict, with the first of what is wrong."""
    lines = verdict.wrong[:WRONG_SHOWN]
    if len(verdict.wrong) > WRONG_SHOWN:
        lines.append(f"and {len(verdict.wrong) - WRONG_SHOWN} more")
    total = verdict.verified + len(verdict.wrong) + len(verdict.unanswered)
    if verdict.wrong:
        lines.append(f"MISMATCH: {verdict.verified} of {total} orders are as they were promised")
    elif verdict.unanswered:
        lines.append(f"NOT SURE: {len(verdict.unanswered)} of {total} orders could not be asked for")
    elif not total:
        lines.append("no orders were made, so there is nothing to verify")
    else:
        lines.append(f"ALL ORDERS VERIFIED: {verdict.verified}")
    return "\n".join(lines)


def _show_progress(reactor: Any, crowd: Crowd) -> Callable[[], None]:
    """A line on stderr, where that is a terminal, until the result is called."""
    if not sys.stderr.isatty():
        return lambda: None

    def line() -> None:
        sys.stderr.write(f"\r{crowd.done} iterations, {crowd.tally.orders} orders, longest {crowd.tally.longest:.2f} s ")
        sys.stderr.flush()

    looping = LoopingCall(line)
    looping.clock = reactor
    looping.start(0.5)

    def end() -> None:
        looping.stop()
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()

    return end


def span(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, int]:
    """`3` or `1..10`: whole numbers from 1."""
    low, dots, high = value.partition("..")
    try:
        found = int(low), int(high if dots else low)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a whole number nor a range such as 1..10") from None
    if not 1 <= found[0] <= found[1]:
        raise click.BadParameter(f"{value!r} must be at least 1, the lower end first")
    return found


@click.command("shop")
@click.option("--url", required=True, help="Where the store is, such as http://127.0.0.1:8080.")
@click.option("--dialect", type=click.Choice(sorted(DIALECTS)), required=True, help="What the store speaks there.")
@click.option("--iterations", type=click.IntRange(1), help="For each client. [50]")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Shop for so long instead.")
@click.option("--p", "probability", type=click.FloatRange(0, 1), default=0.4, help="Of an order. [0.4]")
@click.option("--quantity", metavar="N[..M]", callback=span, default="1..10", help="Units of an order. [1..10]")
@click.option("--clients", type=click.IntRange(1, 1000), default=5, help="At the same time. [5]")
@click.option("--product", "names", multiple=True, help="Choose from these only. May be repeated. [all]")
@click.option("--seed", type=int, default=1, help="Of the random choices. [1]")
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text", help="The shape of the report.")
def shop_command(
    url: str,
    dialect: str,
    iterations: int | None,
    seconds: float | None,
    probability: float,
    quantity: tuple[int, int],
    clients: int,
    names: tuple[str, ...],
    seed: int,
    output: str,
) -> None:
    """Send customers to a store: they look at random products, buy some, and check every order at the end.

    Each request is sent once; only the checks at the end are repeated where the store does not answer. Exit
    code 1 where an order is not as it was promised, 3 where that can not be told.
    """
    if iterations is not None and seconds is not None:
        raise CommandFailed(USAGE, "--iterations and --seconds exclude one another")
    rounds = None if seconds is not None else iterations or 50
    habits = Habits(rounds, probability, quantity)
    trip = Trip(url, dialect, names, clients, seed, habits, seconds)
    run(lambda reactor: go_shopping(reactor, trip, output))
