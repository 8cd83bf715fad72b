"""`twistd toystore-front`."""

from __future__ import annotations

from functools import partial

from twisted.application.service import IService

from toystore.compose import front_end
from toystore.daemon import run_role
from toystore.ops.options import FrontOptions as Options

__all__ = ["Options", "makeService"]


def makeService(options: Options) -> IService:  # noqa: N802
    return run_role(partial(front_end, bootstrap=options.bootstrap), options)
