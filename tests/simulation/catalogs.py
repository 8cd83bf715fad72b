"""Catalogs: what they have beside their replica of the ledger, and how front ends reach it: questions, and the feed.

All of it is the program's own but the sockets: a feed is a `Stream`, whose end at the catalog is what `Feed` takes for a
request, and whose end at the front end is the program's own reader of lines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone

from tests.simulation.network import Calls, Connection
from tests.simulation.staleness import Told
from toystore.catalog.feed import Feed
from toystore.catalog.forward import Forwarder
from toystore.catalog.lookup import Lookup
from toystore.catalog.restock import Restock
from toystore.catalog.window import Window
from toystore.model import Position, Product
from toystore.storage.interface import StorageError
from toystore.web.client import _FeedReader
from toystore.web.codec import decode_feed_line
from toystore.web.interface import Broken, CatalogBehind, Dated, FeedChange, FeedLine, FeedReset, FeedStart, Unreachable

if TYPE_CHECKING:
    from tests.simulation.cluster import Process
    from tests.simulation.front_ends import FrontEnd
    from tests.simulation.store import Store

RESTOCK_TO = 20
TIMEOUT = 3.0
"""Seconds that a call to a node may take, as in `web.client`."""
BUFFER = 3
"""Lines that a connection takes from its writer before it says that this is too much."""
RETRY = 0.2
"""Seconds until a lost segment is sent again."""


class Catalog:
    """What runs in a catalog's process from one start to the next, beside its replica."""

    def __init__(self, store: Store, process: Process) -> None:
        world, replica, clock = store.world, process.replica, process.clock
        shape = world.plan.shape
        orders = {
            voter.id: Connection(Calls(process.id, voter, clock, world.links, timeout=TIMEOUT)) for voter in world.voters
        }
        window = Window(replica)
        self.lookup = Lookup(replica, window, clock)
        self.feed = Feed(replica, clock, shape.feed_waiting)
        self.restock = Restock(
            replica, Forwarder(replica, orders).submit, RESTOCK_TO, shape.restock, clock, lambda: store.new_id(process.id)
        )
        self._window = window

    def start(self) -> None:
        self._window.start()
        self.feed.start()
        self.restock.start()

    def stop(self) -> None:
        self.restock.stop()
        self.feed.stop()
        self._window.stop()


class CatalogConnection:
    """One catalog as a front end calls it (`web.interface.CatalogService`)."""

    def __init__(self, store: Store, front: FrontEnd, process: Process) -> None:
        self.node = process.id
        self._store, self._front, self._process = store, front, process
        self._calls = Calls(
            front.id, process, front.clock, store.world.links, lambda: store.lateness(process.id, front.id), TIMEOUT
        )  # fmt: skip

    def product(self, name: str, at_least: Position | None = None) -> Deferred[Dated[Product | None]]:
        return self._ask(lambda lookup: lookup.product(name, at_least))

    def products(
        self, after: int, limit: int, text: str = "", topic: str | None = None, at_least: Position | None = None
    ) -> Deferred[Dated[list[Product]]]:
        return self._ask(lambda lookup: lookup.products(after, limit, text, topic, at_least))

    def changes(self, listener: Callable[[FeedLine], None]) -> Deferred[None]:
        return Stream(self._store, self._front, self._process, listener).open()

    def _ask(self, question: Callable[[Lookup], Coroutine[Any, Any, Any]]) -> Deferred[Any]:
        store, node = self._store, self._process.id

        def carry_out() -> Deferred[Any]:
            catalog = store.catalogs.get(node)
            if catalog is None:
                return fail(Broken("it has not started yet"))
            return Deferred.fromCoroutine(question(catalog.lookup)).addCallbacks(answered, broken)

        def answered(dated: Dated[Any]) -> Dated[Any]:
            store.world.mischief.at("a lookup is answered", node)
            return dated

        store.world.mischief.at("a lookup is asked", self._front.id)
        return self._calls.call(carry_out)


def broken(failure: Failure) -> Failure:
    """What the front end is told where a catalog can not answer."""
    if failure.check(CatalogBehind):
        return failure
    failure.trap(StorageError)
    return Failure(Broken(f"500: {failure.value}"))


class _Channel:
    def __init__(self, stream: Stream) -> None:
        self.forceAbortClient = stream.reset


