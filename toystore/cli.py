"""The `toystore` command: one group, and the commands of `toystore/commands/`."""

from __future__ import annotations

import click

import toystore
from toystore.commands.appoint import appoint_command
from toystore.commands.check import check_command
from toystore.commands.demo import demo_command
from toystore.commands.drill import drill_command
from toystore.commands.export import export_command
from toystore.commands.node import node_command
from toystore.commands.quarantine import quarantine_command
from toystore.commands.shop import shop_command
from toystore.commands.status import status_command
from toystore.commands.sweep import sweep_command
from toystore.commands.up import up_command
from toystore.commands.verify import verify_command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(toystore.__version__, prog_name="toystore")
def main() -> None:
    """A store back end that does not lose an order.

    Exit codes: 0 yes, 1 no, 2 wrong usage or config, 3 could not tell.
    """


for _command in (
    up_command,
    demo_command,
    drill_command,
    status_command,
    node_command,
    appoint_command,
    quarantine_command,
    shop_command,
    sweep_command,
    verify_command,
    export_command,
    check_command,
):
    main.add_command(_command)
