"""The checker of what customers see accepts a good history, and rejects each bad one, made by hand."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.simulation.checkers import Violation
from tests.simulation.staleness import Staleness, Told
from toystore.model import Position, Product
from toystore.web.interface import FeedBeat, FeedChange, FeedLine, FeedReset, FeedStart

TUX = Product("Tux", 1, 100, 60, "", 2, 0)
TUX_5, TUX_8 = evolve(TUX, quantity=59, version=5, volume=1), evolve(TUX, quantity=57, version=8, volume=3)
FOX = Product("Fox", 2, 100, 60, "", 2, 0)
YOYO = Product("Yoyo", 3, 100, 40, "", 6, 0)


@pytest.fixture
def history() -> Staleness:
    """Tux is sold at 5, which a customer of front 1 is told at 1 s, and again at 8, told by front 2 at 2 s; Yoyo is new at
    6. What is under way takes half a second at most."""
    checker = Staleness(slack=0.5)
    checker.changed(2, [TUX, FOX])
    checker.changed(5, [TUX_5])
    checker.changed(6, [YOYO])
    checker.changed(7, [TUX_5])  # the outcome of 5, told again
    checker.changed(8, [TUX_8])
    checker.acknowledged("front-1", 1.0, 5, ["Tux"])
    checker.acknowledged("front-2", 2.0, 8, ["Tux"])
    return checker


LONG = 2.0 + 3.3 + 0.5
"""When all must know of 8."""


class TestAProduct:
    def test_good(self, history: Staleness) -> None:
        history.product(history.asks("front-1", 2.1), TUX_5, 7, 0)
        history.product(history.asks("front-1", 2.1), TUX_8, 8, 0)
        history.product(history.asks("front-2", 2.1), TUX_8, 8, 0)
        history.product(history.asks("front-3", 2.1), TUX, 4, 0)
        history.product(history.asks("front-1", LONG - 0.01), TUX_5, 5, 0)
        history.product(history.asks("front-1", LONG + 0.01), TUX_8, 8, 0)
        history.product(history.asks("front-1", 99.0), FOX, 2, 0)

    def test_good_with_its_age(self, history: Staleness) -> None:
        history.product(history.asks("front-2", 99.0), TUX, 4, None)
        history.product(history.asks("front-2", 99.0), TUX, 4, 98.0)

    def test_asked_before_the_customer_was_told(self, history: Staleness) -> None:
        asked = history.asks("front-3", 2.1)
        history.acknowledged("front-3", 2.2, 8, ["Tux"])
        history.product(asked, TUX, 4, 0)

    @pytest.mark.parametrize("asof", [4, 5, 8])
    def test_what_was_not_so(self, history: Staleness, asof: int) -> None:
        with pytest.raises(Violation, match="it was"):
            history.product(history.asks("front-3", 2.1), evolve(TUX_5, quantity=58), asof, 0)

    @pytest.mark.parametrize(("product", "asof"), [(TUX, 5), (TUX_5, 8), (TUX_5, 4)])
    def test_of_another_index(self, history: Staleness, product: Product, asof: int) -> None:
        with pytest.raises(Violation, match="it was"):
            history.product(history.asks("front-3", 2.1), product, asof, None)

    def test_older_than_what_this_front_end_told(self, history: Staleness) -> None:
        with pytest.raises(Violation, match="one of its customers was told of 8 before"):
            history.product(history.asks("front-2", 2.1), TUX_5, 7, 0)

    def test_older_than_anything_may_be(self, history: Staleness) -> None:
        with pytest.raises(Violation, match="8 was acknowledged more than 3"):
            history.product(history.asks("front-1", LONG + 0.01), TUX_5, 7, 0)

    def test_older_than_its_mark(self, history: Staleness) -> None:
        with pytest.raises(Violation, match="age 10"):
            history.product(history.asks("front-1", 99.0), TUX_5, 7, 10.0)

    def test_older_than_was_asked_for(self, history: Staleness) -> None:
        with pytest.raises(Violation, match="7 was asked for"):
            history.product(history.asks("front-3", 2.1, at_least=7), TUX_5, 6, None)


class TestAFeed:
    def test_good(self, history: Staleness) -> None:
        history.pushed("front-3", FeedStart(Position(0, 4)))
        history.product(history.asks("front-3", 2.1), TUX, 4, 0)
        asked = history.asks("front-3", 2.1)
        history.pushed("front-3", FeedChange(Position(0, 7), ("Tux",)))
        history.product(asked, TUX, 4, 0)
        history.product(history.asks("front-3", 2.1), TUX_5, 6, 0)
        history.product(history.asks("front-3", 2.1), TUX, 4, None)

    @pytest.mark.parametrize(
        "line", [FeedStart(Position(0, 6)), FeedReset(Position(0, 5)), FeedChange(Position(0, 5), ("Fox", "Tux"))]
    )
    def test_that_is_not_heeded(self, history: Staleness, line: FeedLine) -> None:
        history.pushed("front-3", line)
        with pytest.raises(Violation, match="its feed told of 5"):
            history.product(history.asks("front-3", 2.1), TUX, 4, 0)

    def test_that_tells_all(self, history: Staleness) -> None:
        told = Told(history)
        for line, applied in (
            (FeedStart(Position(0, 4)), 4), (FeedBeat(0.0), 4), (FeedChange(Position(0, 6), ("Tux", "Yoyo")), 7),
            (FeedBeat(0.0), 7), (FeedReset(Position(0, 8)), 8), (FeedBeat(None), 8),
        ):  # fmt: skip
            told.line("catalog-1", line, applied)

    @pytest.mark.parametrize("line", [FeedChange(Position(0, 6), ("Yoyo",)), FeedChange(Position(0, 4), ("Tux", "Yoyo"))])
    def test_that_leaves_something_out(self, history: Staleness, line: FeedLine) -> None:
        told = Told(history)
        told.line("catalog-1", FeedStart(Position(0, 4)), 4)
        told.line("catalog-1", line, 6)
        with pytest.raises(Violation, match="its feed has not told that Tux changed at 5"):
            told.line("catalog-1", FeedBeat(0.0), 6)


class TestNoProduct:
    def test_good(self, history: Staleness) -> None:
        history.no_product(history.asks("front-1", 99.0), "Nemo", True)
        history.no_product(history.asks("front-1", LONG - 0.01), "Yoyo", True)
        asked = history.asks("front-1", 2.1)
        history.product(history.asks("front-1", 2.1), TUX_8, 8, 0)
        history.no_product(asked, "Yoyo", True)
        history.no_product(history.asks("front-3", 99.0), "Yoyo", False)

    def test_that_this_front_end_knew(self, history: Staleness) -> None:
        with pytest.raises(Violation, match="one of its customers was told of 8"):
            history.no_product(history.asks("front-2", 2.1), "Tux", False)

    def test_that_was_there_at_an_index_it_had_shown(self, history: Staleness) -> None:
        history.product(history.asks("front-1", 2.1), TUX_8, 8, 0)
        with pytest.raises(Violation, match="it had shown 8"):
            history.no_product(history.asks("front-1", 2.2), "Yoyo", False)

    def test_that_all_should_know(self, history: Staleness) -> None:
        with pytest.raises(Violation, match="there at 6, long ago"):
            history.no_product(history.asks("front-1", LONG + 0.01), "Yoyo", True)


class TestAList:
    def test_good(self, history: Staleness) -> None:
        history.products(history.asks("front-1", 2.1), [TUX_5, FOX], 5, 0)
        history.products(history.asks("front-2", 99.0), [TUX_8, FOX, YOYO], 8, 0)
        history.products(history.asks("front-2", 99.0), [TUX_5, FOX, YOYO], 7, None)

    def test_of_two_indexes(self, history: Staleness) -> None:
        with pytest.raises(Violation, match="it was"):
            history.products(history.asks("front-1", 2.1), [TUX_8, FOX, YOYO], 7, 0)

    @pytest.mark.parametrize("listed", [[TUX_8, FOX], [FOX, TUX_8, YOYO], [TUX_8, FOX, FOX, YOYO]])
    def test_with_others_than_there_are(self, history: Staleness, listed: list[Product]) -> None:
        with pytest.raises(Violation, match="lists"):
            history.products(history.asks("front-1", 2.1), listed, 8, 0)

    def test_older_than_what_this_front_end_told(self, history: Staleness) -> None:
        with pytest.raises(Violation, match="it should be 8"):
            history.products(history.asks("front-2", 2.1), [TUX_5, FOX, YOYO], 7, 0)

    def test_older_than_what_it_has_shown(self, history: Staleness) -> None:
        history.product(history.asks("front-3", 2.1), TUX_8, 8, 0)
        with pytest.raises(Violation, match="it should be 8"):
            history.products(history.asks("front-3", 2.1), [TUX_5, FOX, YOYO], 7, 0)

    def test_older_than_anything_may_be(self, history: Staleness) -> None:
        with pytest.raises(Violation, match="it should be 8"):
            history.products(history.asks("front-1", LONG + 0.01), [TUX_5, FOX, YOYO], 7, 0)


class TestALinearizableRead:
    def test_good(self, history: Staleness) -> None:
        history.linearizable(history.asks("front-1", 2.1), TUX_8, "Tux", 8)

    def test_of_what_was_before(self, history: Staleness) -> None:
        with pytest.raises(Violation, match="8 was acknowledged"):
            history.linearizable(history.asks("front-1", 2.1), TUX_5, "Tux", 7)

    def test_of_what_was_not_so(self, history: Staleness) -> None:
        with pytest.raises(Violation, match="not"):
            history.linearizable(history.asks("front-1", 2.1), TUX_5, "Tux", 8)