class _FeedRequest:
    """What `Feed` needs of a request."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._finish: list[Deferred[None]] = []
        self.channel = _Channel(stream)
        self.producer: Any = None

    def setHeader(self, name: bytes, value: bytes) -> None:  # noqa: N802
        """Headers are of no interest here."""

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:  # noqa: N802
        self.producer = None

    def notifyFinish(self) -> Deferred[None]:  # noqa: N802
        finish: Deferred[None] = Deferred()
        self._finish.append(finish)
        return finish

    def write(self, data: bytes) -> None:
        self._stream.write(data)

    def lost(self) -> None:
        finish, self._finish = self._finish, []
        for waiter in finish:
            waiter.errback(ConnectionLost())


class Stream:
    """One `GET /changes`: lines arrive in their order, late, or not at all; TCP sends again what was lost.

    While the front end does not read (paused, or `unread`) lines wait, and beyond `BUFFER` of them the catalog is told to
    pause. A stream that is `deaf` delivers nothing and tells nobody (half-open).
    """

    def __init__(self, store: Store, front: FrontEnd, process: Process, listener: Callable[[FeedLine], None]) -> None:
        self.front, self.process = front, process
        self.unread = self.deaf = False
        self._world, self._store = store.world, store
        self._clocks = front.clock, process.clock
        self._incarnation = front.incarnation
        self._listener = listener
        self._told = Told(store.staleness)
        self._reader = _FeedReader(process.id, self._hear)
        self._request = _FeedRequest(self)
        self._waiting: deque[bytes] = deque()
        self._last = 0.0
        self._open = True
        self._left = self._paused = self._retrying = False

    # The front end's side

    def open(self) -> Deferred[None]:
        links, front, catalog = self._world.links, self.front.id, self.process.id
        self._reader.makeConnection(self)
        self._reader.done.addBoth(self._hung_up)
        if not self.process.up or not links.connected(front, catalog):
            if not links.silent(front, catalog):
                self._reader.fail(Unreachable(f"{catalog} refuses the connection"))
            return self._reader.done
        self._store.streams[self] = None
        self._forget = self.process.when_dead(self._died)
        for delay in links.link(front, catalog).delays(self._world.timeline.now)[:1]:
            self.process.clock.callLater(delay, self._accept)
        return self._reader.done

    def loseConnection(self) -> None:  # noqa: N802
        """The reader wants no more; `_hung_up` follows."""

    def _hear(self, line: FeedLine) -> None:
        self._listener(line)
        self._store.staleness.pushed(self._incarnation, line)
        match line:
            case FeedStart():
                self._world.tally["feeds"] += 1
                self._world.note(f"{self.front.id} follows {self.process.id} from {line.position.index}")
                self._world.mischief.at("a feed begins", self.front.id)
            case FeedReset():
                self._world.tally["resets"] += 1
            case FeedChange():
                self._world.tally["pushes"] += 1

    def _hung_up(self, result: object) -> object:
        if not self._left:
            self._left = True
            self._tell_catalog()
        return result

    def left(self) -> None:
        """The front end's process has died."""
        self._left = True
        self._tell_catalog()

    def _tell_catalog(self) -> None:
        """Now, or when the catalog writes next."""
        if self._open and self._world.links.connected(self.front.id, self.process.id) and not self.deaf:
            self._close()
            self._clocks[1].callLater(0.001, self._request.lost)

    def _close(self) -> None:
        self._open = False
        self._store.streams.pop(self, None)
        self._waiting.clear()

    # The catalog's side

    def _accept(self) -> None:
        catalog = self._store.catalogs.get(self.process.id)
        if not self._open:
            return
        if catalog is None:
            self.reset()
            return
        catalog.feed.stream(self._request).addCallback(self._finished)  # type: ignore[arg-type]

    def write(self, data: bytes) -> None:
        if not self._open:
            return
        line, world, catalog = decode_feed_line(data), self._world, self.process
        world.check(self._told.line, catalog.id, line, catalog.replica.position().index)
        if isinstance(line, FeedChange):
            world.mischief.at("a product is pushed", catalog.id)
        self._waiting.append(data)
        self._flush()
        if len(self._waiting) > BUFFER and not self._paused and self._request.producer is not None:
            self._paused = True
            self._world.tally["unread"] += 1
            self._request.producer.pauseProducing()

    def _flush(self) -> None:
        while self._waiting and self._open:
            if self._left:
                self._tell_catalog()
            delay = self._delay()
            if delay is None:
                self._try_again()
                return
            now = self._world.timeline.now
            self._last = max(self._last, now + delay)
            self._clocks[0].callLater(self._last - now, self._deliver, self._waiting.popleft())
        if self._paused and self._open:
            self._paused = False
            self._clocks[1].callLater(0, self._resume)

    def _delay(self) -> float | None:
        """Of what is sent now; None: it does not get through."""
        if self.deaf or self.unread or self._left or self._clocks[0].paused:
            return None
        link = self._world.links.link(self.process.id, self.front.id)
        return next(iter(link.delays(self._world.timeline.now)), None)

    def _try_again(self) -> None:
        def again() -> None:
            self._retrying = False
            self._flush()

        if not self._retrying:
            self._retrying = True
            self._world.clock.callLater(RETRY, again)

    def _resume(self) -> None:
        if self._request.producer is not None:
            self._request.producer.resumeProducing()

    def _deliver(self, line: bytes) -> None:
        if not self._reader.done.called:
            self._reader.dataReceived(line)

    def _finished(self, _: None) -> None:
        """The feed has ended the stream."""
        if self._open:
            self._close()
            self._clocks[0].callLater(max(0.001, self._last - self._world.timeline.now), self._lose, ResponseDone())

    def _lose(self, reason: Exception) -> None:
        self._reader.connectionLost(Failure(reason))

    def _died(self) -> None:
        """The catalog's process has: the front end is told, unless nobody tells."""
        told = not self._world.links.silent(self.process.id, self.front.id) and not self.deaf
        self._close()
        if told:
            self._clocks[0].callLater(0, self._lose, ConnectionLost())

    def reset(self) -> None:
        """The connection breaks, and both ends are told."""
        self._forget()
        self._close()
        self._clocks[0].callLater(0.001, self._lose, ConnectionLost())
        self._clocks[1].callLater(0.001, self._request.lost)
