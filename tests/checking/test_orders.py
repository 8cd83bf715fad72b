"""Orders, cancellations and stock: histories that must pass, and bad ones that must not."""

from __future__ import annotations

import re

import pytest
from attrs import evolve

from tests.checking.stories import Story, final, order
from toystore.checking.final import Final
from toystore.model import CatalogChange, Order, Product


def story() -> Story:
    """Orders 0 and 1 are acknowledged, of "c" nobody knows, "d" is refused, 1 is cancelled."""
    told = Story().bought("a", 0, 10, (1, 2)).bought("b", 1, 11, (3, 4), (("Tux", 3),)).unsure("c", (5, 6))
    return told.refused("d", (7, 8), error="unavailable").cancelled(1, 12, (9, 10))


A, B, C, D = order(0, "a", 10), order(1, "b", 11, (("Tux", 3),), cancelled_at=12), order(2, "c", 13), order(2, "d", 13)


@pytest.mark.parametrize("orders", [(A, B), (A, B, C)])
def test_good(orders: tuple[Order, ...]) -> None:
    report = story().judge(final(*orders))
    assert report.good, report.text()
    counted = {check.promise: check.checked for check in report.checks}
    assert counted["an acknowledged order is there once, as it was told"] == 2
    assert counted["a cancelled order stays cancelled, and nobody else's is"] == 2


@pytest.mark.parametrize(
    ("orders", "why"),
    [
        ((A,), "'b', answered as order 1 .* is lost"),
        ((A, evolve(B, number=2)), "order 2 stands where 1 should"),
        ((A, B, order(2, "a", 13)), "orders 0 and 2 have the same key 'a'"),
        ((A, B, evolve(C, index=9, changed=9)), "comes after 1 by its number"),
        ((A, B, evolve(C, at=5)), "comes after 1 by its number"),
        ((A, B, evolve(C, changed=14)), "order 2 is placed, and was placed at 13, changed at 14"),
        ((A, B, evolve(C, index=12, changed=12)), "orders 1 and 2 were both changed by the log entry 12"),
        ((evolve(A, key="x"), B), "key 'x': nobody sent it"),
        ((A, B, D), "order 2 is there, and was answered with unavailable: .*'d'"),
        ((order(0, "a", 10, (("Tux", 1),)), B), r"order 0 is to buy \(\('Tux', 1\),\)"),
        ((order(0, "a", 10, side="sell"), B), "the side was buy, and is sell"),
        ((order(0, "b", 10, (("Tux", 3),), cancelled_at=12), order(1, "a", 11)), "the number was 0, and is 1"),
        ((A, evolve(B, changed=11, status=A.status)), "the order is placed"),
        ((evolve(A, status=B.status, changed=13), B), "order 0 is cancelled since 13, and no cancellation"),
        ((A, evolve(B, changed=13)), "was answered as of 12, and carried out at 13"),
        ((evolve(A, index=11, changed=11), evolve(B, index=12, changed=13)), "answered as of index 10, and placed at 11"),
    ],
)
def test_a_ledger_that_is_not_what_was_told(orders: tuple[Order, ...], why: str) -> None:
    assert re.search(why, story().faults(final(*orders)))


@pytest.mark.parametrize("wrong", [{"total": 21}, {"at": 3}, {"lines_told": [["Tux", 2, 11]]}])
def test_an_answer_that_is_not_the_order(wrong: dict[str, object]) -> None:
    told = Story().bought("a", 0, 10, (1, 2), **wrong)
    assert "is not what the ledger has as order 0" in told.faults(final(A))


def test_a_cancellation_of_no_order() -> None:
    assert "there is no such order" in Story().cancelled(7, 12, (1, 2)).faults(final())


class TestKeysThatAreSentAgain:
    def test_unknown_and_then_a_replay(self) -> None:
        told = Story().unsure("a", (1, 2)).bought("a", 0, 14, (3, 4), replayed=True)
        assert not told.faults(final(A))

    def test_refused_and_then_carried_out(self) -> None:
        told = Story().refused("a", (1, 2), error="unavailable").bought("a", 0, 10, (3, 4))
        assert not told.faults(final(A))

    def test_a_refusal_that_the_first_attempt_overtakes(self) -> None:
        told = Story().unsure("a", (1, 2)).refused("a", (3, 4), error="unavailable")
        assert not told.faults(final(A))
        assert not told.faults(final())

    def test_always_refused_and_yet_there(self) -> None:
        told = Story().refused("a", (1, 2), error="unavailable").refused("a", (3, 4), error="limit")
        assert "order 0 is there, and was answered with limit" in told.faults(final(A))

    def test_new_twice(self) -> None:
        told = Story().bought("a", 0, 10, (1, 2)).bought("a", 0, 14, (3, 4))
        assert "two attempts were answered as new" in told.faults(final(A))

    def test_another_order_the_second_time(self) -> None:
        told = Story().bought("a", 0, 10, (1, 2)).bought("a", 1, 11, (3, 4), replayed=True)
        assert "the number was 1, and is 0" in told.faults(final(A))

    def test_a_replay_of_nothing(self) -> None:
        told = Story().refused("a", (1, 2), error="unavailable").bought("a", 0, 10, (3, 4), replayed=True)
        assert "no attempt before it can have placed it" in told.faults(final(A))
        alone = Story().bought("a", 0, 10, (3, 4), replayed=True)
        assert "no attempt before it can have placed it" in alone.faults(final(A))

    def test_another_body_under_the_same_key(self) -> None:
        good = Story().bought("a", 0, 10, (1, 2)).refused("a", (3, 4), (("Tux", 9),), error="key_reused")
        assert not good.faults(final(A))
        bad = Story().bought("a", 0, 10, (1, 2)).refused("a", (3, 4), error="key_reused")
        assert "stands for no other body" in bad.faults(final(A))

    def test_the_other_body_was_carried_out(self) -> None:
        told = Story().unsure("a", (1, 2), (("Tux", 9),)).refused("a", (3, 4), error="unavailable")
        assert "answered with unavailable" in told.faults(final(A))


