"""Linearizability by the witness of the log: what was answered bounds what is asked later."""

from __future__ import annotations

import pytest

from tests.checking.stories import Story, final, order
from toystore.model import Order


def three() -> tuple[Order, ...]:
    return order(0, "a", 10), order(1, "b", 11), order(2, "c", 12)


LEDGER = final(*three())


def two() -> Story:
    """Orders 0 and 1 at once, then 2."""
    return Story().bought("a", 0, 10, (1, 4)).bought("b", 1, 11, (1, 3)).bought("c", 2, 12, (5, 6))


def test_good() -> None:
    told = two().saw(96, 11, 11, (4.5, 5.5), f="stock").saw_order(2, 12, (7, 8), key="c").saw_no_order(2, (4.5, 5.5))
    report = told.judge(LEDGER)
    assert report.good, report.text()
    counted = {check.promise.split(" sees ")[0]: check.checked for check in report.checks}
    assert counted["a linearizable read"] == 3
    assert counted["an order comes after all that was answered before it was sent"] == 3


def test_an_order_that_overtook_one_that_was_answered() -> None:
    told = Story().bought("b", 1, 11, (1, 2)).bought("a", 0, 10, (3, 4)).bought("c", 2, 12, (5, 6))
    faults = told.faults(LEDGER)
    assert "'a', answered as order 0 (event 2, " in faults
    assert "stands at index 10, and index 11 had been reached by then: the buy with key 'b'" in faults
    assert "as a search finds too" in faults


def test_ended_and_begun_in_the_same_moment_is_at_once() -> None:
    told = Story().bought("b", 1, 11, (1, 2)).bought("a", 0, 10, (2, 4)).bought("c", 2, 12, (5, 6))
    assert not told.faults(LEDGER)


@pytest.mark.parametrize("span", [(5, 6), (7, 8)])
def test_a_stale_read_of_stock(span: tuple[float, float]) -> None:
    faults = two().saw(98, 10, 10, span, f="stock").faults(LEDGER)
    assert "the linearizable read of 'Tux'" in faults
    assert "is as of index 10, and index 1" in faults


def test_a_stale_read_of_an_order() -> None:
    assert "is as of index 10" in two().saw_order(0, 10, (5, 6)).faults(LEDGER)
    assert "found none; the order was placed at 10" in two().saw_no_order(0, (5, 6)).faults(LEDGER)


def test_a_read_after_a_read() -> None:
    """What was seen is committed, though nobody has been told that it is."""
    told = Story().unsure("a", (1, 2)).saw(98, 10, 10, (3, 4), f="stock").saw(100, -1, 9, (5, 6), f="stock")
    assert "is as of index 9, and index 10" in told.faults(final(order(0, "a", 10)))
    cached = Story().unsure("a", (1, 2)).saw(98, 10, 10, (3, 4)).saw_order(0, 9, (5, 6))
    assert "is as of index 9, and index 10" in cached.faults(final(order(0, "a", 10)))


def test_a_cancellation_is_seen_by_who_comes_later() -> None:
    told = Story().bought("a", 0, 10, (1, 2)).cancelled(0, 12, (3, 4)).saw_order(0, 11, (5, 6))
    assert "is as of index 11, and index 12" in told.faults(final(order(0, "a", 10, cancelled_at=12)))


def test_one_of_whom_nobody_heard_stands_after_what_was_answered_before_it_was_sent() -> None:
    told = Story().bought("b", 1, 11, (1, 2)).bought("c", 2, 12, (5, 6))
    assert not told.unsure("a", (1.5, 3)).faults(LEDGER)
    bad = Story().bought("b", 1, 11, (1, 2)).bought("c", 2, 12, (5, 6)).unsure("a", (2.5, 3))
    assert "the buy with key 'a' (event 2" in bad.faults(LEDGER)
    assert "to ever) stands at index 10, and index 11" in bad.faults(LEDGER)
    again = bad.unsure("a", (1.7, 1.8))
    assert not again.faults(LEDGER)


