"""How long a client waits when the leader is killed: promise 7.5 is less than 1 s (p99), and no error.

    python -m benchmarks.failover [--times 20] [-o text|json]

Eight clients buy gently (each rests 20 ms before a request), one front end serves them, and the leader's process gets
SIGKILL. The longest wait of any client in that run is the figure. `toystore up` starts the process again, and the next
leader is killed once all replicas have caught up. Exit code 1 where a request failed, a unit was sold without its order,
or p99 is 1 s or more; 3 where nothing could be measured.
"""

from __future__ import annotations

import datetime
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
from attrs import asdict, evolve, frozen

from benchmarks import machine, ours, wrk
from benchmarks.contender import Case
from benchmarks.daemon import DidNotStart, end_in_order_on_sigterm
from benchmarks.machine import percentile
from benchmarks.ours import Ours
from benchmarks.rounds import SETTLE_SECONDS, faults_of
from benchmarks.wrk import Unusable

CASE = Case("buy", 8)
PAUSE_MS = 20
SECONDS = 4
"""Of one run; the leader is killed after the first of them."""
PROMISED_MS = 1000.0
RECOVERY_SECONDS = 60
ORDERS = ("order-1", "order-2", "order-3")


@frozen
class Kill:
    """One kill: the longest wait of a client in milliseconds, how many orders were acknowledged around it, and what went
    wrong."""

    longest_ms: float
    orders: int
    faults: Sequence[str]


def leader_of(store: Ours) -> int | None:
    """The process id of the leader, once it leads and all others are with it and have what it has; else None."""
    try:
        said = [store.status(name) for name in ORDERS]
    except OSError:
        return None
    leaders = [status for status in said if status["state"] == "leader"]
    if len(leaders) != 1 or any(status["applied_index"] != leaders[0]["applied_index"] for status in said):
        return None
    pid: int = leaders[0]["pid"]
    return pid


def kill_leader(store: Ours) -> Kill:
    """Raises Unusable, OSError, DidNotStart (the cluster does not recover)."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while (leader := leader_of(store)) is None:
        if time.monotonic() > deadline:
            raise DidNotStart(f"three replicas were not at one index within {RECOVERY_SECONDS} s")
        time.sleep(0.2)
    before = store.served()
    volley = evolve(store.volley("buy"), pause=PAUSE_MS)
    load = wrk.start(store.url, volley, CASE.connections, SECONDS)
    time.sleep(1)
    os.kill(leader, signal.SIGKILL)
    report = wrk.finish(load, SECONDS)
    time.sleep(SETTLE_SECONDS)
    return Kill(report.longest, report.requests, faults_of(CASE, report, before, store.served()))


def as_text(kills: Sequence[Kill]) -> str:
    waits = [kill.longest_ms for kill in kills]
    faults = [f"INVALID: kill {n}: {fault}" for n, kill in enumerate(kills, 1) for fault in kill.faults]
    found = ", ".join(f"{name} {value:.0f} ms" for name, value in figures(waits).items())
    return "\n".join([f"longest wait of a client in each of {len(kills)} failovers: {found}", *faults])


def figures(waits: Sequence[float]) -> dict[str, float]:
    return {"p50": percentile(waits, 0.5), "p99": percentile(waits, 0.99), "max": max(waits)}


@click.command()
@click.option("--times", type=click.IntRange(1, 1000), default=20, show_default=True, help="How often a leader is killed.")
@click.option("--election", type=click.Choice(["raft", "appointed"]), default="raft", show_default=True)
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--directory", type=click.Path(exists=True, file_okay=False), help="Where the data is; a real disk.")
def main(times: int, election: str, output: str, directory: str | None) -> None:
    """Kill leaders, and measure how long clients wait."""
    end_in_order_on_sigterm()
    kills: list[Kill] = []
    before = machine.load()
    try:
        with (
            tempfile.TemporaryDirectory(dir=directory, prefix="ours-") as made,
            ours.running(Path(made) / "shop", election) as store,
        ):
            wrk.fire(store.url, store.volley("buy"), CASE.connections, 2)
            for number in range(1, times + 1):
                kills.append(kill_leader(store))
                click.echo(f"kill {number}: {kills[-1].longest_ms:.0f} ms", err=True)
    except (DidNotStart, Unusable, OSError) as error:
        click.echo(f"could not measure: {error}", err=True)
        sys.exit(3)
    after, waits = machine.load(), [kill.longest_ms for kill in kills]
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    about = {"date": date, "election": election, "cores": os.cpu_count(), "load_before": before, "load_after": after}
    if output == "json":
        told = [asdict(kill) for kill in kills]
        click.echo(json.dumps({"format": 1, **about, "milliseconds": figures(waits), "kills": told}, indent=1))
    else:
        loads = [" ".join(f"{value:.2f}" for value in when) for when in (before, after)]
        click.echo(
            f"{date}, {election}, {os.cpu_count()} cores; load average before {loads[0]}, after {loads[1]}\n{as_text(kills)}"
        )
    kept = not any(kill.faults for kill in kills) and figures(waits)["p99"] < PROMISED_MS
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
