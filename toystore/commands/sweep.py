"""`toystore sweep`: measure a store of its own, and write figures, pictures and a page of them."""

from __future__ import annotations

import datetime
import importlib.util
import os
import platform
import shlex
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click

import toystore
from toystore.commands.loop import NO, UNSURE, USAGE, YES, CommandFailed, run
from toystore.commands.rehearsal import Changes, rehearsal
from toystore.commands.up import Up, Wishes, public_addresses
from toystore.shop.connection import Connection
from toystore.shop.dialects import DIALECTS
from toystore.shop.sweep import measure
from toystore.shop.sweep.page import page
from toystore.shop.sweep.plan import BULK_CLIENTS, Plan, parse_caches, parse_probabilities
from toystore.shop.sweep.results import Bulk, CacheStudy, Results, Round, Setting
from toystore.shop.sweep.stand import Front, NotMeasured, Stand
from toystore.shop.sweep.tables import csv_files, on_off

STOCK = 1_000_000
"""Of each product, so that none runs out while it is measured."""

Say = Callable[[str], None]


@asynccontextmanager
async def standing(reactor: Any, plan: Plan, catalogs: int) -> AsyncIterator[tuple[Stand, Up]]:
    """A fresh store on free ports, gone at the end. Raises CommandFailed, NotMeasured."""
    with tempfile.TemporaryDirectory(prefix="toystore-sweep-") as directory:
        changes = Changes(cache_sizes=(plan.cache_size, 0), catalogs=catalogs, stock=STOCK, restock_every=0)
        place = rehearsal(plan.dialect, Path(directory), changes)
        publics = public_addresses(place.config)[plan.dialect]
        cached, uncached = (
            Front(node.name, public, node.url) for node, public in zip(place.config.fronts, publics, strict=True)
        )
        async with Up(reactor, place, Wishes(), partial(click.echo, err=True)) as up:
            await up.started()
            stand = Stand(reactor, partial(Connection, reactor), plan.dialect, cached, uncached, catalogs)
            await stand.open()
            yield stand, up


async def measure_all(reactor: Any, plan: Plan, command: str, say: Say) -> Results:
    """Everything that the plan says, on a store with two catalogs; then requests in bulk, on it and on one with a single
    catalog in turns. Raises CommandFailed, NotMeasured."""
    machine, verified = this_machine(), measure.Verified()
    rounds, bulks = list[Round](), list[Bulk]()
    say("a store with two catalogs is started")
    async with standing(reactor, plan, 2) as (stand, up):
        await measure.warm_up(stand, plan, verified)
        for probability in plan.probabilities:
            say(f"{plan.clients} customers, p = {probability:g}")
            rounds += await measure.shop_at(stand, plan, probability, verified)
        study = await study_cache(stand, plan, verified, say) if True in plan.caches else None
        say("the leader is killed, and started again")
        carry_out = up.supervised.carry_out
        switch = measure.Switch(partial(carry_out, "kill"), partial(carry_out, "start"))
        failover = await measure.fail_over(stand, plan, plan.caches[0], switch, verified)
        say("a store with one catalog is started beside it")
        async with standing(reactor, plan, 1) as (other, _):
            await measure.warm_up(other, plan, verified)
            for clients in (1, BULK_CLIENTS):
                say(f"{plan.requests} requests of each kind, {clients} at a time")
                bulks += await measure.in_bulk((stand, other), plan, clients)
        products = len(stand.names)
    setting = Setting(now(), command, f"{machine}; load {load()} at the end", toystore.__version__, products)
    return Results(plan, setting, rounds, study, bulks, failover, verified.orders, verified.wrong)


