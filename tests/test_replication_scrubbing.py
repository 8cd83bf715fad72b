"""When the storage is read anew: how often, with what rests, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from toystore.replication.interface import Scrubbed
from toystore.replication.scrubbing import REST, RETRY, Scrubber
from toystore.storage.interface import DiskFull, IndexPassed, Rotten


class Slow:
    """A storage whose passes are ended by the test."""

    def __init__(self) -> None:
        self.passes: list[Deferred[int]] = []
        self.pause: Callable[[], Deferred[None]] = Deferred

    def scrub(self, pause: Callable[[], Deferred[None]]) -> Deferred[int]:
        self.pause = pause
        self.passes.append(Deferred())
        return self.passes[-1]


class Bench:
    def __init__(self, every: float = 100.0) -> None:
        self.clock, self.storage = Clock(), Slow()
        self.broken: list[Failure] = []
        storage: Any = self.storage
        self.scrubber = Scrubber(storage, self.clock, every, lambda: 4711, self.broken.append)
        self.scrubber.start()

    def begun(self) -> int:
        return len(self.storage.passes)


def test_a_pass_begins_at_once_and_then_every_so_often() -> None:
    bench = Bench()
    assert bench.begun() == 1
    bench.clock.advance(30)
    bench.storage.passes[0].callback(7)
    assert bench.scrubber.done == Scrubbed(1, 7, 30.0, 4711)
    bench.clock.advance(69)
    assert bench.begun() == 1
    bench.clock.advance(1)
    assert bench.begun() == 2


def test_one_that_takes_longer_is_followed_at_once_by_the_next() -> None:
    bench = Bench()
    bench.clock.advance(300)
    bench.storage.passes[0].callback(7)
    bench.clock.advance(0.01)
    assert bench.begun() == 2


def test_never() -> None:
    bench = Bench(every=0.0)
    assert (bench.begun(), bench.clock.getDelayedCalls()) == (0, [])
    bench.scrubber.stop()


def test_it_rests_in_proportion_to_what_a_slice_took() -> None:
    bench = Bench()
    bench.clock.advance(0.01)
    rested = bench.storage.pause()
    bench.clock.advance(0.01 * REST - 0.001)
    assert not rested.called
    bench.clock.advance(0.001)
    assert rested.called
    rested = bench.storage.pause()  # a slice that took no time at all
    assert not rested.called
    bench.clock.advance(0.002)
    assert rested.called


@pytest.mark.parametrize("error", [DiskFull("no room"), IndexPassed("installed")])
def test_what_broke_it_off_is_no_finding(error: Exception) -> None:
    bench = Bench()
    bench.storage.passes[0].errback(error)
    assert bench.broken == []
    assert bench.scrubber.done == Scrubbed()
    bench.clock.advance(RETRY)
    assert bench.begun() == 2


def test_what_it_finds_is_told_and_ends_it() -> None:
    bench = Bench()
    bench.storage.passes[0].errback(Rotten("row 7 of log"))
    [failure] = bench.broken
    assert failure.check(Rotten)
    assert bench.clock.getDelayedCalls() == []


@pytest.mark.parametrize("resting", [False, True])
def test_nothing_comes_after_its_end(resting: bool) -> None:
    bench = Bench()
    rested = bench.storage.pause() if resting else None
    bench.scrubber.stop()
    assert bench.clock.getDelayedCalls() == []
    assert rested is None or not rested.called
    assert not bench.storage.pause().called
    bench.storage.passes[0].errback(Rotten("row 7 of log"))
    assert bench.broken == []
