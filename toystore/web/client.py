"""The services of other nodes, over HTTP.

A request is sent once: who calls decides whether to send it again. `Unreachable` means that no byte of it
has left; once a byte may have left, whatever goes wrong is `Broken`, also where a kept connection turns out
to be closed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Never, TypeVar
from urllib.parse import quote, urlencode

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.error import ConnectionRefusedError as NobodyListens
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse

from toystore.encoding import EncodingError, from_json
from toystore.model import CatalogChange, Order, Position, Product, Request
from toystore.replication.interface import NotLeader
from toystore.web import codec
from toystore.web.agent import Body
from toystore.web.interface import Broken, CatalogBehind, Dated, FeedLine, Refused, Submitted, Unreachable

MAX_BODY = 16 * 1024 * 1024
"""Bytes of the longest answer that is read."""
MAX_FEED_LINE = 1024 * 1024
T = TypeVar("T")

_JSON = Headers({b"Content-Type": [b"application/json"]})


@frozen
class Reached:
    """What another node answered."""

    status: int
    headers: Headers
    body: bytes


class _Collector(Protocol):
    """The body of an answer, up to a limit."""

    def __init__(self, limit: int) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: self._close())
        self._limit = limit
        self._parts: list[bytes] = []
        self._length = 0

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self._length += len(data)
        if self._length <= self._limit:
            self._parts.append(data)
        elif not self.done.called:
            self._close()
            self.done.errback(Broken(f"the answer has more than {self._limit} bytes"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        if self.done.called:
            return
        if reason.check(ResponseDone):
            self.done.callback(b"".join(self._parts))
        else:
            self.done.errback(reason)

    def _close(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()


@frozen
class Calls:
    """Requests to one place; `timeout` (seconds) is for a whole exchange, the body included."""

    url: str
    agent: IAgent
    clock: IReactorTime
    timeout: float

    def get(self, path: str) -> Deferred[Reached]:
        return self.send(b"GET", path, None)

    def post(self, path: str, body: bytes) -> Deferred[Reached]:
        return self.send(b"POST", path, Body(body))

    def send(self, method: bytes, path: str, body: Body | None) -> Deferred[Reached]:
        """Fails with Unreachable or Broken, and with nothing else: also when cancelled."""
        exchange = Deferred.fromCoroutine(self._exchange(method, path, body))
        return exchange.addTimeout(self.timeout, self.clock)

    async def _exchange(self, method: bytes, path: str, body: Body | None) -> Reached:
        return await self.read(await self.open(method, path, body))

    async def read(self, response: IResponse) -> Reached:
        """The whole answer. Raises Broken."""
        collector = _Collector(MAX_BODY)
        response.deliverBody(collector)
        try:
            return Reached(response.code, response.headers, await collector.done)
        except Broken:
            raise
        except Exception as error:
            raise Broken(f"{self.url}: the answer broke off: {error!r}") from error

    async def open(self, method: bytes, path: str, body: Body | None = None) -> IResponse:
        """The response once its headers have come. Raises Unreachable or Broken."""
        try:
            return await self.agent.request(method, f"{self.url}{path}".encode("ascii"), _JSON if body else None, body)
        except Exception as error:
            left = body.started if body else not isinstance(error, ConnectError | ConnectingCancelledError)
            kind = Broken if left else Refused if isinstance(error, NobodyListens) else Unreachable
            raise kind(f"{self.url}: {error!r}") from error


def let_go(exchange: Deferred[T]) -> Deferred[T]:
    """`exchange`, except that cancelling it is CancelledError and no failure of the exchange, which is left alone."""
    waiting: Deferred[T] = Deferred()
    exchange.addCallbacks(waiting.callback, waiting.errback)
    return waiting


def _refused(node: str, reached: Reached) -> Never:
    """Raise what an answer other than 200 means."""
    try:
        error = codec.decode_error(reached.body)
    except EncodingError:
        raise Broken(f"{node} answered {reached.status}") from None
    if reached.status == 421 and error.code == "not_leader":
        raise NotLeader(error.leader)
    if error.code == "catalog_behind":
        raise CatalogBehind(f"{node}: {error.detail}")
    raise Broken(f"{node} answered {reached.status} {error.code}: {error.detail}")


def _read(node: str, reached: Reached, decode: Callable[[bytes], T]) -> T:
    if reached.status != 200:
        _refused(node, reached)
    try:
        return decode(reached.body)
    except EncodingError as error:
        raise Broken(f"{node} gave an answer that can not be read: {error}") from error


def _path(*parts: str, **query: str | int | None) -> str:
    path = "".join(f"/{quote(part, safe='')}" for part in parts)
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


_product = codec.DatedDecoder(Product | None)
_products = codec.DatedDecoder(list[Product])
_order = codec.DatedDecoder(Order | None)
_orders = codec.DatedDecoder(list[Order])


class HttpOrderService:
    """An order replica (`interface.OrderService`).

    `cluster` and `sender` say who asks; `timeout` is in seconds.
    """

    def __init__(
        self,
        node: str,
        url: str,
        agent: IAgent,
        clock: IReactorTime,
        cluster: str,
        sender: str,
        timeout: float = 10.0,
    ) -> None:
        self._node = node
        self._calls = Calls(url.rstrip("/"), agent, clock, timeout)
        self._cluster = cluster
        self._sender = sender

    @property
    def node(self) -> str:
        return self._node

    def submit(self, requests: Sequence[Request]) -> Deferred[Submitted]:
        body = codec.encode_batch(self._cluster, self._sender, requests)

        def read(reached: Reached) -> Submitted:
            submitted = _read(self.node, reached, codec.decode_results)
            if len(submitted.results) != len(requests):
                raise Broken(f"{self.node}: {len(submitted.results)} results for {len(requests)} requests")
            return submitted

        return self._calls.post("/ledger", body).addCallback(read)

    def order(self, number: int) -> Deferred[Dated[Order | None]]:
        return self._get(_order, _path("orders", str(number)))

    def orders(self, before: int | None, limit: int) -> Deferred[Dated[list[Order]]]:
        return self._get(_orders, _path("orders", before=before, limit=limit))

    def product(self, name: str) -> Deferred[Dated[Product | None]]:
        return self._get(_product, _path("products", name))

    def _get(self, decoder: codec.DatedDecoder, path: str) -> Deferred[Dated[Any]]:
        return self._calls.get(path).addCallback(lambda reached: _read(self.node, reached, decoder.decode))


class HttpCatalogService:
    """A catalog replica (`interface.CatalogService`).

    `timeout` is in seconds, and longer than a catalog waits for a position (1 s).
    """

    def __init__(self, node: str, url: str, agent: IAgent, clock: IReactorTime, timeout: float = 3.0) -> None:
        self._node = node
        self._calls = Calls(url.rstrip("/"), agent, clock, timeout)

    @property
    def node(self) -> str:
        return self._node

    def product(self, name: str, at_least: Position | None = None) -> Deferred[Dated[Product | None]]:
        return self._get(_product, _path("products", name, min_index=_position(at_least)))

    def products(
        self,
        after: int,
        limit: int,
        text: str = "",
        topic: str | None = None,
        at_least: Position | None = None,
    ) -> Deferred[Dated[list[Product]]]:
        wanted = text or None
        path = _path("products", after=after, limit=limit, q=wanted, topic=topic, min_index=_position(at_least))
        return self._get(_products, path)

    def orders_from(self, number: int, limit: int) -> Deferred[Dated[list[Order]]]:
        return self._export(Order, "orders", str(number), limit)

    def changes_from(self, index: int, sequence: int, limit: int) -> Deferred[Dated[list[CatalogChange]]]:
        return self._export(CatalogChange, "changes", f"{index}:{sequence}", limit)

    def changes(self, listener: Callable[[FeedLine], None]) -> Deferred[None]:
        return Deferred.fromCoroutine(self._follow(listener))

    async def _follow(self, listener: Callable[[FeedLine], None]) -> None:
        calls = self._calls
        opening = Deferred.fromCoroutine(calls.open(b"GET", "/changes"))
        response = await opening.addTimeout(calls.timeout, calls.clock)
        if response.code != 200:
            refusing = Deferred.fromCoroutine(calls.read(response))
            _refused(self.node, await refusing.addTimeout(calls.timeout, calls.clock))
        feed = _FeedReader(self.node, listener)
        response.deliverBody(feed)
        await feed.done

    def _get(self, decoder: codec.DatedDecoder, path: str) -> Deferred[Dated[Any]]:
        return self._calls.get(path).addCallback(lambda reached: _read(self.node, reached, decoder.decode))

    def _export(self, cls: type[T], table: str, start: str, limit: int) -> Deferred[Dated[list[T]]]:
        def read(reached: Reached) -> Dated[list[T]]:
            (position,) = reached.headers.getRawHeaders("Toystore-Index", [""])

            def rows(body: bytes) -> Dated[list[T]]:
                lines = [line for line in body.split(b"\n") if line]
                return Dated([from_json(line, cls) for line in lines], codec.read_position(position), None)

            return _read(self.node, reached, rows)

        query: dict[str, str | int] = {"from": start, "limit": limit}
        path = _path("export", table, **query)
        return self._calls.get(path).addCallback(read)


def _position(position: Position | None) -> str | None:
    return None if position is None else codec.position_text(position)


class _FeedReader(Protocol):
    """Cuts the stream into lines, and gives them to the listener."""

    def __init__(self, node: str, listener: Callable[[FeedLine], None]) -> None:
        self.done: Deferred[None] = Deferred(lambda _: self._close())
        self._node = node
        self._listener = listener
        self._rest = b""

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self.done.called:
                return
            self._tell(line)
        if len(self._rest) > MAX_FEED_LINE:
            self.fail(Broken(f"{self._node}: a feed line has more than {MAX_FEED_LINE} bytes"))

    def _tell(self, line: bytes) -> None:
        try:
            told = codec.decode_feed_line(line)
        except EncodingError as error:
            self.fail(Broken(f"{self._node}: {error}"))
            return
        try:
            self._listener(told)
        except Exception as error:
            self.fail(error)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        if self.done.called:
            return
        if reason.check(ResponseDone):
            self.done.callback(None)
        else:
            self.done.errback(Broken(f"{self._node}: the feed broke off: {reason.value!r}"))

    def fail(self, error: Exception) -> None:
        """End the stream with this error."""
        if not self.done.called:
            self.done.errback(error)
            self._close()

    def _close(self) -> None:
        self._rest = b""
        if self.transport is not None:
            self.transport.loseConnection()