async def study_cache(stand: Stand, plan: Plan, verified: measure.Verified, say: Say) -> CacheStudy:
    say("hits, misses, and what the cache holds")
    return CacheStudy(
        await measure.hits_and_misses(stand, plan),
        await measure.after_writes(stand, plan),
        await measure.watch_slots(stand, plan, verified),
    )


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def load() -> str:
    """How many processes wanted to run, on average over the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def this_machine() -> str:
    """What the figures are measured on, in short."""
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores, {system}, Python {platform.python_version()}, load {load()} at the start"


def write_report(results: Results, out: Path) -> list[str]:
    """Figures, pictures and the page; the names of the files."""
    from toystore.shop.sweep.plots import draw_all  # not before it is known that matplotlib is there

    texts = dict(csv_files(results))
    pictures = draw_all(results, out)
    texts["index.html"] = page(results, pictures, list(texts))
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8", newline="")
    return sorted([*texts, *(picture.file for picture in pictures)])


async def sweep(reactor: Any, plan: Plan, out: Path, command: str) -> int:
    say = partial(click.echo, err=True)
    try:
        results = await measure_all(reactor, plan, command, say)
    except NotMeasured as error:
        raise CommandFailed(UNSURE, f"could not measure: {error}") from error
    for name in write_report(results, out):
        click.echo(str(out / name))
    for sentence in results.wrong:
        click.echo(f"MISMATCH: {sentence}", err=True)
    return NO if results.wrong else YES


def _reading(read: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str], Any]:
    """An option that is read by a function which raises ValueError."""

    def callback(ctx: click.Context, param: click.Parameter, value: str) -> Any:
        try:
            return read(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return callback


@click.command("sweep")
@click.option("--dialect", type=click.Choice(sorted(DIALECTS)), default="v1", help="Of the customers. [v1]")
@click.option("--clients", type=click.IntRange(1, 1000), default=5, help="At the same time. [5]")
@click.option(
    "--p",
    "probabilities",
    metavar="FIRST:LAST:STEP",
    default="0:0.8:0.2",
    callback=_reading(parse_probabilities),
    help="Of an order; or a list such as 0,0.4. [0:0.8:0.2]",
)
@click.option("--cache", "caches", metavar="on,off", default="on,off", callback=_reading(parse_caches), help="[on,off]")
@click.option("--cache-size", type=click.IntRange(1), default=5, help="Products that the cache has room for. [5]")
@click.option("--iterations", type=click.IntRange(1), default=50, help="For each client and p. [50]")
@click.option("--requests", type=click.IntRange(1), default=1000, help="Of each kind, measured in bulk. [1000]")
@click.option("--seed", type=int, default=1, help="Of the random choices. [1]")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Where the report goes.")
def sweep_command(
    dialect: str,
    clients: int,
    probabilities: tuple[float, ...],
    caches: tuple[bool, ...],
    cache_size: int,
    iterations: int,
    requests: int,
    seed: int,
    out: Path,
) -> None:
    """Measure a store, started for it on free ports: latency by the share of orders, with the cache and without,
    with one catalog and two, hits and misses, what the cache holds over time, and a failover.

    Writes CSV files, pictures and index.html to the directory OUT. Needs matplotlib. Exit code 1 where an order
    was not as it was promised, 3 where the store could not be measured.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise CommandFailed(USAGE, "the pictures need matplotlib, which is not there: pip install 'toystore[bench]'")
    known = len(DIALECTS[dialect].known)
    if cache_size >= known:
        says = f"--cache-size {cache_size}: it must be below {known}, the products there are, so that some are replaced"
        raise CommandFailed(USAGE, says)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandFailed(USAGE, f"--out {out}: {error.strerror}") from error
    plan = Plan(dialect, probabilities, caches, clients, iterations, requests, cache_size, seed)
    run(lambda reactor: sweep(reactor, plan, out, as_command(plan, out)))


def as_command(plan: Plan, out: Path) -> str:
    """The command that repeats the plan."""
    words = {
        "dialect": plan.dialect,
        "clients": plan.clients,
        "p": ",".join(f"{probability:g}" for probability in plan.probabilities),
        "cache": ",".join(map(on_off, plan.caches)),
        "cache-size": plan.cache_size,
        "iterations": plan.iterations,
        "requests": plan.requests,
        "seed": plan.seed,
        "out": out,
    }
    return shlex.join(["toystore", "sweep", *(word for name, value in words.items() for word in (f"--{name}", str(value)))])
