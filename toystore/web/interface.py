"""The services of other nodes, as a front end calls them; `web/client.py` reaches them over HTTP, tests by fakes.

Every call gives a Deferred that may be cancelled and timed out by the caller. Beside the errors named at each method,
all of them fail with `Unreachable` or `Broken`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred

from toystore.model import CatalogChange, Order, Position, Product, Request
from toystore.replication.interface import Result

T = TypeVar("T")


class Unreachable(Exception):
    """No byte of the request has left: connection refused, no route, no connection in time."""


class Refused(Unreachable):
    """Nobody listens at the address: the process that should has ended, or has not begun."""


class Broken(Exception):
    """The request has left, and no usable answer came: reset, closed, timed out, or not what it should be."""


class CatalogBehind(Exception):
    """The catalog did not reach the position asked for within its wait (1 s)."""


@frozen
class Submitted:
    """The leader's answer to a batch: its term, and a result for each request in order."""

    term: int
    results: tuple[Result, ...]


@frozen
class Dated(Generic[T]):
    """A value read at one point: `asof` is the position applied there, `age` the seconds since that node last had contact
    with a leader that a majority had confirmed (None: never)."""

    value: T
    asof: Position
    age: float | None = 0.0


class OrderService(Protocol):
    """One order replica. All calls fail with `replication.interface.NotLeader` where it does not lead."""

    @property
    def node(self) -> str: ...

    def submit(self, requests: Sequence[Request]) -> Deferred[Submitted]: ...

    def order(self, number: int) -> Deferred[Dated[Order | None]]:
        """Linearizable."""

    def orders(self, before: int | None, limit: int) -> Deferred[Dated[list[Order]]]:
        """The newest first; linearizable."""

    def product(self, name: str) -> Deferred[Dated[Product | None]]:
        """Linearizable."""


# What a feed says ---------------------------------------------------------------------------------------------------


@frozen
class FeedStart:
    """The first: everything after `position` will be told."""

    position: Position


@frozen
class FeedChange:
    """At `position`, these products have changed."""

    position: Position
    names: tuple[str, ...]


@frozen
class FeedReset:
    """What changed up to `position` can not be listed."""

    position: Position


@frozen
class FeedBeat:
    """Every second: the age, in seconds, of the catalog's last contact with a confirmed leader (None: never)."""

    age: float | None


FeedLine = FeedStart | FeedChange | FeedReset | FeedBeat


class CatalogService(Protocol):
    """One catalog replica."""

    @property
    def node(self) -> str: ...

    def product(self, name: str, at_least: Position | None = None) -> Deferred[Dated[Product | None]]:
        """CatalogBehind where it has not applied `at_least` within a second."""

    def products(
        self,
        after: int,
        limit: int,
        text: str = "",
        topic: str | None = None,
        at_least: Position | None = None,
    ) -> Deferred[Dated[list[Product]]]:
        """By number, those above `after`. CatalogBehind as above."""

    def orders_from(self, number: int, limit: int) -> Deferred[Dated[list[Order]]]:
        """By number, ascending, from `number` on. The age is not told (None)."""

    def changes_from(self, index: int, sequence: int, limit: int) -> Deferred[Dated[list[CatalogChange]]]:
        """The history of catalog changes, from this (index, sequence) on. The age is not told (None)."""

    def changes(self, listener: Callable[[FeedLine], None]) -> Deferred[None]:
        """Follow the change feed: calls the listener for every line. Fires when the stream ends; cancel it to end it."""
