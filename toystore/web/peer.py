"""`POST /peer/step`: messages between replicas; `POST /peer/view`: those between them and the register of views."""

from __future__ import annotations

from twisted.web import server

from toystore.encoding import EncodingError
from toystore.replication.transport import PATH, VIEW_PATH, HttpTransport
from toystore.web.answers import Handler, Reply
from toystore.web.input import BadInput

__all__ = ["PATH", "VIEW_PATH", "peer_route"]


def peer_route(transport: HttpTransport) -> Handler:
    """The answer brings the messages that those in the body led to."""

    async def step(request: server.Request, body: bytes) -> Reply:
        try:
            return Reply(200, await transport.receive(body))
        except EncodingError as error:
            raise BadInput(str(error)) from error

    return step
