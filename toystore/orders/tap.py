"""`twistd toystore-order`."""

from __future__ import annotations

from twisted.application.service import IService

from toystore.compose import order_replica
from toystore.daemon import run_role
from toystore.ops.options import RoleOptions as Options

__all__ = ["Options", "makeService"]


def makeService(options: Options) -> IService:  # noqa: N802
    return run_role(order_replica, options)
