"""How many orders and lookups a second a whole cluster serves, beside the same shop without replication.

benchmarks/README.rst says what is measured, and how to read it.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from attrs import asdict, frozen

from benchmarks import machine, ours, peer, table
from benchmarks.contender import Contender
from benchmarks.daemon import DidNotStart, end_in_order_on_sigterm
from benchmarks.machine import CommitTime
from benchmarks.rounds import Run, measure_all, summarise
from benchmarks.wrk import Unusable

FORMAT = 1
Load = tuple[float, float, float]


@frozen
class Surroundings:
    """The machine at one moment."""

    load: Load
    commit_ms: Mapping[str, CommitTime]

    @classmethod
    def look(cls, directory: str | None) -> Surroundings:
        return cls(machine.load(), machine.commit_times(directory))


@frozen
class Outcome:
    """Everything that was measured."""

    date: str
    command: str
    cores: int
    versions: Mapping[str, str]
    before: Surroundings
    after: Surroundings
    runs: Sequence[Run]

    @property
    def valid(self) -> bool:
        return not any(run.faults for run in self.runs)

    def as_json(self) -> dict[str, Any]:
        summaries = [
            {"case": case.name, "label": label, "median": None if summary is None else asdict(summary)}
            for (case, label), summary in summarise(self.runs).items()
        ]
        runs = [{**asdict(run), "rate": run.report.rate} for run in self.runs]
        return {"format": FORMAT, "valid": self.valid, **asdict(self), "runs": runs, "summaries": summaries}

    def as_text(self) -> str:
        summaries = summarise(self.runs)
        labels = dict.fromkeys(run.label for run in self.runs)
        loads = (" ".join(f"{value:.2f}" for value in when.load) for when in (self.before, self.after))
        parts = [
            f"{self.date}, {self.command}",
            f"{self.cores} cores; load average before {next(loads)}, after {next(loads)}",
            ", ".join(f"{name} {version}" for name, version in self.versions.items()),
            table.comparison(summaries),
            *(table.work(summaries, label) for label in labels),
            table.commits(self.before.commit_ms, self.after.commit_ms),
            table.notes(self.runs),
        ]
        return "\n\n".join(part for part in parts if part)


def say(text: str) -> None:
    """Progress, beside the result."""
    click.echo(text, err=True)


def run(seconds: int, rounds: int, with_peer: bool, directory: str | None) -> Outcome:
    """Start the contenders, measure them, stop them. Raises DidNotStart, Unusable, OSError."""
    versions = machine.versions()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=directory, prefix="ours-")))
        contenders: list[Contender] = [stack.enter_context(ours.running(home / "shop"))]
        if with_peer:
            try:
                beside = stack.enter_context(peer.running(directory))
                contenders.append(beside)
                versions = {**versions, **beside.versions}
            except peer.Missing as missing:
                say(f"no peer, ours alone: {missing} is missing")
        before = Surroundings.look(directory)
        runs = measure_all(contenders, rounds, seconds, say)
        after = Surroundings.look(directory)
    flags = "" if with_peer else " --no-peer"
    return Outcome(
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        command=f"python -m benchmarks.store --seconds {seconds} --rounds {rounds}{flags}",
        cores=os.cpu_count() or 1,
        versions=versions,
        before=before,
        after=after,
        runs=runs,
    )


@click.command()
@click.option("--seconds", type=click.IntRange(1, 600), default=8, show_default=True, help="Of one run.")
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option("--peer/--no-peer", "with_peer", default=True, show_default=True, help="Measure FastAPI and PostgreSQL too.")
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, writable=True), help="Write the result to this file as well.")
@click.option("--directory", type=click.Path(exists=True, file_okay=False), help="Where the data is; a real disk.")
def main(seconds: int, rounds: int, with_peer: bool, output: str, out: str | None, directory: str | None) -> None:
    """Measure buys and lookups. Exit code 1 where a run was not valid, 3 where nothing could be measured."""
    end_in_order_on_sigterm()
    try:
        outcome = run(seconds, rounds, with_peer, directory)
    except (DidNotStart, Unusable, OSError) as error:
        say(f"could not measure: {error}")
        sys.exit(3)
    text = json.dumps(outcome.as_json(), indent=1) if output == "json" else outcome.as_text()
    click.echo(text)
    if out:
        Path(out).write_text(text + "\n")
    sys.exit(0 if outcome.valid else 1)


if __name__ == "__main__":
    main()
