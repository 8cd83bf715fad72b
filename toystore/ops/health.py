"""What every replica tells about itself: whether it lives, whether it can do its job, and what it holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec
from attrs import asdict, frozen
from klein import Klein
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from toystore.consensus.messages import Kind
from toystore.encoding import encode_rows, to_json
from toystore.replication.interface import Replica
from toystore.storage.interface import IndexPassed, LogRow, Reader
from toystore.web.answers import HOME_PAGE, Reply
from toystore.web.codec import encode_error, position_text
from toystore.web.input import BadInput, query_integer, query_text, whole_number

EXPORT_LIMIT = 500
"""Rows of one page at most: what can be read between two commits in a few milliseconds."""


@frozen
class NodeFacts:
    """What does not change while the process runs. `role` is order or catalog, `election` raft or
    appointed."""

    name: str
    role: str
    cluster: str
    election: str
    pid: int


@frozen
class Health:
    """The answers of one replica; `patience` (seconds) bounds the wait for a state hash. `waits_for` are reasons why it is
    not ready beside those of the replica itself."""

    replica: Replica
    facts: NodeFacts
    clock: IReactorTime
    patience: float = 30.0
    waits_for: Callable[[], Sequence[str]] = tuple

    async def home(self, request: Request) -> Reply:
        return HOME_PAGE

    async def live(self, request: Request) -> Reply:
        """That this is answered shows that the loop turns."""
        return Reply(200, b'{"live":true}')

    async def ready(self, request: Request) -> Reply:
        reasons = (*(await self.replica.status()).reasons, *self.waits_for())
        return Reply(503 if reasons else 200, to_json({"ready": not reasons, "reasons": reasons}))

    async def status(self, request: Request) -> Reply:
        facts = asdict(self.facts) | asdict(await self.replica.status())
        return Reply(200, to_json({"format": 1, **facts}))

    async def state_hash(self, request: Request) -> Reply:
        index = _required_index(request)
        try:
            value = await self.replica.state_hash(index).addTimeout(self.patience, self.clock)
        except IndexPassed as error:
            return Reply(409, encode_error("index_passed", str(error) or f"{index} has been passed"))
        except TimedOut:
            return Reply(503, encode_error("not_yet", f"{index} was not applied within {self.patience:g} s"))
        return Reply(200, to_json({"index": index, "state_hash": value}))

    async def digest(self, request: Request) -> Reply:
        index = _required_index(request)
        digest, _ = await self.replica.read(lambda reader: reader.digest_at(index))
        if digest is None:
            return Reply(404, encode_error("not_kept", f"the digest at {index} is not kept here"))
        return Reply(200, to_json({"index": index, "digest": digest.hex()}))

    async def export(self, request: Request, what: str) -> Reply:
        page = _PAGES.get(what)
        if page is None:
            raise BadInput(f"there is no export {what!r}; there are {', '.join(_PAGES)}")
        limit = query_integer(request, "limit", 1, EXPORT_LIMIT) or EXPORT_LIMIT
        start = query_text(request, "from") or "0"
        query = page(start, limit)
        lines, position = await self.replica.read(query)
        headers = (
            (b"Content-Type", b"application/jsonl"),
            (b"Toystore-Index", position_text(position).encode()),
        )
        return Reply(200, b"".join(line + b"\n" for line in lines), headers)


def _required_index(request: Request) -> int:
    index = query_integer(request, "index")
    if index is None:
        raise BadInput("the parameter 'index' is missing")
    return index


# Exports ----------------------------------------------------------------------------------------------------

Query = Callable[[Reader], list[bytes]]


def _products(start: str, limit: int) -> Query:
    number = whole_number(start, "from")
    return lambda reader: encode_rows(tuple(reader.products(number - 1, limit)))


def _orders(start: str, limit: int) -> Query:
    number = whole_number(start, "from")
    return lambda reader: encode_rows(tuple(reader.orders_from(number, limit)))


def _changes(start: str, limit: int) -> Query:
    """From `index`, or `index:sequence`."""
    first, _, second = start.partition(":")
    index, sequence = whole_number(first, "from"), whole_number(second or "0", "from")
    return lambda reader: encode_rows(tuple(reader.changes_from(index, sequence, limit)))


def _log(start: str, limit: int) -> Query:
    index = whole_number(start, "from")
    return lambda reader: [_log_line(row) for row in reader.log_from(index, limit)]


def _log_line(row: LogRow) -> bytes:
    entry = row.entry
    return to_json(
        {
            "index": entry.index,
            "term": entry.term,
            "kind": Kind(entry.kind).name.lower(),
            "data": msgspec.Raw(entry.data or b"null"),
            "digest": None if row.digest is None else row.digest.hex(),
        }
    )


_PAGES: dict[str, Callable[[str, int], Query]] = {
    "products": _products,
    "orders": _orders,
    "log": _log,
    "changes": _changes,
}


# Routes -----------------------------------------------------------------------------------------------------


class HasHealth(Protocol):
    """The class that a Klein app with these routes belongs to."""

    @property
    def health(self) -> Health: ...


def add_health_routes(app: Klein) -> None:
    """Add the routes of this module to an app that belongs to a class which `HasHealth`."""

    def route(path: str, answer: Callable[..., Awaitable[Reply]]) -> None:
        async def respond(owner: HasHealth, request: Request, **arguments: Any) -> bytes:
            return (await answer(owner.health, request, **arguments)).send(request)

        app.route(path, methods=["GET"], endpoint=path)(respond)

    route("/", Health.home)
    route("/livez", Health.live)
    route("/readyz", Health.ready)
    route("/status", Health.status)
    route("/state-hash", Health.state_hash)
    route("/digest", Health.digest)
    route("/export/<what>", Health.export)
