"""Breaks the roles of a cluster on purpose, for tests that must notice it.

Python imports this module at its start where its directory is on PYTHONPATH, which the supervisor hands on to the
roles. `TOYSTORE_BROKEN` names one of the functions below; nothing is done in processes that are no role.
"""

import os
import sys

ROLE = next((word.removeprefix("toystore-") for word in sys.orig_argv if word.startswith("toystore-")), "")


def loses_an_order() -> None:
    """The file of replica 2 lacks an order."""
    from toystore.orders.projection import _File

    append = _File.append

    def careless(self, rows):
        append(self, [row for row in rows if not (self.target.stem == "order2" and b"apple" in row)])

    _File.append = careless


def gives_up() -> None:
    """The front end does not wait for the next leader."""
    from toystore.frontend.leader import LeaderClient

    failed = LeaderClient._failed

    def faint_hearted(self, failure, node, batch):
        failed(self, failure, node, batch)
        for command in batch:
            self._give_up(command, f"{node} is lost")

    LeaderClient._failed = faint_hearted


def takes_over_again() -> None:
    """The highest leads again as soon as it is back, whatever the config says."""
    from attrs import evolve

    from toystore.ops import config

    load = config.load_config

    def eager(path, data_dir=None):
        found = load(path, data_dir)
        return evolve(found, cluster=evolve(found.cluster, leader_preference="highest"))

    config.load_config = eager


if ROLE in ("order", "catalog", "front"):
    globals()[os.environ["TOYSTORE_BROKEN"]]()
