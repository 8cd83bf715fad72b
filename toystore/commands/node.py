"""`toystore node`: stop, start, kill, pause or resume one process of a running `toystore up`."""

from __future__ import annotations

from typing import Any

import click

from toystore.commands.loop import NO, UNSURE, YES, CommandFailed, run
from toystore.commands.place import Place, cluster_options
from toystore.supervisor.cluster import NotPossible
from toystore.supervisor.control import NoSupervisor, request

PATIENCE = 45.0
"""Seconds; longer than the supervisor itself waits for a node to end or to answer."""

VERBS = {
    "stop": "End it with SIGTERM; it stays down until `start`.",
    "start": "Start it, and wait until it answers.",
    "kill": "End it with SIGKILL; it stays down until `start`.",
    "pause": "Stop it where it stands, with SIGSTOP.",
    "resume": "Let it go on, with SIGCONT.",
}


async def carry_out(reactor: Any, place: Place, verb: str, node: str) -> int:
    try:
        answer = await request(reactor, place.data_dir, {"do": verb, "node": node}, PATIENCE)
    except NotPossible as no:
        raise CommandFailed(NO, str(no)) from no
    except NoSupervisor as error:
        raise CommandFailed(UNSURE, str(error)) from error
    click.echo(answer["text"])
    return YES


@click.group("node")
def node_command() -> None:
    """Stop, start, kill, pause or resume one process of a running `toystore up`."""


def _verb_command(verb: str, help_text: str) -> click.Command:
    @click.command(verb, help=help_text)
    @cluster_options
    @click.argument("node")
    def command(place: Place, node: str) -> None:
        run(lambda reactor: carry_out(reactor, place, verb, node))

    return command


for _verb, _help in VERBS.items():
    node_command.add_command(_verb_command(_verb, _help))
