"""Measures the simulator: `python -m tests.simulation.figures [--count N]` prints the table of docs/reliability.rst.

For each lane and each way to elect, N plans from seed 1 on are played, shared out over so many processes. Schedules a
minute are by the wall clock, simulated hours are by the CPU of all processes together.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from time import monotonic, process_time

from attrs import frozen
from twisted.logger import globalLogBeginner

from tests.simulation.lanes import ELECTIONS, LANES


@frozen
class Measured:
    """One run. `cpu` and `simulated` are seconds, `hits` the fault points it met."""

    seed: int
    cpu: float
    simulated: float
    commits: int
    elections: int
    faults: int
    hits: frozenset[str]
    broken: str = ""


def measure(work: tuple[str, str, int]) -> Measured:
    """Of a lane and an election the run of a seed."""
    name, election, seed = work
    lane = LANES[name]
    began = process_time()
    plan = lane.draw(seed, election)
    outcome = lane.play(plan)
    tally: Counter[str] = outcome.tally
    return Measured(
        seed,
        process_time() - began,
        outcome.at or tally["seconds"],
        tally["commits"],
        tally["elections"],
        tally["faults"],
        frozenset(point for point, hits in outcome.points.items() if hits),
        outcome.what,
    )


COLUMNS = (
    "lane", "election", "schedules", "a minute", "commits", "elections", "faults", "simulated h / CPU h", "points", "broken",
)  # fmt: skip


def row(name: str, election: str, runs: Sequence[Measured], seconds: float) -> list[str]:
    """Of the table; `seconds` is how long all of them took. Commits, elections and faults are medians."""
    points = LANES[name].points(election)
    hit = frozenset[str]().union(*(run.hits for run in runs)) & frozenset(points)
    cpu, simulated = sum(run.cpu for run in runs), sum(run.simulated for run in runs)
    medians = [statistics.median(getattr(run, what) for run in runs) for what in ("commits", "elections", "faults")]
    broken = [str(run.seed) for run in runs if run.broken]
    return [
        name, election, str(len(runs)), f"{60 * len(runs) / seconds:.0f}", *(f"{median:g}" for median in medians),
        f"{simulated / cpu:.0f}", f"{len(hit)} of {len(points)}", ", ".join(broken) or "none",
    ]  # fmt: skip


def table(rows: Sequence[Sequence[str]]) -> str:
    """As reStructuredText."""
    widths = [max(len(row[place]) for row in (COLUMNS, *rows)) for place in range(len(COLUMNS))]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)) for cells in (COLUMNS, *rows)]
    return "\n".join([rule, lines[0].rstrip(), rule, *(line.rstrip() for line in lines[1:]), rule])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.figures", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="how many plans of each lane and election")
    parser.add_argument("--lane", choices=tuple(LANES), action="append", help="only this one")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args()
    rows, broken = [], False
    with multiprocessing.get_context("spawn").Pool(options.processes, _quiet) as pool:
        for name in options.lane or LANES:
            for election in ELECTIONS:
                pool.map(measure, [(name, election, 1)] * options.processes)  # so that all have imported everything
                began = monotonic()
                work = [(name, election, seed) for seed in range(1, options.count + 1)]
                runs = list(pool.imap_unordered(measure, work))
                rows.append(row(name, election, runs, monotonic() - began))
                broken = broken or any(run.broken for run in runs)
                print(", ".join(f"{what} {cell}" for what, cell in zip(COLUMNS, rows[-1], strict=True)), file=sys.stderr)
    print(f"{options.count} schedules each, {options.processes} processes on {os.cpu_count()} cores:\n\n{table(rows)}")
    return 1 if broken else 0


def _quiet() -> None:
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)


if __name__ == "__main__":
    sys.exit(main())
