"""`toystore quarantine`: what replicas have put aside because it was broken, and what an operator may do with it.

It looks into the data directories themselves, so that it is run on the machine that has them.
"""

from __future__ import annotations

from typing import Any

import click

from toystore.commands.asking import Asker, Unanswered
from toystore.commands.loop import NO, UNSURE, USAGE, YES, CommandFailed, run
from toystore.commands.place import Place, cluster_options
from toystore.ops.config import CatalogNode, OrderNode
from toystore.storage.interface import StorageError
from toystore.storage.quarantine import Quarantine

PATIENCE = 2.0
"""Seconds for the answer of a node."""


def replicas(place: Place) -> list[OrderNode | CatalogNode]:
    return [*place.config.orders, *place.config.catalogs]


def quarantine_of(place: Place, name: str) -> Quarantine:
    """Raises CommandFailed (2) where there is no such replica."""
    for node in replicas(place):
        if node.name == name:
            return Quarantine(place.config.directory_of(node))
    known = ", ".join(node.name for node in replicas(place))
    raise CommandFailed(USAGE, f"there is no replica {name!r}; there are {known}")


@click.group("quarantine")
def quarantine_command() -> None:
    """Databases that replicas have put aside because a bit in them had flipped.

    Such a replica begins with an empty database and is filled from the others; nothing need be done. Where the others
    can not do that (it is the only one, or most were put aside at once) it waits. Then stop it, and put back the database,
    broken as it is: what is broken in it will be met again, but until then it counts, and others can be filled from it.
    Or, where nothing can be saved, accept the loss.
    """


@quarantine_command.command("list")
@cluster_options
def list_command(place: Place) -> None:
    """What is kept, and which replicas wait to be filled again."""
    try:
        for node in replicas(place):
            quarantine = Quarantine(place.config.directory_of(node))
            for kept in quarantine.kept():
                click.echo(f"{node.name}: {kept}")
            if sentence := quarantine.sentence():
                click.echo(f"{node.name} waits to be filled again: {sentence}")
    except StorageError as error:
        raise CommandFailed(NO, str(error)) from error


@quarantine_command.command("put-back")
@cluster_options
@click.argument("node")
def put_back_command(place: Place, node: str) -> None:
    """Use again what NODE, which must be down, has put aside last."""
    try:
        was = quarantine_of(place, node).put_back()
    except StorageError as error:
        raise CommandFailed(NO, f"{node}: {error}") from error
    click.echo(f"{node} will begin with the database of {was}, which stays there too")


async def accept_loss(reactor: Any, place: Place, node: str) -> int:
    quarantine = quarantine_of(place, node)
    asker = Asker(reactor, PATIENCE)
    for other in place.config.orders:
        if other.name == node:
            continue
        try:
            _, said = await asker.get(other.url, "/status")
        except Unanswered as error:
            raise CommandFailed(UNSURE, f"{other.name} does not answer, and may have a copy: {error}") from error
        if not isinstance(said, dict) or said.get("last_index") != 0:
            raise CommandFailed(
                NO, f"{other.name} has a ledger: with {node} as a new replica it might be begun anew over it"
            )
    try:
        was = quarantine.accept_loss()
    except StorageError as error:
        raise CommandFailed(NO, f"{node}: {error}") from error
    click.echo(f"{node} counts as a new replica; what is lost is still in {was}")
    return YES


@quarantine_command.command("accept-loss")
@cluster_options
@click.argument("node")
def accept_loss_command(place: Place, node: str) -> None:
    """Take NODE, which must be down, for a new replica: its orders are lost, unless others have them.

    All other order replicas must answer, and be empty: where one has a ledger, that is to be saved.
    """
    run(lambda reactor: accept_loss(reactor, place, node))
