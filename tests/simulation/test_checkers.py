"""Each checker accepts a good history, and rejects each bad one, made by hand."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.simulation.checkers import (
    CommitRises,
    CommittedForEver,
    Durable,
    EqualDigests,
    FreshReads,
    LogMatching,
    OneLeaderATerm,
    Orders,
    OwnTermCounts,
    Views,
    Violation,
    check_stock,
)
from toystore.consensus.messages import Entry, Kind
from toystore.consensus.views import View
from toystore.model import Line, Order, OrderLine, OrderStatus, PlaceOrder, Product, Side


def entry(index: int, term: int, data: bytes = b"[]") -> Entry:
    return Entry(index, term, Kind.COMMAND, data)


class TestOneLeaderATerm:
    def test_good(self) -> None:
        checker = OneLeaderATerm()
        for term, node in ((1, "a"), (2, "b"), (2, "b"), (1, "a")):
            checker.leads(term, node)

    def test_two_in_a_term(self) -> None:
        checker = OneLeaderATerm()
        checker.leads(2, "a")
        with pytest.raises(Violation, match="two leaders"):
            checker.leads(2, "b")


class TestViews:
    FIRST = View("R", 0, 1, 1, "c", {"a": "ua", "b": "ub", "c": "uc"})
    SECOND = View("R", 0, 2, 2, "b", {"a": "ua", "b": "ub"})
    DISKS = {"a": "ua", "b": "ub", "c": "uc"}

    def history(self) -> Views:
        checker = Views()
        checker.stored(self.FIRST)
        checker.held("a", self.FIRST)
        checker.leads("c", 1)
        checker.committed(1, self.DISKS, ["a", "b", "c"])
        checker.stored(self.SECOND)
        checker.held("a", self.SECOND)
        checker.leads("b", 2)
        checker.committed(2, self.DISKS, ["a", "b"])
        return checker

    def test_good(self) -> None:
        checker = self.history()
        checker.committed(3, {**self.DISKS, "a": "another"}, ["b"])
        checker.forgot("a")
        checker.held("a", self.FIRST)

    @pytest.mark.parametrize(
        "bad",
        [
            FIRST,
            evolve(SECOND, leader="a"),
            evolve(SECOND, version=3, leader="a"),
            evolve(SECOND, version=3, epoch=3, leader="c"),
            evolve(SECOND, version=1, epoch=3),
        ],
    )
    def test_a_view_that_can_not_be_stored(self, bad: View) -> None:
        with pytest.raises(Violation):
            self.history().stored(bad)

    def test_one_that_was_never_stored_or_was_left_behind(self) -> None:
        with pytest.raises(Violation, match="never stored"):
            self.history().held("c", evolve(self.SECOND, version=3))
        with pytest.raises(Violation, match="goes back"):
            self.history().held("a", self.FIRST)

    @pytest.mark.parametrize(("node", "epoch"), [("a", 2), ("b", 1), ("b", 3)])
    def test_who_leads_without_being_named(self, node: str, epoch: int) -> None:
        with pytest.raises(Violation, match="belongs to"):
            self.history().leads(node, epoch)

    @pytest.mark.parametrize(("disks", "holders"), [(DISKS, ["b", "c"]), ({"a": "x", "b": "y", "c": "uc"}, ["c"])])
    def test_a_commit_that_someone_in_sync_lacks(self, disks: dict[str, str], holders: list[str]) -> None:
        with pytest.raises(Violation, match="in sync"):
            self.history().committed(3, disks, holders)


class TestLogMatching:
    def test_good(self) -> None:
        checker = LogMatching()
        for node, entry_, previous in (("a", entry(5, 2), 1), ("b", entry(5, 2), 1), ("b", entry(5, 3, b"x"), 1)):
            checker.has(node, entry_, previous)

    @pytest.mark.parametrize(
        ("bad", "previous"), [(entry(5, 2, b"other"), 1), (entry(5, 2), 2), (Entry(5, 2, Kind.NOOP, b"[]"), 1)]
    )
    def test_same_place_and_something_else(self, bad: Entry, previous: int) -> None:
        checker = LogMatching()
        checker.has("a", entry(5, 2), 1)
        with pytest.raises(Violation):
            checker.has("b", bad, previous)


class TestCommittedForEver:
    def history(self) -> CommittedForEver:
        checker = CommittedForEver()
        assert checker.committed("a", 1, 1, during=1)
        assert checker.committed("a", 2, 1, during=1)
        assert not checker.committed("b", 1, 1, during=2)
        assert checker.committed("b", 3, 2, during=2)
        return checker

    def test_another_entry(self) -> None:
        with pytest.raises(Violation, match="was committed there"):
            self.history().committed("c", 2, 2, during=3)

    def test_a_leader_that_has_all(self) -> None:
        self.history().leads("c", 3, 0, [0, 1, 1, 2, 2])

    def test_a_leader_of_an_earlier_term_needs_not_have_what_came_later(self) -> None:
        self.history().leads("a", 2, 0, [0, 1, 1])

    def test_a_leader_that_lacks_an_entry(self) -> None:
        with pytest.raises(Violation, match="index 3"):
            self.history().leads("c", 3, 1, [1, 1])

    def test_a_leader_with_another_entry(self) -> None:
        with pytest.raises(Violation, match="index 2"):
            self.history().leads("c", 3, 2, [2, 2])

    def test_a_leader_that_has_compacted(self) -> None:
        self.history().leads("c", 3, 3, [2])


class TestDurable:
    @pytest.mark.parametrize(("voters", "enough"), [(1, 1), (3, 2), (5, 3)])
    def test_a_majority(self, voters: int, enough: int) -> None:
        Durable(voters).committed(1, ["abcde"[n] for n in range(enough)])
        with pytest.raises(Violation, match="only on the disks of"):
            Durable(voters).committed(1, ["abcde"[n] for n in range(enough - 1)])


class TestEqualDigests:
    def test_good(self) -> None:
        checker = EqualDigests()
        checker.applied("a", 1, b"x")
        checker.applied("b", 1, b"x")
        checker.applied("b", 2, b"y")

    def test_another_state(self) -> None:
        checker = EqualDigests()
        checker.applied("a", 1, b"x")
        with pytest.raises(Violation, match="differ at index 1"):
            checker.applied("b", 1, b"y")


class TestDropped:
    @pytest.fixture
    def checker(self) -> CommittedForEver:
        checker = CommittedForEver()
        checker.committed("a", 5, 2, 4)
        return checker

    def test_good(self, checker: CommittedForEver) -> None:
        checker.dropped("b", 5, 3, 4)
        checker.dropped("b", 6, 2, 4)
        checker.dropped("b", 5, 2, 3)

    @pytest.mark.parametrize("during", [4, 5])
    def test_what_was_committed(self, checker: CommittedForEver, during: int) -> None:
        with pytest.raises(Violation, match="drops entry 5 of term 2, which was committed in term 4"):
            checker.dropped("b", 5, 2, during)


def test_a_leader_commits_by_its_own_entries() -> None:
    checker = OwnTermCounts()
    checker.leader_commits("a", 3, 7, 3)
    with pytest.raises(Violation, match="commits up to 8, an entry of term 2"):
        checker.leader_commits("a", 3, 8, 2)


class TestCommitRises:
    @pytest.fixture
    def checker(self) -> CommitRises:
        checker = CommitRises()
        checker.started("a", "ua", 3)
        checker.committed("a", 5)
        checker.applied("a", 4, 5)
        checker.synced("a", "ua", 4)
        return checker

    def test_good(self, checker: CommitRises) -> None:
        checker.committed("a", 5)
        checker.installed("a", 9)
        checker.committed("a", 10)
        checker.applied("a", 10, 10)
        checker.started("a", "ua", 4)
        checker.committed("a", 4)
        checker.committed("a", 5)
        checker.applied("a", 5, 5)
        checker.started("a", "another", 0)

    def test_back(self, checker: CommitRises) -> None:
        with pytest.raises(Violation, match="goes back from commit index 5 to 4"):
            checker.committed("a", 4)

    @pytest.mark.parametrize(("first", "last"), [(7, 8), (5, 6), (4, 6), (6, 5)])
    def test_a_gap_or_twice(self, checker: CommitRises, first: int, last: int) -> None:
        checker.committed("a", 9)
        with pytest.raises(Violation, match="after 5"):
            checker.applied("a", first, last)

    def test_before_it_is_committed(self, checker: CommitRises) -> None:
        with pytest.raises(Violation, match="knows of commits up to 5"):
            checker.applied("a", 6, 6)

    def test_an_old_snapshot(self, checker: CommitRises) -> None:
        with pytest.raises(Violation, match="installs a snapshot as of 5"):
            checker.installed("a", 5)

    def test_a_disk_that_lost_what_was_synced(self, checker: CommitRises) -> None:
        with pytest.raises(Violation, match="begins at 3, and had 4"):
            checker.started("a", "ua", 3)


class TestFreshReads:
    def test_good(self) -> None:
        checker = FreshReads()
        checker.acknowledge(7)
        floor = checker.acknowledged
        checker.acknowledge(9)
        checker.answered("a", 7, floor)

    def test_too_old(self) -> None:
        checker = FreshReads()
        checker.acknowledge(7)
        checker.acknowledge(6)
        with pytest.raises(Violation, match="7 was acknowledged"):
            checker.answered("a", 6, checker.acknowledged)


def order(number: int, key: str, quantity: int = 2, side: Side = Side.BUY) -> Order:
    index = number + 10
    lines = (OrderLine("Tux", quantity, 1599),)
    return Order(number, side, lines, OrderStatus.PLACED, 1_000 + number, index, 1, index, key)


def cancelled(placed: Order) -> Order:
    return evolve(placed, status=OrderStatus.CANCELLED, changed=99)


class TestOrders:
    @pytest.fixture
    def checker(self) -> Orders:
        """ "a" and "b" were acknowledged, of "c" nothing is known."""
        checker = Orders()
        for key in "abc":
            checker.sent(PlaceOrder("buy", (Line("Tux", 2),), key))
        checker.acknowledged(order(0, "a"))
        checker.acknowledged(order(1, "b"))
        return checker

    def test_with_the_unknown_one_or_without(self, checker: Orders) -> None:
        checker.ledger([order(0, "a"), order(1, "b")])
        checker.ledger([order(0, "a"), order(1, "b"), order(2, "c")])

    def test_a_replay_is_the_same_order(self, checker: Orders) -> None:
        checker.acknowledged(cancelled(order(0, "a")))

    def test_a_replay_with_another_number(self, checker: Orders) -> None:
        with pytest.raises(Violation, match="later with"):
            checker.acknowledged(order(2, "a"))

    def test_a_number_given_twice(self, checker: Orders) -> None:
        with pytest.raises(Violation, match="order 1 was given"):
            checker.acknowledged(order(1, "c"))

    def test_lost(self, checker: Orders) -> None:
        with pytest.raises(Violation, match="is lost"):
            checker.ledger([order(0, "a")])

    def test_changed(self, checker: Orders) -> None:
        with pytest.raises(Violation, match="was acknowledged as"):
            checker.ledger([order(0, "a"), evolve(order(1, "b"), at=5)])

    def test_twice(self, checker: Orders) -> None:
        with pytest.raises(Violation, match="two orders"):
            checker.ledger([order(0, "a"), order(1, "b"), order(2, "b")])

    def test_a_gap(self, checker: Orders) -> None:
        with pytest.raises(Violation, match="gaps"):
            checker.ledger([order(0, "a"), order(1, "b"), order(3, "c")])

    def test_never_sent(self, checker: Orders) -> None:
        with pytest.raises(Violation, match="never sent"):
            checker.ledger([order(0, "a"), order(1, "b"), order(2, "d")])

    @pytest.mark.parametrize("bad", [order(2, "c", quantity=3), order(2, "c", side=Side.SELL)])
    def test_not_what_was_sent(self, checker: Orders, bad: Order) -> None:
        with pytest.raises(Violation, match="what was sent"):
            checker.ledger([order(0, "a"), order(1, "b"), bad])

    @pytest.mark.parametrize("why", ["was refused: insufficient_stock", "was turned away"])
    def test_refused_and_yet_there(self, checker: Orders, why: str) -> None:
        checker.never("c", why)
        with pytest.raises(Violation, match=why):
            checker.ledger([order(0, "a"), order(1, "b"), order(2, "c")])

    def test_refused_and_acknowledged(self, checker: Orders) -> None:
        with pytest.raises(Violation, match="had been acknowledged"):
            checker.never("a", "was refused")
        checker.never("c", "was turned away")
        with pytest.raises(Violation, match="was turned away"):
            checker.acknowledged(order(2, "c"))

    def test_a_cancellation_that_is_gone(self, checker: Orders) -> None:
        checker.cancelled(0)
        checker.ledger([cancelled(order(0, "a")), order(1, "b")])
        with pytest.raises(Violation, match="not cancelled"):
            checker.ledger([order(0, "a"), order(1, "b")])


class TestStock:
    def products(self, quantity: int) -> list[Product]:
        return [Product("Tux", 1, 1599, quantity, "", 1, 0)]

    def test_what_orders_leave(self) -> None:
        orders = [order(0, "a", 3), order(1, "b", 4, Side.SELL), cancelled(order(2, "c", 5))]
        check_stock({"Tux": 10}, orders, self.products(11))

    @pytest.mark.parametrize("quantity", [9, 11])
    def test_a_unit_too_many_or_too_few(self, quantity: int) -> None:
        with pytest.raises(Violation, match="the orders leave"):
            check_stock({"Tux": 12}, [order(0, "a", 2)], self.products(quantity))

    def test_sold_twice(self) -> None:
        with pytest.raises(Violation, match="below zero"):
            check_stock({"Tux": 1}, [order(0, "a", 2)], self.products(-1))

    def test_no_products(self) -> None:
        with pytest.raises(Violation):
            check_stock({"Tux": 1}, [], [])
