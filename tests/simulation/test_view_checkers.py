"""The checkers of the rules of the views: each accepts a good history, and rejects each bad one, made by hand."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.simulation.view_checkers import Changes, Followers, Generations, Joining, Offices, Registers, Violation
from tests.simulation.view_checkers import Views as ViewsChecker
from toystore.consensus.views import View

ALL = {"a": "ua", "b": "ub", "c": "uc"}
TWO = {"a": "ua", "b": "ub"}
FIRST = View("R", 0, 1, 1, "c", ALL)
SECOND = evolve(FIRST, version=2, epoch=2, leader="b")
THIRD = evolve(SECOND, version=3, in_sync=TWO)
LOST = View("R", 1, 4, 3, "a", {"a": "ua"})
OTHER = evolve(THIRD, register="S", version=4, epoch=3, leader="a", taken_over=("R",))


class TestStoredBeforeTold:
    """Rule 1; what rules 2 and 4 say to the same checker stands in test_checkers.py."""

    def test_good(self) -> None:
        checker = ViewsChecker()
        checker.stored(FIRST)
        checker.told(FIRST)
        checker.stored(SECOND)
        checker.told(FIRST)

    def test_told_first(self) -> None:
        checker = ViewsChecker()
        checker.stored(FIRST)
        with pytest.raises(Violation, match="never stored"):
            checker.told(SECOND)

    def test_an_epoch_that_goes_back(self) -> None:
        checker = ViewsChecker()
        checker.stored(FIRST)
        checker.stored(SECOND)
        with pytest.raises(Violation, match="goes back"):
            checker.stored(evolve(FIRST, version=3))

    def test_a_commit_without_one_that_may_be_in_sync_by_now(self) -> None:
        checker = ViewsChecker()
        checker.stored(THIRD)
        checker.committed(5, ALL, ["a", "b"])
        checker.committed(6, {**ALL, "c": "another"}, ["a", "b"], asked=[ALL])
        with pytest.raises(Violation, match="c lacks it"):
            checker.committed(7, ALL, ["a", "b"], asked=[ALL])


class TestChanges:
    def history(self) -> Changes:
        checker = Changes()
        checker.stored(FIRST)
        checker.stored(SECOND)
        checker.asked("b", 2, 2, "b", TWO)
        checker.stored(THIRD)
        return checker

    def test_good(self) -> None:
        self.history().stored(OTHER)
        lost = self.history()
        lost.accepted("a")
        lost.stored(LOST)

    def test_to_hand_over(self) -> None:
        checker = self.history()
        checker.asked("b", 2, 3, "a", {"a": "ua"})
        checker.stored(evolve(THIRD, version=4, epoch=3, leader="a", in_sync={"a": "ua"}))

    @pytest.mark.parametrize(
        ("asked", "bad", "why"),
        [
            (None, evolve(THIRD, version=4, in_sync=ALL), "nobody who leads asked"),
            (("b", 2, 2, "b", ALL), evolve(THIRD, version=4, in_sync=ALL), "nobody who leads asked"),
            (("c", 1, 3, "b", ALL), evolve(THIRD, version=4, in_sync=ALL), "nobody who leads asked"),
            (("b", 1, 3, "b", ALL), evolve(THIRD, version=4, in_sync=ALL), "nobody who leads asked"),
            (("b", 2, 3, "b", {**TWO, "c": "old"}), evolve(THIRD, version=4, in_sync=ALL), "nobody who leads asked"),
            (None, evolve(THIRD, version=4), "nobody who leads asked"),
            (None, evolve(THIRD, version=4, epoch=3, leader="a", in_sync={"a": "ua"}), "nobody who leads asked"),
            (("b", 2, 3, "b", ALL), evolve(THIRD, version=4, epoch=3, in_sync=ALL), "begin together"),
            (("b", 2, 3, "a", TWO), evolve(THIRD, version=4, leader="a"), "begin together"),
            (("b", 2, 3, "c", ALL), evolve(THIRD, version=4, epoch=3, leader="c", in_sync=ALL), "was not in sync"),
            (None, evolve(OTHER, in_sync=ALL), "does not go on"),
            (None, evolve(OTHER, taken_over=()), "does not go on"),
            (None, LOST, "no operator has accepted"),
        ],
    )
    def test_bad(self, asked: tuple[str, int, int, str, dict[str, str]] | None, bad: View, why: str) -> None:
        checker = self.history()
        if asked is not None:
            checker.asked(*asked)
        with pytest.raises(Violation, match=why):
            checker.stored(bad)

    def test_a_loss_that_was_accepted_for_another_or_for_one_alone(self) -> None:
        for accepted, bad in (("b", LOST), ("a", evolve(LOST, in_sync=TWO))):
            checker = self.history()
            checker.accepted(accepted)
            with pytest.raises(Violation):
                checker.stored(bad)

    def test_a_loss_is_accepted_once(self) -> None:
        checker = self.history()
        checker.accepted("a")
        checker.stored(LOST)
        with pytest.raises(Violation, match="no operator has accepted"):
            checker.stored(evolve(LOST, generation=2, version=5, epoch=4))

    def test_the_same_storage_is_to_lead(self) -> None:
        checker = self.history()
        checker.asked("b", 2, 3, "a", {"a": "new", "b": "ub"})
        with pytest.raises(Violation, match="not in sync from this storage"):
            checker.stored(evolve(THIRD, version=4, epoch=3, leader="a", in_sync={"a": "new", "b": "ub"}))


class TestOffices:
    def history(self) -> Offices:
        checker = Offices()
        checker.begins("c", 1, 1, FIRST)
        checker.acts("c", 1, 1)
        checker.left("c", 1, heard=2)
        checker.begins("b", 1, 2, SECOND)
        return checker

    def test_good(self) -> None:
        checker = self.history()
        checker.acts("b", 1, 2)
        checker.begins("b", 1, 2, THIRD)
        checker.over("b", 1)
        checker.left("b", 2, heard=2)
        checker.begins("b", 1, 3, evolve(THIRD, version=4, epoch=3))
        checker.begins("b", 2, 4, evolve(THIRD, version=5, epoch=4))

    def test_a_restarted_leader_that_goes_on(self) -> None:
        checker = self.history()
        checker.over("b", 1)
        with pytest.raises(Violation, match="start 2 of b acts as leader of epoch 2"):
            checker.begins("b", 2, 2, SECOND)
        with pytest.raises(Violation, match="start 2 of b"):
            checker.acts("b", 2, 2)

    def test_another_one_in_the_same_epoch(self) -> None:
        with pytest.raises(Violation, match="start 1 of a acts"):
            self.history().begins("a", 1, 2, SECOND)

    def test_after_a_write_that_failed(self) -> None:
        checker = self.history()
        checker.over("b", 1)
        with pytest.raises(Violation, match="a write had failed"):
            checker.acts("b", 1, 2)
        with pytest.raises(Violation, match="a write had failed"):
            checker.begins("b", 1, 2, SECOND)

    @pytest.mark.parametrize("held", [None, SECOND, evolve(SECOND, version=3, epoch=3, leader="a")])
    def test_with_another_view_on_its_disk(self, held: View | None) -> None:
        with pytest.raises(Violation, match="on its disk"):
            self.history().begins("b", 1, 3, held)

    def test_given_up_for_nothing(self) -> None:
        with pytest.raises(Violation, match="nothing higher"):
            self.history().left("b", 2, heard=2)


def test_who_follows_a_leader_of_the_past() -> None:
    checker = Followers()
    checker.takes("a", 1)
    checker.held("a", SECOND)
    checker.held("a", FIRST)
    checker.takes("a", 2)
    with pytest.raises(Violation, match="follows epoch 1"):
        checker.takes("a", 1)
    checker.forgot("a")
    checker.takes("a", 1)


class TestJoining:
    @pytest.fixture
    def checker(self) -> Joining:
        checker = Joining()
        checker.committed(6, 1)
        checker.committed(7, 2)
        checker.stored(THIRD)
        return checker

    HOLDS = {"a": 7, "b": 7, "c": 7}

    def test_good(self, checker: Joining) -> None:
        checker.asked(2, 3, ALL, ALL, self.HOLDS)
        checker.asked(2, 3, {"b": "ub"}, ALL, {**self.HOLDS, "a": 3})
        checker.asked(2, 3, ALL, {**ALL, "c": "another"}, {**self.HOLDS, "c": 0})

    def test_of_a_view_that_was_replaced(self, checker: Joining) -> None:
        checker.asked(1, 1, ALL, ALL, {**self.HOLDS, "c": 6})

    def test_before_the_no_op_of_the_epoch_is_committed(self, checker: Joining) -> None:
        checker.stored(evolve(THIRD, version=4, epoch=3, leader="a"))
        checker.asked(3, 4, {"a": "ua"}, ALL, self.HOLDS)
        with pytest.raises(Violation, match="of which nothing is committed"):
            checker.asked(3, 4, ALL, ALL, self.HOLDS)

    def test_without_all_that_is_committed(self, checker: Joining) -> None:
        with pytest.raises(Violation, match="has up to 6; 7 is committed"):
            checker.asked(2, 3, ALL, ALL, {**self.HOLDS, "c": 6})


class TestGenerations:
    @pytest.fixture
    def checker(self) -> Generations:
        checker = Generations()
        for node in "abc":
            checker.holds(node, 0, snapshot=False)
        checker.accepted(1, "a")
        checker.holds("a", 1, snapshot=False)
        return checker

    def test_good(self, checker: Generations) -> None:
        checker.holds("b", 0, snapshot=False)
        checker.holds("b", 1, snapshot=True)
        checker.holds("b", 1, snapshot=False)
        checker.forgot("c")
        checker.holds("c", 0, snapshot=False)

    def test_a_state_that_is_carried_over(self, checker: Generations) -> None:
        with pytest.raises(Violation, match="carries its state of generation 0 over into 1"):
            checker.holds("b", 1, snapshot=False)

    def test_back(self, checker: Generations) -> None:
        with pytest.raises(Violation, match="goes back from generation 1"):
            checker.holds("a", 0, snapshot=True)

    def test_two_beginnings(self, checker: Generations) -> None:
        with pytest.raises(Violation, match="begins with the state of a, and with that of b"):
            checker.accepted(1, "b")


class TestRegisters:
    @pytest.fixture
    def checker(self) -> Registers:
        checker = Registers("abc")
        for node in "abc":
            checker.promised(node, "R")
        return checker

    def taken_over(self, checker: Registers) -> Registers:
        checker.stored(FIRST, empty="abc")
        checker.stored(THIRD)
        for node in "abc":
            checker.held(node, FIRST)
            checker.promised(node, "S")
        return checker

    def test_good(self, checker: Registers) -> None:
        self.taken_over(checker).stored(OTHER)
        checker.held("a", FIRST)
        checker.held("a", OTHER)

    def test_some_of_them_known_to_be_empty(self) -> None:
        checker = Registers("abc")
        checker.promised("a", "R")
        checker.promised("b", "R")
        checker.stored(evolve(FIRST, leader="b", in_sync=TWO), empty="ab", expected="ab")

    def test_the_first_of_all_though_someone_has_a_ledger_or_has_not_answered(self, checker: Registers) -> None:
        with pytest.raises(Violation, match="c has a ledger"):
            checker.stored(FIRST, empty="ab")
        silent = Registers("abc")
        silent.promised("a", "R")
        with pytest.raises(Violation, match="without the promise of b, c"):
            silent.stored(FIRST, empty="abc")

    def test_taken_over_without_the_promise_of_one(self, checker: Registers) -> None:
        self.taken_over(checker).promised("b", "R")
        with pytest.raises(Violation, match="without the promise of b"):
            checker.stored(OTHER)
        checker.promised("b", "S")
        checker.forgot("c")
        with pytest.raises(Violation, match="without the promise of c"):
            checker.stored(OTHER)

    @pytest.mark.parametrize("bad", [evolve(OTHER, version=3), evolve(OTHER, taken_over=())])
    def test_taken_over_and_not_gone_on(self, checker: Registers, bad: View) -> None:
        with pytest.raises(Violation, match="does not go on"):
            self.taken_over(checker).stored(bad)

    def test_a_view_of_a_register_that_was_taken_over(self, checker: Registers) -> None:
        with pytest.raises(Violation, match="has promised to follow S"):
            self.taken_over(checker).held("a", THIRD)
