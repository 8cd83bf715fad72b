"""Ask the nodes of a cluster over HTTP."""

from __future__ import annotations

import json
from typing import Any

from toystore.web.agent import make_agent
from toystore.web.client import Calls, let_go
from toystore.web.interface import Broken, Unreachable


class Unanswered(OSError):
    """No usable answer came: nothing listens there, it hung up, or it took too long."""


class Asker:
    """GETs pages of nodes; `timeout` in seconds is for a whole exchange that does not name its own."""

    def __init__(self, reactor: Any, timeout: float) -> None:
        self._reactor = reactor
        self._agent = make_agent(reactor, connect_timeout=timeout)
        self._timeout = timeout

    async def fetch(self, url: str, path: str, timeout: float | None = None) -> tuple[int, bytes]:
        """The status and the body of GET `url` + `path`. Raises Unanswered."""
        patience = self._timeout if timeout is None else timeout
        began = self._reactor.seconds()
        try:
            reached = await let_go(Calls(url, self._agent, self._reactor, patience).get(path))
        except (Unreachable, Broken) as error:
            waited = self._reactor.seconds() - began
            reason = f"no answer within {patience:g} s" if waited >= patience else _in_short(error)
            raise Unanswered(f"{url}{path}: {reason}") from error
        return reached.status, reached.body

    async def get(self, url: str, path: str, timeout: float | None = None) -> tuple[int, Any]:
        """The status and the decoded JSON body of the same, None where it is no JSON. Raises Unanswered."""
        status, body = await self.fetch(url, path, timeout)
        try:
            return status, json.loads(body)
        except ValueError:
            return status, None


def _in_short(error: Exception) -> str:
    return "nothing listens there" if isinstance(error, Unreachable) else "it broke off"
