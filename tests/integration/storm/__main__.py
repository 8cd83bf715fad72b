"""`python -m tests.integration.storm`: a storm over a new cluster on this machine.

Exit code 0 where every check holds and no customer noticed anything, else 1. Whoever loses the front end notices that:
where it is among those that are killed, only the checks count.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from tests.integration.clusters import Cluster
from tests.integration.storm import disk
from tests.integration.storm.blows import Blow
from tests.integration.storm.storm import Plan, Report, ride, write_storm_config

WHOM = "leader, follower, all or leaders (down to one; both kill only), or the name of a node"


@click.command()
@click.option("--seconds", type=float, default=60.0, show_default=True)
@click.option("--clients", type=int, default=64, show_default=True)
@click.option("--rate", type=float, default=0.0, help="Requests a second of all clients. [as many as there can be]")
@click.option("--kill", multiple=True, default=["leader"], show_default=True, help=f"{WHOM}; or none. May be repeated.")
@click.option("--every", type=float, default=5.0, show_default=True, help="Seconds from one blow to the next.")
@click.option("--down", type=float, default=1.0, show_default=True, help="Seconds from a kill to the new start.")
@click.option("--pause", multiple=True, help=f"{WHOM}: SIGSTOP, then SIGCONT. May be repeated.")
@click.option("--paused-for", type=float, default=10.0, show_default=True)
@click.option("--forgetful", is_flag=True, help="On disks that lose with a kill all that was not synced.")
@click.option("--lie", is_flag=True, help="As --forgetful, and a sync does nothing: the checks must fail.")
@click.option("--prefix", multiple=True, help="As `toystore up --prefix`.")
@click.option("--election", type=click.Choice(["raft", "appointed"]), default="raft", show_default=True)
@click.option("--catalogs", type=int, default=1, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def main(
    kill: tuple[str, ...],
    down: float,
    pause: tuple[str, ...],
    paused_for: float,
    forgetful: bool,
    lie: bool,
    prefix: tuple[str, ...],
    catalogs: int,
    election: str,
    output: str,
    **plan: Any,
) -> None:
    """Customers buy, each request sent once, while nodes are killed and paused. Then every order is judged."""
    blows = [Blow("kill", whom, down) for whom in kill if whom != "none"]
    blows += [Blow("pause", whom, paused_for) for whom in pause]
    home = Path(tempfile.mkdtemp(prefix="toystore-storm-"))
    options = [option for command in prefix for option in ("--prefix", command)]
    if forgetful or lie:
        options += ["--prefix", disk.prefix(disk.build(home), home / "data", lie)]
    cluster = Cluster(
        write_storm_config(home / "storm.toml", catalogs=catalogs, cluster=f'election = "{election}"'), home / "data"
    )
    try:
        cluster.start(*options)
        report = ride(cluster, Plan(blows=tuple(blows), **plan), lambda blow: click.echo(blow, err=True))
    finally:
        cluster.close()
    click.echo(report.text() if output == "text" else report.json())
    front_killed = any(blow.whom == "all" or blow.whom.startswith("front") for blow in blows)
    sys.exit(end(report, home, front_killed))


def end(report: Report, home: Path, front_killed: bool) -> int:
    """Keep what a failure can be found out from; the exit code."""
    if report.faults or not (report.smooth or front_killed):
        click.echo(f"the data is in {home}", err=True)
        return 1
    shutil.rmtree(home)
    return 0


if __name__ == "__main__":
    main()
