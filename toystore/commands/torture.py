"""`toystore torture`: a real cluster in network namespaces, hit at random while customers buy, and judged by its history."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from toystore.commands.loop import NO, UNSURE, USAGE, YES, CommandFailed, run
from toystore.torture.ground import Ground, NoGround, check_possible
from toystore.torture.kinds import KINDS, UnknownKind, chosen
from toystore.torture.layout import Layout
from toystore.torture.ordeal import schedule
from toystore.torture.planner import bursts
from toystore.torture.report import Wishes
from toystore.torture.run import Run, plan_for, save, shape_of
from toystore.torture.verdict import check_history

SHOWN_BURSTS = 5


async def torture(reactor: Any, wishes: Wishes, directory: Path) -> int:
    """The exit code. Raises CommandFailed (2) where this machine can not do it, (3) where the run itself failed."""
    try:
        check_possible()
        plan = plan_for(wishes, directory, os.getpid())
    except (NoGround, UnknownKind) as error:
        raise CommandFailed(USAGE, str(error)) from error
    click.echo(f"{wishes.command()}\neverything is written to {directory}")
    for reason in plan.missing:
        click.echo(f"not tried: {reason}")
    try:
        with Ground(plan.layout, directory, plan.disk_mebibytes) as ground:
            ground.enter_shop()
            report = await Run(reactor, plan, ground, click.echo).report()
    except NoGround as error:
        raise CommandFailed(UNSURE, str(error)) from error
    save(report, directory)
    click.echo("\n" + report.text())
    return YES if report.good else NO


def check_again(directory: Path) -> int:
    """Judge a recorded run once more; the exit code."""
    verdict = check_history(directory)
    for finding in verdict.findings:
        click.echo(f"same      {finding}")
    for anomaly in verdict.anomalies:
        click.echo(f"ANOMALY   {anomaly}")
    click.echo(f"checked in {verdict.seconds:.1f} s: {len(verdict.anomalies) or 'no'} anomalies")
    return NO if verdict.anomalies else YES


def list_kinds(wishes: Wishes) -> None:
    """What there is, and the first bursts of the schedule."""
    for kind in KINDS:
        needs = f" (needs {kind.needs})" if kind.needs else ""
        click.echo(f"{kind.name:<13} {kind.what}{needs}")
    try:
        kinds, _ = chosen(wishes.only, wishes.without, {kind.needs for kind in KINDS})
    except UnknownKind as error:
        raise CommandFailed(USAGE, str(error)) from error
    click.echo(f"\nthe first bursts with seed {wishes.seed}:")
    for line in schedule(bursts(wishes.seed, shape_of(Layout(0, wishes.orders), kinds)), SHOWN_BURSTS):
        click.echo(line)


@click.command("torture")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=5.0, show_default=True)
@click.option("--election", type=click.Choice(["raft", "appointed"]), default="raft", show_default=True)
@click.option("--seed", type=int, help="Of the schedule, and of what the customers want. [drawn]")
@click.option("--orders", type=click.Choice(["3", "5"]), default="3", show_default=True, help="Order replicas.")
@click.option("--clients", type=click.IntRange(1, 500), default=24, show_default=True)
@click.option("--rate", type=click.FloatRange(1, 2000), default=200.0, show_default=True, help="Operations a second.")
@click.option(
    "--patience",
    type=click.FloatRange(1, 20),
    default=1.0,
    show_default=True,
    help="Factor on the times after which nodes give one another up, and within which all must recover: more than 1 where "
    "the machine is busy.",
)
@click.option("--only", metavar="KIND", multiple=True, help="Faults of this kind only. May be repeated.")
@click.option("--without", metavar="KIND", multiple=True, help="No faults of this kind. May be repeated.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where to write it all. [a new directory]")
@click.option("--list", "list_", is_flag=True, help="Show the kinds of faults and the first of the schedule, and end.")
@click.option(
    "--check", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Judge the run recorded here again."
)
def torture_command(seed: int | None, orders: str, out: Path | None, list_: bool, check: Path | None, **rest: Any) -> None:
    """Run a cluster of real processes, each in a network namespace, and hit it with faults while customers buy.

    Processes are killed and stopped, links cut, slowed and split, disks filled, slowed and wiped, clocks moved: in bursts,
    at random from the seed, and after each burst the store must recover by itself. Everything the customers asked and were
    told is recorded, and at the end held against what the ledger has. Needs root, and Linux; nothing is done to the
    network of the machine. Exit code 1 where a promise was broken, 2 where the machine can not do it.
    """
    drawn = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    wishes = Wishes(seed=drawn, orders=int(orders), **{key: _frozen(value) for key, value in rest.items()})
    if check is not None:
        raise SystemExit(check_again(check))
    if list_:
        list_kinds(wishes)
        return
    directory = _directory(out, drawn)
    run(lambda reactor: torture(reactor, wishes, directory))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _directory(out: Path | None, seed: int) -> Path:
    """Where a run writes; must be empty or new. Raises CommandFailed (2)."""
    if out is None:
        return Path(tempfile.mkdtemp(prefix=f"toystore-torture-{seed}-"))
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise CommandFailed(USAGE, f"{out} is not empty: a run writes into a directory of its own")
    return out.absolute()
