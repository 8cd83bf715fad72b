"""`toystore check`: whether a recorded history kept the promises."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from toystore.checking.events import BadHistory
from toystore.checking.files import judge
from toystore.commands.loop import NO, USAGE, YES, CommandFailed
from toystore.encoding import to_json


@click.command("check")
@click.argument("history", metavar="HISTORY", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--final",
    metavar="DIR",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="What the ledger held at the end: orders.jsonl and products.jsonl as `toystore export` writes them, and "
    "changes.jsonl or initial.json (without both, stocks are not checked).",
)
@click.option(
    "--bound", default=4.0, show_default=True, type=click.FloatRange(min=0), help="Seconds a cached read may be old."
)
@click.option(
    "--windows", default=20, show_default=True, type=click.IntRange(min=0), help="Stretches to judge by a search too."
)
@click.option("-o", "output", type=click.Choice(("text", "json")), default="text", show_default=True)
def check_command(history: Path, final: Path, bound: float, windows: int, output: str) -> None:
    """Hold what clients were told, as HISTORY has it (JSON lines; see toystore/checking/history.py), against the ledger.

    Exit codes: 0 no anomaly, 1 an anomaly, 2 a file can not be read.
    """
    try:
        report = judge(history, final, bound=int(bound * 1e9), windows=windows)
    except (BadHistory, OSError) as error:
        raise CommandFailed(USAGE, str(error)) from error
    click.echo(report.text() if output == "text" else to_json(report.summary()).decode())
    sys.exit(YES if report.good else NO)
