"""The log against a list of all that was ever in it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from toystore.consensus.log import OVERHEAD, Log, size_of
from toystore.consensus.messages import Entry, Kind


def entry(index: int, term: int, data: bytes = b"") -> Entry:
    return Entry(index, term, Kind.COMMAND, data)


def log_of(*terms: int, applied: int = 0) -> Log:
    return Log(entries=[entry(i, t) for i, t in enumerate(terms, 1)], applied=applied)


class LogAgainstAList(RuleBasedStateMachine):
    """The model keeps every entry from 1 on; the log may have forgotten those up to `base`."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log()
        self.model: list[Entry] = []
        self.base = self.commit = 0
        self.term = 1

    @rule(up=st.integers(0, 2))
    def newer_term(self, up: int) -> None:
        self.term += up

    @rule(position=st.integers(0, 30), count=st.integers(0, 5), size=st.integers(0, 3))
    def append(self, position: int, count: int, size: int) -> None:
        """A leader of the current term sends `count` entries after some point, where they must agree up to commit."""
        after = max(self.commit, min(position, len(self.model)))
        new = [entry(after + i, self.term, b"x" * size) for i in range(1, count + 1)]
        for i, one in enumerate(new):
            here = self.model[one.index - 1] if one.index <= len(self.model) else None
            if here is not None and here.term == one.term:
                new[i] = here
        first = next((e.index for e in new if e.index > len(self.model) or self.model[e.index - 1].term != e.term), 0)
        assert self.log.append(new) == first
        if first:
            self.model = self.model[: first - 1] + [e for e in new if e.index >= first]

    @rule(position=st.integers(0, 30), again=st.integers(1, 5))
    def append_what_is_there(self, position: int, again: int) -> None:
        kept = self.model[self.base :][position : position + again]
        assert self.log.append(kept) == 0

    @rule(share=st.floats(0, 1))
    def save(self, share: float) -> None:
        self.log.saved += round(share * (self.log.last_index - self.log.saved))

    @rule(index=st.integers(0, 30))
    def commit_to(self, index: int) -> None:
        index = min(index, len(self.model))
        assert list(self.log.commit_to(index)) == self.model[self.commit : index]
        self.commit = max(self.commit, index)

    @rule()
    def apply(self) -> None:
        self.log.applied = max(self.log.applied, min(self.log.commit, self.log.saved))

    @rule(index=st.integers(0, 30))
    def compact(self, index: int) -> None:
        index = min(index, self.log.applied)
        self.log.compact(index)
        self.base = max(self.base, index)

    @precondition(lambda self: self.log.applied < len(self.model) + 3)
    @rule(ahead=st.integers(1, 3))
    def restore(self, ahead: int) -> None:
        index = self.log.applied + ahead
        self.log.restore(index, self.term)
        known = self.model[: self.commit][:index]
        self.model = known + [entry(i, self.term) for i in range(len(known) + 1, index + 1)]
        self.model[-1] = entry(index, self.term)
        self.base = self.commit = index

    @invariant()
    def the_same(self) -> None:
        log = self.log
        assert log.last_index == len(self.model)
        assert log.base_index == self.base
        kept = self.model[self.base :]
        assert log.slice(self.base + 1, log.last_index, 99, 1 << 20) == tuple(kept)
        assert log.size == sum(map(size_of, kept))
        for index in range(self.base + 1, len(self.model) + 1):
            assert log.term_at(index) == self.model[index - 1].term
            assert log.entry(index) == self.model[index - 1]
        assert log.term_at(len(self.model) + 1) is None
        assert self.base == 0 or log.term_at(self.base - 1) is None
        assert log.last_term == (self.model[-1].term if self.model else 0)

    @invariant()
    def in_order(self) -> None:
        log = self.log
        assert log.base_index <= log.applied <= log.commit <= log.last_index
        assert log.applied <= log.saved <= log.last_index


TestLogAgainstAList = LogAgainstAList.TestCase
TestLogAgainstAList.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, derandomize=True, database=None
)


