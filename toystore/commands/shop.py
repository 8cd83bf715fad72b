"""`toystore shop`: customers who look, buy, and check at the end that every order is as it was promised."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import click
from attrs import evolve, frozen
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall

from toystore.commands.loop import NO, UNSURE, USAGE, YES, CommandFailed, run
from toystore.commands.status import console
from toystore.shop.cases import CASES, NoAnswer, try_case
from toystore.shop.connection import Connection
from toystore.shop.crowd import Crowd, NoLog, NoProducts, product_names
from toystore.shop.dialects import DIALECTS
from toystore.shop.events import Event, Tell, tell_nobody
from toystore.shop.shopper import Habits
from toystore.shop.styles import STYLES, Style
from toystore.shop.tally import KINDS, OUTCOMES, Tally
from toystore.shop.verdict import Verdict

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


async def gather_crowd(reactor: Any, trip: Trip, tell: Tell = tell_nobody) -> Crowd:
    """The customers, who know what to choose from and have arrived. Raises CommandFailed (3) where the store can not be
    asked."""
    dialect = DIALECTS[trip.dialect]

    def connect() -> Connection:
        return Connection(reactor, trip.url)

    try:
        names = list(trip.names) or await product_names(connect(), dialect) or list(dialect.known)
        crowd = Crowd(reactor, connect, dialect, names, trip.clients, trip.seed, tell)
        await crowd.arrive()
    except (NoProducts, NoLog) as error:
        raise CommandFailed(UNSURE, f"{trip.url}: {error}") from error
    return crowd


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


async def go_shopping(reactor: Any, trip: Trip, output: str, style: Style | None) -> int:
    lines = output == "text" and style is not None

    def tell(event: Event) -> None:
        if lines and style is not None and (line := style.line(event)) is not None:
            click.echo(line)

    crowd = await gather_crowd(reactor, trip, tell)
    began = reactor.seconds()
    if trip.seconds is not None:
        reactor.callLater(trip.seconds, crowd.leave)
    end_progress = show_progress(reactor, trip, crowd) if not lines else lambda: None
    try:
        await until_cancelled(crowd, trip.habits)
        seconds = reactor.seconds() - began
        verdict = await crowd.verify()
    finally:
        end_progress()
    if output == "json":
        click.echo(json.dumps(report(trip, crowd.tally, verdict, seconds)))
    elif style is not None:
        for line in (*style.summary(crowd.tally, verdict, trip.habits), *verdict.remarks):
            click.echo(line)
    else:
        show(crowd.tally, verdict, seconds)
    return exit_code(crowd.tally, verdict)


async def go_through_cases(reactor: Any, url: str, output: str) -> int:
    """The scripted cases, each with what was expected and seen; 1 where these differ."""
    sender = Connection(reactor, url)
    judged = []
    try:
        for number, case in enumerate(CASES, 1):
            result = await try_case(sender, case)
            judged.append(result)
            if output == "text":
                click.echo(f"case {number}, {case.label}")
                click.echo(f"    expected  {result.expected}")
                click.echo(f"    seen      {result.seen}{'' if result.right else '   WRONG'}")
    except NoAnswer as error:
        raise CommandFailed(UNSURE, f"{url}: {error}") from error
    right = sum(result.right for result in judged)
    if output == "json":
        cases = [
            {"label": result.case.label, "expected": result.expected, "seen": result.seen, "right": result.right}
            for result in judged
        ]
        click.echo(json.dumps({"format": 1, "url": url, "cases": cases}))
    else:
        click.echo(f"{right} of {len(judged)} cases as expected")
    return YES if right == len(judged) else NO


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
        "remarks": verdict.remarks,
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
    lines += verdict.remarks
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


def show_progress(reactor: Any, trip: Trip, crowd: Crowd) -> Callable[[], None]:
    """A bar on stderr, where that is a terminal, until the result is called."""
    if not sys.stderr.isatty():
        return lambda: None
    columns = (BarColumn(), TextColumn("{task.percentage:3.0f} %  {task.description}"), TimeElapsedColumn())
    bar = Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
    total = trip.seconds or (trip.habits.iterations or 0) * trip.clients
    task = bar.add_task("", total=total)
    began = reactor.seconds()

    def look() -> None:
        tally = crowd.tally
        done = crowd.done if trip.seconds is None else reactor.seconds() - began
        words = f"{crowd.done} iterations, {tally.orders} orders, longest wait {tally.longest:.2f} s"
        bar.update(task, completed=min(done, total), description=words, refresh=True)

    bar.start()
    looping = LoopingCall(look)
    looping.clock = reactor
    looping.start(0.2)

    def end() -> None:
        looping.stop()
        bar.stop()

    return end


def span(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """`3` or `1..10`: whole numbers from 1."""
    if value is None:
        return None
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
@click.option("--p", "probability", type=click.FloatRange(0, 1), help="Of an order. [0.4]")
@click.option("--quantity", metavar="N[..M]", callback=span, help="Units of an order. [1..10]")
@click.option("--clients", type=click.IntRange(1, 1000), help="At the same time. [5]")
@click.option("--product", "names", multiple=True, help="Choose from these only. May be repeated. [all]")
@click.option("--seed", type=int, default=1, help="Of the random choices. [1]")
@click.option("--like", type=click.Choice(sorted(STYLES)), help="Shop and print as the client of this older store did.")
@click.option("--cases", is_flag=True, help="Go through the scripted cases of the trader's client instead.")
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text", help="The shape of the report.")
def shop_command(
    url: str,
    dialect: str,
    iterations: int | None,
    seconds: float | None,
    probability: float | None,
    quantity: tuple[int, int] | None,
    clients: int | None,
    names: tuple[str, ...],
    seed: int,
    like: str | None,
    cases: bool,
    output: str,
) -> None:
    """Send customers to a store: they look at random products, buy some, and check every order at the end.

    Each request is sent once; only the checks at the end are repeated where the store does not answer. Where
    orders have no numbers (books) they are checked by the store's log of changes. --like is for one client,
    unless --clients says otherwise: toys 50 iterations, each order asked for right after it was bought;
    bazaar 100 iterations, 1..100 units. Exit code 1 where an order is not as it was promised, 3 where that can
    not be told.
    """
    if cases:
        if dialect != "trader":
            raise CommandFailed(USAGE, f"--cases are requests of the dialect trader, not of {dialect}")
        run(lambda reactor: go_through_cases(reactor, url, output))
    if iterations is not None and seconds is not None:
        raise CommandFailed(USAGE, "--iterations and --seconds exclude one another")
    style = None if like is None else STYLES[like]
    usual = Habits() if style is None else style.habits
    habits = evolve(
        usual,
        iterations=None if seconds is not None else iterations or usual.iterations,
        probability=usual.probability if probability is None else probability,
        quantity=quantity or usual.quantity,
    )
    trip = Trip(url, dialect, names, clients or (1 if style else 5), seed, habits, seconds)
    run(lambda reactor: go_shopping(reactor, trip, output, style))
