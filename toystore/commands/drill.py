"""`toystore drill`: crashes and returns, played on a cluster of its own and judged step by step."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from toystore.commands.loop import NO, UNSURE, YES, CommandFailed, run
from toystore.commands.place import Place
from toystore.commands.rehearsal import Changes, rehearsal
from toystore.commands.status import console
from toystore.drills.cluster import Cluster
from toystore.drills.play import Played, play, steps_of
from toystore.drills.scene import CouldNotTell, Drill, Seen, Step
from toystore.drills.scripts import DRILLS
from toystore.supervisor.ports import NoFreePorts

ELECTION = "appointed"
PATIENCE = 10.0


class Report:
    """A `Teller` for people: each step, what is expected and what is seen."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen

    def begins(self, drill: Drill) -> None:
        self._print(Text.assemble((drill.name, "bold"), f"  {drill.row}"))
        self._print(Text(f"    dialect {drill.shop.dialect}, {ELECTION}, {drill.preference}", "dim"))

    def step(self, number: int, step: Step) -> None:
        self._print(Text.assemble((f"{number:3} ", "dim"), (step.title, "bold")))
        self._print(Text(f"      expected  {step.expected}"))

    def seen(self, step: Step, seen: Seen, seconds: float) -> None:
        verdict = ("same     ", "green") if seen.holds else ("DIFFERENT", "bold red")
        self._print(Text.assemble("      seen      ", seen.text))
        self._print(Text.assemble("      ", verdict, (f" {seconds:.1f} s", "dim")))

    def event(self, what: str) -> None:
        """Something the drill did not ask for."""
        self._print(Text(f"      ({what})", "dim"))

    def ends(self, played: Played) -> None:
        self._print(in_words(played))
        self._screen.print()

    def _print(self, line: Text) -> None:
        self._screen.print(line, soft_wrap=True)


def in_words(played: Played) -> Text:
    """The verdict."""
    name, total = played.drill.name, len(list(steps_of(played.drill)))
    if played.holds:
        return Text(f"{name} holds: {total} steps in {played.seconds:.1f} s", "green")
    step = list(steps_of(played.drill))[played.steps - 1]
    left_out = f"; {total - played.steps} steps are left out" if played.steps < total else ""
    return Text(f"{name} DIFFERS at step {played.differed}, {step.title}{left_out}", "bold red")


def drill_place(drill: Drill, directory: Path) -> Place:
    """The cluster of a drill: appointed, with the file that its row speaks of. Raises CommandFailed."""
    shop = drill.shop
    changes = Changes(
        election=ELECTION,
        leader_preference=drill.preference,
        hand_over_after=0.0,
        projections=[(shop.format, shop.path)],
    )
    try:
        return rehearsal(shop.dialect, directory, changes)
    except NoFreePorts as error:
        raise CommandFailed(UNSURE, str(error)) from error


async def play_fresh(reactor: Any, drill: Drill, parent: Path | None, patience: float, report: Report) -> Played:
    """In a fresh directory, which stays where the drill did not come out as expected. Raises CommandFailed (3)."""
    directory = Path(tempfile.mkdtemp(prefix=f"toystore-drill-{drill.name}-", dir=parent)).absolute()
    holds = False
    try:
        async with Cluster(reactor, drill_place(drill, directory), patience, report.event) as cluster:
            played = await play(drill, cluster, report)
        holds = played.holds
    except CouldNotTell as error:
        raise CommandFailed(UNSURE, f"{drill.name} could not be played: {error}") from error
    finally:
        if holds:
            shutil.rmtree(directory)
        else:
            click.echo(f"the data stays in {directory}")
    return played


async def play_all(reactor: Any, drills: Sequence[Drill], parent: Path | None, patience: float) -> int:
    """One after the other; the exit code."""
    report = Report(console())
    results = [await play_fresh(reactor, drill, parent, patience, report) for drill in drills]
    if len(drills) > 1:
        for played in results:
            console().print(in_words(played), soft_wrap=True)
    return YES if all(played.holds for played in results) else NO


@click.command("drill")
@click.argument("name", metavar="NAME", type=click.Choice([*DRILLS, "all"], case_sensitive=False))
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the directory of each cluster is made. [the system's place for temporary files]",
)
@click.option("--patience", type=click.FloatRange(0), default=PATIENCE, help=f"Seconds for anything to come. [{PATIENCE:g}]")
def drill_command(name: str, data_dir: Path | None, patience: float) -> None:
    """Play a drill, X1 to X9, or all of them, each on a cluster of its own on free ports.

    Nodes are killed and started again while customers order, and every step shows what is expected and what
    is seen. At the end every acknowledged order is asked for, and the files and states of all replicas are
    compared. Exit code 1 where something differs, 3 where a drill could not be played.
    """
    if data_dir is not None:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    drills = list(DRILLS.values()) if name == "all" else [DRILLS[name]]
    run(lambda reactor: play_all(reactor, drills, data_dir, patience))