@settings(deadline=None, derandomize=True, database=None)
@given(
    sizes=st.lists(st.integers(0, 50), min_size=1, max_size=12),
    max_entries=st.integers(1, 12),
    max_bytes=st.integers(1, 900),
)
def test_a_slice_is_the_longest_within_the_limits_or_one(sizes: list[int], max_entries: int, max_bytes: int) -> None:
    log = Log(entries=[entry(i, 1, b"x" * size) for i, size in enumerate(sizes, 1)])
    chosen = log.slice(1, log.last_index, max_entries, max_bytes)
    assert 1 <= len(chosen) <= max_entries
    assert len(chosen) == 1 or sum(map(size_of, chosen)) <= max_bytes
    if len(chosen) < min(max_entries, len(sizes)):
        assert sum(map(size_of, log.slice(1, len(chosen) + 1, 99, 1 << 20))) > max_bytes


def test_sizes_count_an_overhead() -> None:
    assert size_of(entry(1, 1, b"abc")) == OVERHEAD + 3


@pytest.mark.parametrize(
    ("index", "term", "expected"),
    [(5, 3, (4, 2)), (5, 9, (5, 4)), (9, 9, (5, 4)), (4, 2, (4, 2)), (5, 1, (2, 1)), (2, 0, (0, 0)), (0, 0, (0, 0))],
)
def test_where_logs_may_agree(index: int, term: int, expected: tuple[int, int]) -> None:
    assert log_of(1, 1, 2, 2, 4).may_agree(index, term) == expected


@settings(deadline=None, derandomize=True, database=None)
@given(
    steps=st.tuples(*[st.lists(st.integers(0, 2), min_size=1, max_size=10)] * 3),
    base=st.integers(0, 4),
)
def test_backing_off_never_passes_where_they_agree(steps: tuple[list[int], list[int], list[int]], base: int) -> None:
    """Two logs with a common beginning: each round of refusal and hint goes back, and stops no earlier than its end."""
    common, mine, theirs = steps

    def grown(start: list[int], by: list[int], offset: int) -> list[int]:
        for step in by:
            start = [*start, max(start[-1] if start else 1, 1) + step + offset]
            offset = 0
        return start

    beginning = grown([], common, 0)
    leader, follower = log_of(*grown(beginning, mine, 5), applied=0), log_of(*grown(beginning, theirs, 50))
    leader.commit = leader.applied = min(base, len(beginning))
    leader.compact(leader.applied)
    index = leader.last_index
    while (term := leader.term_at(index)) is not None and follower.term_at(index) != term:
        hint = follower.may_agree(index, term)
        agreed, _ = leader.may_agree(*hint)
        assert len(beginning) <= agreed < index
        index = agreed
    assert index >= len(beginning)


@pytest.mark.parametrize(
    ("last", "expected"), [((3, 2), True), ((2, 2), False), ((9, 1), False), ((1, 3), True), ((4, 2), True)]
)
def test_up_to_date(last: tuple[int, int], expected: bool) -> None:
    assert log_of(1, 1, 2).up_to_date(*last) is expected


def test_only_a_log_that_never_had_anything_is_empty() -> None:
    log = log_of(1, 1, applied=2)
    log.compact(2)
    assert Log().empty
    assert not log.empty


@pytest.mark.parametrize(
    "wrong",
    [
        lambda log: log.append([entry(5, 3)]),  # a gap
        lambda log: log.append([entry(2, 3)]),  # against what is committed
        lambda log: log.commit_to(4),
        lambda log: log.compact(3),  # not applied
        lambda log: log.slice(0, 3, 9, 99),
        lambda log: log.entry(4),
        lambda log: log.restore(2, 3),
        lambda log: Log(entries=[entry(1, 1)], applied=2),
    ],
)
def test_what_must_not_be_is_noticed(wrong: object) -> None:
    log = log_of(1, 1, 2, applied=2)
    with pytest.raises(AssertionError):
        wrong(log)  # type: ignore[operator]