def test_a_cancellation_that_was_carried_out_before_anyone_asked() -> None:
    ledger = final(order(0, "a", 10, cancelled_at=12))
    told = Story().bought("a", 0, 10, (1, 2)).cancelled(0, 15, (6, 7))
    assert not told.faults(ledger)
    seen = told.saw_order(0, 13, (3, 4), status="cancelled")
    assert "the cancellation of order 0" in seen.faults(ledger)
    assert "stands at index 12, and index 13" in seen.faults(ledger)
    assert not seen.tell("cancel", (2.5, 5), {"number": 0}, "info").faults(ledger)


def test_a_replay_is_answered_by_an_entry_of_its_own() -> None:
    told = two().bought("a", 0, 12, (7, 8), replayed=True)
    assert "stands at index 12, and index 12" in told.faults(LEDGER)
    assert not two().bought("a", 0, 13, (7, 8), replayed=True).faults(LEDGER)


def test_a_product_that_never_looked_like_that() -> None:
    assert "there were 98 since index 10" in two().saw(97, 10, 10, (2, 3)).faults(LEDGER)
    assert "there were 98 since index 10" in two().saw(98, 9, 10, (2, 3)).faults(LEDGER)
    assert "there were 98 since index 10" in two().saw(98, 11, 10, (2, 3)).faults(LEDGER)
    unknown = two().tell("product", (2, 3), {"name": "Fox"}, "ok", {"quantity": 1, "version": 2, "index": 10})
    assert "when there was none" in unknown.faults(LEDGER)


class TestRefusals:
    """Of 5 units 2 and 2 go; a third order of 2 finds one; then 2 come back."""

    LEDGER = final(order(0, "a", 10), order(1, "b", 11, cancelled_at=14), order(2, "c", 15), initial=5)

    def told(self) -> Story:
        told = Story().bought("a", 0, 10, (1, 2)).bought("b", 1, 11, (3, 4))
        return told.cancelled(1, 14, (7, 8)).bought("c", 2, 15, (9, 10))

    @pytest.mark.parametrize("span", [(5, 6), (3.5, 3.7), (3.5, 7.5), (9.5, 11)])
    def test_while_too_little_is_there(self, span: tuple[float, float]) -> None:
        report = self.told().refused("x", span).judge(self.LEDGER)
        assert report.good, report.text()
        assert "as a search finds too (5)" in report.text()

    @pytest.mark.parametrize("span", [(1.5, 2.5), (8.5, 8.7)])
    def test_while_enough_is_there(self, span: tuple[float, float]) -> None:
        faults = self.told().refused("x", span).faults(self.LEDGER)
        assert "which had" in faults or "had been reached by then: the buy with key 'x'" in faults
        assert "as a search finds too" in faults

    def test_never_lacking(self) -> None:
        faults = self.told().refused("x", (5, 6), (("Tux", 1),)).faults(self.LEDGER)
        assert "from index 11 on there was enough" in faults
        assert "as a search finds too" in faults

    def test_a_refusal_binds_those_after_it(self) -> None:
        """Two refusals, one after the other, for stock that is lacking only before the cancellation and after it."""
        told = self.told().refused("x", (6.5, 8.2)).saw(1, 11, 11, (8.3, 8.4), f="stock")
        assert "is as of index 11, and index 14" in told.faults(self.LEDGER)

    def test_of_a_key_that_has_an_order_by_then(self) -> None:
        told = self.told().refused("b", (5, 6))
        assert "there was enough before it was carried out at 11" in told.faults(self.LEDGER)

    def test_of_a_cancellation(self) -> None:
        ledger = final(order(0, "a", 10, side="sell"), order(1, "b", 11), initial=0)
        story = Story().bought("a", 0, 10, (1, 2), side="sell").bought("b", 1, 11, (3, 4))
        good = story.tell("cancel", (3, 5), {"number": 0}, "fail", error="insufficient_stock")
        assert not good.faults(ledger)
        plenty = final(order(0, "a", 10, side="sell"), order(1, "b", 11), initial=50)
        assert "the cancellation of order 0" in good.faults(plenty)

    def test_of_a_cancellation_of_an_order_that_is_there(self) -> None:
        told = self.told().tell("cancel", (5, 6), {"number": 0}, "fail", error="unknown_order")
        assert "found none; the order was placed at 10" in told.faults(self.LEDGER)
