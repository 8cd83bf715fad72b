"""`toystore appoint`: name the leader by hand, where leaders are appointed; if need be, with the loss of what it lacks."""

from __future__ import annotations

from typing import Any

import click

from toystore.commands.asking import Asker, Unanswered
from toystore.commands.loop import NO, UNSURE, USAGE, YES, CommandFailed, run
from toystore.commands.place import Place, cluster_options

PATIENCE = 5.0
"""Seconds that the front end which appoints has for its answer."""


async def appoint(reactor: Any, place: Place, leader: str, accept_loss: bool) -> int:
    front = place.config.appointing
    if front is None:
        raise CommandFailed(USAGE, f"{place.config_file}: here the replicas elect their leader (cluster.election is 'raft')")
    asker = Asker(reactor, PATIENCE)
    try:
        status, answer = await asker.post(front.url, "/views", {"leader": leader, "accept_loss": accept_loss})
    except Unanswered as error:
        raise CommandFailed(UNSURE, f"{front.name}, which appoints, does not answer: {error}") from error
    said = answer if isinstance(answer, dict) else {}
    if status != 200:
        raise CommandFailed(NO, str(said.get("detail") or f"{front.name} answers {status}"))
    view = said["view"]
    generation = f", generation {view['generation']}" if view["generation"] else ""
    in_sync = ", ".join(view["in_sync"])
    click.echo(f"{view['leader']} is to lead: view {view['version']}, epoch {view['epoch']}{generation}, in sync {in_sync}")
    return YES


@click.command("appoint")
@cluster_options
@click.argument("leader", metavar="ORDER-NODE")
@click.option("--accept-loss", is_flag=True, help="Though it is not in sync: what it lacks is lost for ever.")
def appoint_command(place: Place, leader: str, accept_loss: bool) -> None:
    """Name the order replica that is to lead, where `election = "appointed"`.

    One that is in sync takes over and nothing is lost. One that is not may lack acknowledged orders: where all that have
    them are gone for good, --accept-loss makes it the leader all the same, and every other replica, catalogs too, throws
    away what it has and takes a copy of its state. Exit code 1 where the register of views refuses, and says why.
    """
    run(lambda reactor: appoint(reactor, place, leader, accept_loss))
