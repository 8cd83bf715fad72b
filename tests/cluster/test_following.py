"""Who follows a replica, and who waits for a position at it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.cluster.conftest import Shop
from toystore.catalog.window import Window
from toystore.model import Position
from toystore.storage.interface import Applied


def test_followers_are_told_before_those_who_wait_for_the_position(shop: Shop) -> None:
    replicator = shop.leading.replica
    window = Window(replicator)
    window.start()
    shop.run(0.1)
    heard: list[tuple[str, int]] = []

    def applied(batch: Sequence[Applied]) -> None:
        heard.append(("told", batch[-1].index))

    replicator.follow(applied, lambda: None)
    wanted = Position(0, replicator.position().index + 1)

    def reached(_: None) -> None:
        shown = window.look("Fox")
        assert shown is not None
        heard.append(("reached", shown[1].index))

    waiting = replicator.wait_for(wanted).addCallback(reached)
    shop.buy()
    shop.wait(waiting)
    assert heard[:2] == [("told", wanted.index), ("reached", wanted.index)]


@pytest.mark.fault(7)
def test_a_window_is_read_anew_after_a_snapshot(shop: Shop) -> None:
    shop.buy(2)
    away = shop.followers[0]
    away.kill()
    shop.buy(60)
    away.boot()
    window = Window(away.replica)
    shop.run_until(lambda: away.up)
    window.start()
    shop.run(0.3)
    assert away.disk.state.base_index > 0, "it came by a snapshot"
    products, position = shop.wait(away.replica.read(lambda reader: reader.products(0, 100)))
    assert [window.look(product.name) for product in products] == [(product, position) for product in products]
