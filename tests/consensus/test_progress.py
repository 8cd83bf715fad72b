"""What a leader knows of a peer: no way to be stuck, and never below what matched."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from toystore.consensus.progress import Flow, Progress

WINDOW = 3


def at(match: int, next_index: int, flow: Flow = Flow.PROBE) -> Progress:
    return Progress(match, next_index, now=0, flow=flow)


def test_one_probe_at_a_time() -> None:
    progress = at(0, 5)
    assert progress.may_send(WINDOW)
    progress.sending(6, now=1)
    assert not progress.may_send(WINDOW)
    assert (progress.next, progress.stuck_since) == (5, 1)


def test_a_probe_that_fits_opens_the_window() -> None:
    progress = at(0, 5)
    progress.sending(6, now=1)
    assert progress.accept(6, now=2)
    assert (progress.flow, progress.match, progress.next) == (Flow.REPLICATE, 6, 7)
    assert not progress.inflight


def test_an_answer_from_before_the_probe_does_not() -> None:
    progress = at(0, 5)
    progress.sending(6, now=1)
    assert progress.accept(2, now=2)
    assert (progress.flow, progress.match, progress.next) == (Flow.PROBE, 2, 5)


def test_the_window() -> None:
    progress = at(4, 5, Flow.REPLICATE)
    for last in (6, 8, 9):
        assert progress.may_send(WINDOW)
        progress.sending(last, now=last)
    assert not progress.may_send(WINDOW)
    assert progress.next == 10
    assert progress.accept(8, now=20)
    assert list(progress.inflight) == [9]
    assert progress.stuck_since == 20


def test_the_same_answer_again_is_no_news_and_no_progress() -> None:
    progress = at(4, 5, Flow.REPLICATE)
    progress.sending(6, now=1)
    progress.accept(6, now=2)
    progress.sending(7, now=3)
    assert not progress.accept(6, now=9)
    assert progress.stuck_since == 3


def test_probing_never_goes_below_what_matched() -> None:
    progress = at(7, 12, Flow.REPLICATE)
    progress.probe(3)
    assert (progress.flow, progress.next) == (Flow.PROBE, 8)
    assert progress.may_send(WINDOW)


def test_nothing_is_sent_to_one_that_waits_for_a_snapshot() -> None:
    progress = at(0, 1, Flow.SNAPSHOT)
    assert not progress.may_send(WINDOW)
    progress.probe(9)
    assert progress.may_send(WINDOW)


def test_another_storage_is_another_peer() -> None:
    progress = Progress(match=7, next=9, now=0, uuid="old", flow=Flow.REPLICATE, applied=6, healthy_since=0)
    progress.forget("new", 12, now=5)
    assert (progress.uuid, progress.match, progress.applied, progress.next) == ("new", 0, 0, 12)
    assert progress.flow is Flow.PROBE
    assert progress.healthy_since is None


class AnyOrder(RuleBasedStateMachine):
    """Whatever comes, in whatever order: match < next, at most a window in flight, and a way to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.progress = at(0, 5)
        self.last = 10
        self.now = 0

    @rule(more=st.integers(0, 3))
    def grow(self, more: int) -> None:
        self.last += more
        self.now += 1

    @rule(count=st.integers(0, 3))
    def send(self, count: int) -> None:
        if self.progress.may_send(WINDOW):
            self.progress.sending(min(self.progress.next - 1 + count, self.last), self.now)

    @rule(match=st.integers(0, 40))
    def accept(self, match: int) -> None:
        before = self.progress.match
        news = self.progress.accept(min(match, self.last), self.now)
        assert news is (self.progress.match > before)

    @rule(index=st.integers(1, 40))
    def back_off(self, index: int) -> None:
        self.progress.probe(min(index, self.last + 1))
        assert self.progress.may_send(WINDOW)

    @invariant()
    def bounds(self) -> None:
        progress = self.progress
        assert 0 <= progress.match < progress.next <= self.last + 1
        assert len(progress.inflight) <= WINDOW
        assert progress.flow is not Flow.PROBE or len(progress.inflight) <= 1


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=25, deadline=None, derandomize=True, database=None)