class TestReadsOfOrders:
    def told(self) -> Story:
        return Story().bought("a", 0, 10, (1, 2)).cancelled(0, 12, (3, 4))

    LEDGER = final(order(0, "a", 10, cancelled_at=12))

    def test_good(self) -> None:
        told = (
            self.told().saw_no_order(0, (0, 1.5)).saw_order(0, 11, (2.5, 3.5)).saw_order(0, 12, (5, 6), status="cancelled")
        )
        assert not told.faults(self.LEDGER)

    @pytest.mark.parametrize(
        "wrong",
        [{"status": "cancelled"}, {"key": "x"}, {"total": 1}, {"side": "sell"}, {"lines": [["Tux", 3]]}],
    )
    def test_not_as_it_was(self, wrong: dict[str, object]) -> None:
        assert "and it was" in self.told().saw_order(0, 11, (2.5, 3.5), **wrong).faults(self.LEDGER)  # type: ignore[arg-type]

    def test_before_it_was_or_where_none_is(self) -> None:
        assert "it was placed at 10" in self.told().saw_order(0, 9, (0, 1.5)).faults(self.LEDGER)
        assert "there is no such order" in self.told().saw_order(1, 11, (2.5, 3.5)).faults(self.LEDGER)


class TestStock:
    def told(self) -> Story:
        return story().bought("e", 2, 13, (11, 12), (("Tux", 4),), side="sell")

    LEDGER = (A, B, order(2, "e", 13, (("Tux", 4),), side="sell"))

    def test_good(self) -> None:
        assert not self.told().faults(final(*self.LEDGER))

    @pytest.mark.parametrize("left", [101, 103])
    def test_a_unit_too_many_or_too_few(self, left: int) -> None:
        assert f"the orders leave 102, and there are {left}" in self.told().faults(final(*self.LEDGER, left=left))

    def test_sold_twice_though_all_is_well_in_the_end(self) -> None:
        report = self.told().faults(final(*self.LEDGER, initial=4))
        assert "of 'Tux' -1 were left after index 11: sold twice" in report

    def test_an_old_row(self) -> None:
        assert "has the version 12, and was changed at 13" in self.told().faults(final(*self.LEDGER, version=12))

    def test_products_that_come_and_go(self) -> None:
        ledger = final(*self.LEDGER)
        gone = Final(ledger.orders, [], initial=ledger.initial)
        assert "'Tux' was there, and is gone" in self.told().faults(gone)
        came = Final(ledger.orders, [*ledger.products, Product("Fox", 2, 1, 5, "", 3, 0)], initial=ledger.initial)
        assert "nobody knows where it came from" in self.told().faults(came)
        unknown = Story().bought("a", 0, 10, (1, 2), (("Fox", 1),))
        assert "'Fox', which was never there" in unknown.faults(final(order(0, "a", 10, (("Fox", 1),)), left=100))

    def test_by_the_history_of_the_catalog(self) -> None:
        changes = [
            CatalogChange(2, 0, 1, "load_catalog", "Tux", 1, "quantity", "100", None),
            CatalogChange(5, 0, 1, "set_price", "Tux", 1, "price", "10", None),
            CatalogChange(14, 0, 1, "adjust_stock", "Tux", 1, "quantity", "105", 3),
        ]
        products = [Product("Tux", 1, 10, 105, "", 14, 0)]
        good = Final(self.LEDGER, products, changes)
        assert not self.told().faults(good)
        assert "the orders leave 105" in self.told().faults(evolve(good, products=[evolve(products[0], quantity=102)]))

    def test_nothing_is_known_of_the_beginning(self) -> None:
        report = self.told().judge(evolve(final(*self.LEDGER), initial=None))
        assert report.good
        assert "nothing to check  no unit of stock" in report.text()


def test_what_an_accepted_loss_took_away_is_not_judged() -> None:
    told = story().bought("z", 0, 14, (11, 12), generation=1)
    report = told.judge(final(order(0, "z", 14)))
    assert report.good, report.text()
    assert report.forgiven == 3


def test_of_many_anomalies_some_are_told() -> None:
    told = Story()
    for number in range(50):
        told.bought(f"k{number}", number, number + 5, (number, number + 0.5))
    report = told.judge(final())
    assert report.count == 50
    assert len(report.anomalies) == 20
    assert "and 30 more" in report.text()
