"""What a catalog has on show is exactly the state at the position that it names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred

from tests.support.nodes import CatalogNode
from tests.support.replica import FakeReplica
from toystore.catalog.window import Window
from toystore.model import CatalogRow, Line, PlaceOrder, Position, PutProduct, Request
from toystore.storage.interface import Reader

T = TypeVar("T")


class SlowReplica(FakeReplica):
    """Its readings arrive when they are let go, with what they found when they were made."""

    def __init__(self) -> None:
        super().__init__("catalog-1")
        self.readings: list[Callable[[], None]] = []

    def read(self, query: Callable[[Reader], T]) -> Deferred[tuple[T, Position]]:
        answer: Deferred[tuple[T, Position]] = Deferred()
        super().read(query).addCallback(lambda found: self.readings.append(lambda: answer.callback(found)))
        return answer


def buy(request_id: str, quantity: int = 1) -> Request:
    return Request(request_id, PlaceOrder("buy", (Line("Fox", quantity),), request_id))


def fox(window: Window) -> tuple[int, int]:
    """How many there are, as of which index."""
    shown = window.look("Fox")
    assert shown is not None
    assert shown[0] is not None
    return shown[0].quantity, shown[1].index


def opened(replica: FakeReplica) -> Window:
    window = Window(replica)
    window.start()
    return window


def test_it_moves_with_what_is_applied() -> None:
    replica = FakeReplica("catalog-1")
    window = opened(replica)
    assert fox(window) == (100, 1)
    replica.commit(buy("a", 3), buy("b", 4), buy("too-many", 1000))
    assert fox(window) == (93, 4)
    replica.commit(Request("c", PutProduct("Owl", 5, "birds", 7)))
    assert (window.look("Owl") or (None,))[0] is not None
    assert window.look("Bear") == (None, Position(0, 5)), "not there, as of this position"


@pytest.mark.fault(7)
def test_a_repeated_request_does_not_bring_back_an_old_stock() -> None:
    replica = FakeReplica("catalog-1")
    window = opened(replica)
    replica.commit(buy("a", 3), buy("b", 4))
    replica.commit(buy("a", 3))
    assert fox(window) == (93, 4)


@pytest.mark.fault(7)
def test_a_reading_overtaken_by_a_snapshot_is_not_shown() -> None:
    replica = SlowReplica()
    window = opened(replica)
    replica.install_snapshot()
    first, second = replica.readings
    first()
    assert window.look("Fox") is None, "it was read before the snapshot"
    second()
    assert fox(window) == (100, 1)


@pytest.mark.fault(7)
def test_after_a_gap_it_is_read_anew() -> None:
    replica = SlowReplica()
    window = opened(replica)
    replica.commit(buy("a", 3))  # after the reading was made, and before it arrives
    replica.readings.pop()()
    assert fox(window) == (100, 1)
    replica.commit(buy("b", 4))
    assert window.look("Fox") is None
    replica.readings.pop()()
    assert fox(window) == (93, 3)


def test_a_closed_window_shows_nothing_and_follows_nothing() -> None:
    replica = SlowReplica()
    window = opened(replica)
    window.stop()
    replica.readings.pop()()
    replica.commit(buy("a"))
    assert (window.look("Fox"), replica.readings) == (None, [])


@pytest.mark.parametrize("shown", [True, False])
def test_lookups_are_the_same_with_and_without_it(shown: bool) -> None:
    node = CatalogNode(replica=FakeReplica("catalog-1", [CatalogRow("Fox & Owl", 5, 7)]))
    if not shown:
        node.window.stop()
    (found, status), (missing, _) = (ask(node, path) for path in ("/products/Fox%20%26%20Owl", "/products/Owl"))
    assert (status, found["value"]["quantity"], found["asof"]) == (200, 7, [0, 1])
    assert (missing["value"], missing["asof"]) == (None, [0, 1])


def ask(node: CatalogNode, path: str) -> tuple[Any, int]:
    status, body = node.get(path)
    return body, status
