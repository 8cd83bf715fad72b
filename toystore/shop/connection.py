"""One customer's keep-alive connection to a store: sends each request once, and says what came of it."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from toystore.shop.dialects import Ask, Reply
from toystore.web.agent import make_agent
from toystore.web.client import Calls, let_go
from toystore.web.interface import Broken, Unreachable

PATIENCE = 15.0
"""Seconds; longer than the store's own deadline for a request."""


@frozen
class Answered:
    """`outcome` is one of `tally.OUTCOMES`; `reply` is there where it is 2xx, 4xx or 5xx."""

    outcome: str
    seconds: float
    reply: Reply | None = None


class Connection:
    """Requests go one after the other over one connection; it is opened again where the store has closed it."""

    def __init__(self, reactor: Any, url: str) -> None:
        self._reactor = reactor
        agent = make_agent(reactor, connect_timeout=PATIENCE, max_per_host=1)
        self._calls = Calls(url.rstrip("/"), agent, reactor, PATIENCE)

    async def send(self, ask: Ask) -> Answered:
        """Raises CancelledError where nobody waits for the answer any more, and nothing else."""
        began = self._reactor.seconds()
        reply = None
        try:
            calls = self._calls
            reached = await let_go(calls.get(ask.path) if ask.body is None else calls.post(ask.path, ask.body))
            reply = Reply(reached.status, reached.body)
            outcome = f"{reply.status // 100}xx"
        except Unreachable:
            outcome = "unreachable"
        except Broken:
            outcome = "timeout" if self._reactor.seconds() - began >= PATIENCE else "reset"
        return Answered(outcome, self._reactor.seconds() - began, reply)
