"""`toystore export`: the ledger as text, read from a running replica page by page."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any, BinaryIO

import click

from toystore.commands.asking import Asker, Unanswered
from toystore.commands.loop import UNSURE, USAGE, YES, CommandFailed, run
from toystore.commands.place import Place, cluster_options
from toystore.ops.config import FORMATS
from toystore.supervisor.launch import Node, UnknownNode, check_names, nodes_of

KEYS = {"products": "number", "orders": "number", "log": "index"}
"""The formats that can be had, and the field that counts their rows."""
PAGE = 500
PATIENCE = 30.0
"""Seconds for one page."""


async def pages(asker: Asker, node: Node, table: str) -> AsyncIterator[list[bytes]]:
    """All rows of a table of a replica, in order, as JSON lines without their ends. Raises Unanswered."""
    start = 0
    while True:
        path = f"/export/{table}?from={start}&limit={PAGE}"
        status, body = await asker.fetch(node.url, path)
        if status != 200:
            raise Unanswered(f"{node.url}{path} answers {status}")
        lines = body.splitlines()
        if not lines:
            return
        yield lines
        start = json.loads(lines[-1])[KEYS[table]] + 1


def replicas_to_ask(place: Place, name: str | None) -> list[Node]:
    """The node of this name, or all that hold a ledger, in the order to try them. Raises CommandFailed
    (2)."""
    replicas = [node for node in nodes_of(place.config) if node.role != "front"]
    if name is None:
        return replicas
    try:
        check_names([name], replicas)
    except UnknownNode as error:
        raise CommandFailed(USAGE, f"{error} that hold a ledger") from error
    return [node for node in replicas if node.name == name]


async def first_alive(asker: Asker, nodes: list[Node]) -> Node:
    """The first of `nodes` that answers. Raises CommandFailed (3), saying why none did."""
    reasons = []
    for node in nodes:
        try:
            await asker.get(node.url, "/livez", 1.0)
        except Unanswered as error:
            reasons.append(f"{node.name}: {error}")
        else:
            return node
    raise CommandFailed(UNSURE, "no replica answers\n" + "\n".join(reasons))


async def write_out(reactor: Any, place: Place, table: str, name: str | None, out: BinaryIO) -> int:
    asker = Asker(reactor, PATIENCE)
    node = await first_alive(asker, replicas_to_ask(place, name))
    try:
        async for lines in pages(asker, node, table):
            out.write(b"\n".join(lines) + b"\n")
        out.flush()
    except Unanswered as error:
        raise CommandFailed(UNSURE, f"{node.name} stopped in the middle: {error}") from error
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())  # who read it has seen enough
    return YES


@click.command("export")
@cluster_options
@click.argument("format_", metavar="FORMAT", type=click.Choice(FORMATS))
@click.option("--node", "name", metavar="NODE", help="Ask this replica. [the first that answers]")
def export_command(place: Place, format_: str, name: str | None) -> None:
    """Write the ledger to stdout. FORMAT is products, orders or log: one JSON object a line."""
    if format_ not in KEYS:
        raise CommandFailed(USAGE, f"{format_} can not be exported yet; there are {', '.join(KEYS)}")
    run(lambda reactor: write_out(reactor, place, format_, name, sys.stdout.buffer))
