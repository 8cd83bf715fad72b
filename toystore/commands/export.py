"""`toystore export`: the ledger as text, read from a running replica page by page.

`products`, `orders` and `log` are one JSON object a line; the other formats are those of `toystore.projections`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any, BinaryIO, TypeVar

import click

from toystore.commands.asking import Asker, Unanswered
from toystore.commands.loop import UNSURE, USAGE, YES, CommandFailed, run
from toystore.commands.place import Place, cluster_options
from toystore.encoding import from_json
from toystore.model import CatalogChange, Order, Product
from toystore.ops.config import FORMATS
from toystore.projections import FORMATS as PROJECTIONS
from toystore.projections import ChangeFormat, ProductFormat
from toystore.supervisor.launch import Node, UnknownNode, check_names, nodes_of

T = TypeVar("T")
TABLES = ("products", "orders", "log")
"""The formats that are tables of a replica as they are."""
PAGE = 500
PATIENCE = 30.0
"""Seconds for one page."""


def _next_row(table: str, last: bytes) -> str:
    """Where the page begins that follows this row."""
    row = json.loads(last)
    match table:
        case "changes":
            return f"{row['index']}:{row['sequence'] + 1}"
        case "log":
            return str(row["index"] + 1)
        case _:
            return str(row["number"] + 1)


async def pages(asker: Asker, node: Node, table: str) -> AsyncIterator[list[bytes]]:
    """All rows of a table of a replica, in order, as JSON lines without their ends. Raises Unanswered."""
    start = "0"
    while True:
        path = f"/export/{table}?from={start}&limit={PAGE}"
        status, body = await asker.fetch(node.url, path)
        if status != 200:
            raise Unanswered(f"{node.url}{path} answers {status}")
        lines = body.splitlines()
        if not lines:
            return
        yield lines
        start = _next_row(table, lines[-1])


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


async def _rows(asker: Asker, node: Node, table: str, cls: type[T]) -> AsyncIterator[T]:
    async for lines in pages(asker, node, table):
        for line in lines:
            yield from_json(line, cls)


async def _all(asker: Asker, node: Node, table: str, cls: type[T]) -> list[T]:
    return [row async for row in _rows(asker, node, table, cls)]


async def exported(asker: Asker, node: Node, name: str, currency: str) -> AsyncIterator[bytes]:
    """The bytes of a format, in pieces. Raises Unanswered."""
    if name in TABLES:
        async for lines in pages(asker, node, name):
            yield b"\n".join(lines) + b"\n"
        return
    format_ = PROJECTIONS[name]
    if isinstance(format_, ProductFormat):
        yield format_.whole(await _all(asker, node, "products", Product), currency)
    elif isinstance(format_, ChangeFormat):
        products = await _all(asker, node, "products", Product)
        changes = await _all(asker, node, "changes", CatalogChange)
        orders = await _all(asker, node, "orders", Order)
        numbers = {product.name: product.number for product in products}
        yield format_.whole(format_.merged(changes, orders, numbers, currency))
    else:
        yield format_.head
        first = True
        async for order in _rows(asker, node, "orders", Order):
            rows = format_.rows(order)
            yield (b"" if first else format_.glue) + format_.glue.join(rows)
            first = False
        yield format_.tail


async def write_out(reactor: Any, place: Place, format_: str, name: str | None, out: BinaryIO) -> int:
    asker = Asker(reactor, PATIENCE)
    node = await first_alive(asker, replicas_to_ask(place, name))
    try:
        async for piece in exported(asker, node, format_, place.config.cluster.currency):
            out.write(piece)
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
    """Write the ledger to stdout. FORMAT is products, orders or log (one JSON object a line), or the file format of
    one of the older systems."""
    run(lambda reactor: write_out(reactor, place, format_, name, sys.stdout.buffer))
