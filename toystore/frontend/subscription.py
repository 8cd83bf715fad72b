"""The one change feed that a front end holds: it raises the floors of the cache, and its heartbeats allow
the hits.

A heartbeat says how old the catalog's contact with a confirmed leader is. As long as that is at most
`MAX_AGE` seconds, now, the cache may serve; the lease it gets ends by itself at that age, whatever then
happens to the stream. Where the stream is lost or silent, or its catalog hears no leader, another catalog
is tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from toystore.frontend.cache import Cache
from toystore.web.interface import (
    Broken,
    CatalogService,
    FeedBeat,
    FeedChange,
    FeedLine,
    FeedReset,
    FeedStart,
    Unreachable,
)

log = Logger()

MAX_AGE = 3.0
"""Seconds: nothing is served from the cache, and nothing is served unmarked, that may be older than this."""


def too_old(age: float | None) -> bool:
    """Whether an answer of this age must be marked with it; None is an age without end."""
    return age is None or age > MAX_AGE


class Subscription:
    """Follows one catalog at a time. `silence` is how long a stream may say nothing, `shortest` and
    `longest` bound the pause before the next attempt; all in seconds.

    `node` is the catalog being followed. `degraded` is True once every catalog in turn was found to hear
    no leader, or could not be followed.
    """

    def __init__(
        self,
        catalogs: Sequence[CatalogService],
        cache: Cache,
        clock: IReactorTime,
        random: Random,
        *,
        silence: float = MAX_AGE,
        shortest: float = 0.05,
        longest: float = 1.0,
    ) -> None:
        self.degraded = False
        self.node: str | None = None
        self._catalogs = tuple(catalogs)
        self._cache = cache
        self._clock = clock
        self._random = random
        self._silence = silence
        self._shortest = shortest
        self._longest = longest
        self._turn = 0
        self._failures = 0
        self._deaf: set[str] = set()
        self._stream: Deferred[None] | None = None
        self._attempt = 0
        self._silent: IDelayedCall | None = None
        self._retry: IDelayedCall | None = None
        self._running = False

    def start(self) -> None:
        self._running = True
        self._connect()

    def stop(self) -> None:
        self._running = False
        if self._retry is not None and self._retry.active():
            self._retry.cancel()
        self._drop("this front end is stopping")

    def fresh(self) -> bool:
        """Whether the feed allows the cache to serve now."""
        return self._cache.lease >= self._clock.seconds()

    def _connect(self) -> None:
        if not self._catalogs or not self._running:
            return
        catalog = self._catalogs[self._turn % len(self._catalogs)]
        self.node = catalog.node
        self._listen_on()
        self._attempt += 1
        attempt = self._attempt
        stream = maybeDeferred(catalog.changes, lambda line: self._hear(catalog.node, attempt, line))
        self._stream = stream
        stream.addBoth(self._ended, catalog.node)
        stream.addErrback(lambda failure: log.failure("the feed was mishandled", failure))

    def _listen_on(self) -> None:
        """The stream has until now and `silence` seconds more."""
        if self._silent is not None and self._silent.active():
            self._silent.reset(self._silence)
        else:
            self._silent = self._clock.callLater(self._silence, self._drop, "it has fallen silent")

    def _hear(self, node: str, attempt: int, line: FeedLine) -> None:
        if attempt != self._attempt or self.node is None:
            return
        self._listen_on()
        match line:
            case FeedStart():
                self._cache.raise_all(line.position)
                log.info("follows {node} from {position}", node=node, position=line.position)
            case FeedChange():
                for name in line.names:
                    if self._cache.raise_floor(name, line.position):
                        log.debug("Invalidating stock : {name} in cache", name=name)
            case FeedReset():
                self._cache.clear()
                self._cache.raise_all(line.position)
            case FeedBeat():
                self._beat(node, line.age)

    def _beat(self, node: str, age: float | None) -> None:
        if age is not None and age <= MAX_AGE:
            self._cache.renew(self._clock.seconds() + MAX_AGE - age)
            self._failures = 0
            self._deaf.clear()
            self.degraded = False
            return
        self._cache.suspend()
        self._is_deaf(node)
        if len(self._catalogs) > 1:
            self._drop("it hears no leader")

    def _is_deaf(self, node: str) -> None:
        self._deaf.add(node)
        if not self.degraded and len(self._deaf) == len(self._catalogs):
            self.degraded = True
            log.warn("no catalog hears a leader: lookups are answered with their age")

    def _drop(self, why: str) -> None:
        """Leave this catalog; `_ended` then tries the next one."""
        stream = self._stream
        if stream is not None:
            log.info("leaves {node}: {why}", node=self.node, why=why)
            stream.cancel()

    def _ended(self, result: Failure | None, node: str) -> None:
        if isinstance(result, Failure) and not result.check(Unreachable, Broken, CancelledError):
            log.failure("the feed of {node} failed", result, node=node)
        self._stream = None
        self.node = None
        self._cache.suspend()
        self._is_deaf(node)
        if self._silent is not None and self._silent.active():
            self._silent.cancel()
        if not self._running:
            return
        self._turn += 1
        pause = min(self._longest, self._shortest * 2 ** min(self._failures, 8))
        self._failures += 1
        self._retry = self._clock.callLater(pause * self._random.uniform(0.5, 1.0), self._connect)
