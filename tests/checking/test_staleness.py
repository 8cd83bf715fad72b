"""How old a cached read may be (design 1.3)."""

from __future__ import annotations

import pytest

from tests.checking.stories import Story, final, order

LEDGER = final(order(0, "a", 10), order(1, "b", 20))


def told() -> Story:
    """Through front-1; acknowledged at 2 s and at 12 s."""
    return Story().bought("a", 0, 10, (1, 2)).bought("b", 1, 20, (11, 12))


@pytest.mark.parametrize("front", ["front-1", "front-2"])
def test_good(front: str) -> None:
    story = told().saw(100, -1, 5, (0, 0.5), front=front).saw(98, 10, 15, (2.5, 3), front=front)
    report = story.saw(96, 20, 20, (17, 18), front=front).saw(98, 10, 15, (12, 13), front=front).judge(LEDGER)
    assert report.good, report.text()
    assert "after an acknowledged order the same front end shows its products no older (4)" in report.text()


class TestTheSameFrontEnd:
    def test_shows_no_older_stock(self) -> None:
        faults = told().saw(98, 10, 15, (12.1, 13)).faults(LEDGER)
        assert "the cached read of 'Tux'" in faults
        assert "is as of index 15; 'Tux' had changed at 20, which had been acknowledged 0.100 s before it was sent" in faults

    def test_nor_an_older_version_under_a_newer_index(self) -> None:
        assert "there were 96 since index 20" in told().saw(98, 10, 21, (12.1, 13)).faults(LEDGER)

    def test_another_one_may_for_a_while(self) -> None:
        assert not told().saw(98, 10, 15, (12.1, 13), front="front-2").faults(LEDGER)

    def test_marked_with_an_age_it_may(self) -> None:
        assert not told().saw(98, 10, 15, (12.1, 13), age=4).faults(LEDGER)
        assert not told().saw(98, 10, 15, (12.1, 13), age=-1).faults(LEDGER)

    def test_after_a_cancellation(self) -> None:
        ledger = final(order(0, "a", 10, cancelled_at=14))
        story = Story().bought("a", 0, 10, (1, 2)).cancelled(0, 14, (3, 4), front="front-2")
        assert "had changed at 14" in story.saw(98, 10, 12, (4.5, 5), front="front-2").faults(ledger)

    def test_one_that_ended_has_forgotten(self) -> None:
        assert not told().saw(98, 10, 15, (13.1, 13.2)).ended("front-1", 13).faults(LEDGER)
        assert told().saw(98, 10, 15, (12.1, 12.2)).ended("front-1", 13).faults(LEDGER)
        assert told().saw(98, 10, 15, (13.1, 13.2)).ended("front-2", 13).faults(LEDGER)
        assert told().saw(98, 10, 15, (13.1, 13.2)).ended("front-1", 5).faults(LEDGER)

    def test_an_answer_of_the_life_before_binds_nobody(self) -> None:
        assert not told().saw(98, 10, 15, (12.5, 12.7)).ended("front-1", 11.5).faults(LEDGER)


class TestAnyFrontEnd:
    @pytest.mark.parametrize("sent", [16.1, 30.0])
    def test_is_late_by_the_bound_at_most(self, sent: float) -> None:
        faults = told().saw(98, 10, 15, (sent, sent + 1), front="front-2").faults(LEDGER)
        assert "a cached read that is not marked is at most 4 s old" in faults

    def test_an_old_index_of_an_unchanged_product_is_not_old(self) -> None:
        assert not told().saw(98, 10, 10, (9, 10), front="front-2").faults(LEDGER)

    def test_the_bound_is_an_argument(self) -> None:
        story = told().saw(98, 10, 15, (14, 15), front="front-2")
        assert not story.faults(LEDGER)
        assert "at most 1 s old" in story.faults(LEDGER, bound=1_000_000_000)

    def test_an_age_makes_it_later(self) -> None:
        assert not told().saw(98, 10, 15, (20, 21), front="front-2", age=4).faults(LEDGER)
        faults = told().saw(98, 10, 15, (21, 22), front="front-2", age=4).faults(LEDGER)
        assert "at most 4 s older than the age it is marked with" in faults
