"""`toystore status`: what each node of the cluster says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from twisted.internet.defer import Deferred

from toystore.commands.asking import Asker, Unanswered
from toystore.commands.loop import UNSURE, YES, run
from toystore.commands.place import Place, cluster_options
from toystore.ops.config import Config
from toystore.supervisor.control import NoSupervisor, request
from toystore.supervisor.launch import Node, nodes_of
from toystore.together import together

FORMAT = 1
PATIENCE = 1.0
"""Seconds for each node, all asked at the same time."""

LEDGER_FIELDS = ("leader", "term", "last_index", "commit_index", "applied_index", "digest", "lag", "in_sync")
Status = dict[str, Any]
"""The JSON object of `toystore status -o json`."""


def cluster_status(
    config: Config, answers: Mapping[str, Mapping[str, Any] | None], pids: Mapping[str, int | None]
) -> Status:
    """Put together what the nodes answered to `/status` (None: no answer) and what the supervisor knows of
    their process ids. Every field is present, None where it means nothing."""
    rows = [_row(node, answers.get(node.name), pids.get(node.name)) for node in nodes_of(config)]
    claims = [row for row in rows if row["state"] == "leader"]
    first = max(claims, key=lambda row: row["term"] or 0, default=None)
    return {
        "format": FORMAT,
        "cluster": config.cluster.name,
        "election": config.cluster.election,
        "leader": first["name"] if first else None,
        "nodes": rows,
    }


def _row(node: Node, answer: Mapping[str, Any] | None, pid: int | None) -> dict[str, Any]:
    said = answer or {}
    return {
        "name": node.name,
        "role": node.role,
        "state": said.get("state") or "down",
        "pid": said.get("pid") or pid,
        "url": node.url,
        **{field: said.get(field) for field in LEDGER_FIELDS},
    }


async def ask_nodes(config: Config, asker: Asker) -> dict[str, Mapping[str, Any] | None]:
    """The answer of each node to `/status`, None where there is none; all are asked at the same time."""

    async def ask(node: Node) -> Mapping[str, Any] | None:
        try:
            status, answer = await asker.get(node.url, "/status", PATIENCE)
        except Unanswered:
            return None
        return answer if status == 200 and isinstance(answer, dict) else None

    nodes = nodes_of(config)
    answers = await together(map(ask, nodes))
    return {node.name: answer for node, answer in zip(nodes, answers, strict=True)}


async def supervised_pids(reactor: Any, place: Place) -> dict[str, int | None] | None:
    """The process ids that a supervisor of this data directory knows; None where there is no supervisor."""
    try:
        answer = await request(reactor, place.data_dir, {"do": "status"}, PATIENCE)
    except NoSupervisor:
        return None
    return {name: standing["pid"] for name, standing in answer["nodes"].items()}


def status_table(status: Status) -> Table:
    """The same for people."""
    leader = status["leader"] or "no leader"
    table = Table(title=f"{status['cluster']} ({status['election']}): {leader}", title_justify="left", box=None)
    for heading in (
        "node",
        "state",
        "pid",
        "term",
        "last",
        "commit",
        "applied",
        "lag",
        "in sync",
        "digest",
        "url",
    ):
        number = heading in ("pid", "term", "last", "commit", "applied", "lag")
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row in status["nodes"]:
        cells = [row[key] for key in ("name", "state", "pid", "term", "last_index", "commit_index", "applied_index")]
        in_sync = {True: "yes", False: "NO", None: None}[row["in_sync"]]
        cells += [row["lag"], in_sync, (row["digest"] or "")[:12], row["url"]]
        style = {"leader": "green", "down": "red"}.get(row["state"])
        table.add_row(*("-" if cell is None or cell == "" else str(cell) for cell in cells), style=style)
    return table


def console() -> Console:
    """Wide where the output is no terminal, so that no line is cut; NO_COLOR is honoured."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=200)


async def show_status(reactor: Any, place: Place, output: str) -> int:
    supervisor = Deferred.fromCoroutine(supervised_pids(reactor, place))
    answers = await ask_nodes(place.config, Asker(reactor, PATIENCE))
    pids = await supervisor
    status = cluster_status(place.config, answers, pids or {})
    if output == "json":
        click.echo(json.dumps(status))
    else:
        console().print(status_table(status))
    nothing_known = pids is None and not any(answers.values())
    return UNSURE if nothing_known else YES


@click.command("status")
@cluster_options
@click.option("-o", "output", type=click.Choice(["table", "json"]), default="table", help="The shape of the answer.")
def status_command(place: Place, output: str) -> None:
    """Show what each node of the cluster is and how far it has come.

    Exit code 3 where nothing answers, neither a node nor a running `toystore up`.
    """
    run(lambda reactor: show_status(reactor, place, output))
