"""Ask the nodes of a cluster over HTTP."""

from __future__ import annotations

import json
from typing import Any

from toystore.encoding import to_json
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
        return await self._exchange(url, path, self._timeout if timeout is None else timeout, None)

    async def _exchange(self, url: str, path: str, patience: float, body: bytes | None) -> tuple[int, bytes]:
        calls = Calls(url, self._agent, self._reactor, patience)
        began = self._reactor.seconds()
        try:
            reached = await let_go(calls.get(path) if body is None else calls.post(path, body))
        except (Unreachable, Broken) as error:
            waited = self._reactor.seconds() - began
            reason = f"no answer within {patience:g} s" if waited >= patience else _in_short(error)
            raise Unanswered(f"{url}{path}: {reason}") from error
        return reached.status, reached.body

    async def post(self, url: str, path: str, value: Any) -> tuple[int, Any]:
        """POST `value` as JSON: the status and the decoded body of the answer, None where it is no JSON. Raises
        Unanswered."""
        return await self._json(url, path, self._timeout, to_json(value))

    async def get(self, url: str, path: str, timeout: float | None = None) -> tuple[int, Any]:
        """The status and the decoded JSON body of the same, None where it is no JSON. Raises Unanswered."""
        return await self._json(url, path, self._timeout if timeout is None else timeout, None)

    async def _json(self, url: str, path: str, patience: float, body: bytes | None) -> tuple[int, Any]:
        status, answer = await self._exchange(url, path, patience, body)
        try:
            return status, json.loads(answer)
        except ValueError:
            return status, None


def _in_short(error: Exception) -> str:
    return "nothing listens there" if isinstance(error, Unreachable) else "it broke off"
