"""`twistd toystore-catalog`."""

from __future__ import annotations

from twisted.application.service import IService

from toystore.compose import catalog_replica
from toystore.daemon import run_role
from toystore.ops.options import RoleOptions as Options

__all__ = ["Options", "makeService"]


def makeService(options: Options) -> IService:  # noqa: N802
    return run_role(catalog_replica, options)
