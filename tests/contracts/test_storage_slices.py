"""Reading a whole state in slices, while it changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from twisted.internet.defer import Deferred, execute, succeed

from tests.contracts.storage_worlds import (
    TOYS,
    Log,
    MemoryWorld,
    SqliteWorld,
    everything,
    result_of,
    save_and_apply,
    state_hash,
)
from toystore.model import CancelOrder, SetPrice
from toystore.storage import scrub, whole_state
from toystore.storage.interface import IndexPassed
from toystore.storage.sqlite import SqliteStorage


class ByHand:
    """Runs one job for each `step`."""

    def __init__(self) -> None:
        self.jobs: deque[tuple[Callable[[], Any], Deferred[Any]]] = deque()

    def run(self, job: Callable[[], Any]) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.jobs.append((job, answer))
        return answer

    def step(self) -> None:
        job, answer = self.jobs.popleft()
        execute(job).chainDeferred(answer)

    def finish(self, wanted: Deferred[Any]) -> Any:
        while not wanted.called:
            self.step()
        return result_of(wanted)

    def stop(self) -> None:
        pass


class SteppedWorld(SqliteWorld):
    """Each call is one job; more can be done between the slices of a long one."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.jobs = ByHand()
        self.storage = SqliteStorage(self.directory, self.clock, self.jobs)
        self.jobs.finish(self.storage.open())

    def at_once(self, entries: list[Any]) -> None:
        """Save and apply before the slice that waits."""
        self.before_the_next(lambda: self.storage.save(None, entries))
        self.before_the_next(lambda: self.storage.apply(entries))

    def before_the_next(self, call: Callable[[], Deferred[Any]]) -> None:
        waiting, self.jobs.jobs = self.jobs.jobs, deque()
        self.jobs.finish(call())
        self.jobs.jobs.extend(waiting)


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_state, "SLICE_ROWS", 2)
    monkeypatch.setattr(whole_state, "LAST_PASS_ENTRIES", 3)


def busy_log(log: Log, oldest: int) -> list[Any]:
    """Changes to old orders, new ones, products and history, all at once."""
    return [log.command(CancelOrder(oldest)), log.buy("Fox", 1), log.command(SetPrice("Tux", 100 + oldest))]


@pytest.mark.usefixtures("small_slices")
def test_a_hash_in_slices_is_as_of_its_index(tmp_path: Path) -> None:
    stepped, plain = SteppedWorld(tmp_path), MemoryWorld(tmp_path)
    plain.open()
    log = Log()
    entries = [log.command(TOYS), *(log.buy("Fox", 1) for _ in range(9)), log.command(CancelOrder(4))]
    stepped.at_once(entries)
    save_and_apply(plain, entries)
    wanted, hashed = result_of(plain.storage.state_hash(11)), stepped.storage.state_hash(11)
    steps = 0
    while not hashed.called:
        stepped.jobs.step()
        if steps < 9 and steps != 4:
            stepped.at_once(busy_log(log, steps))
        steps += 1
    assert steps > 10
    assert result_of(hashed) == wanted


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("since", [0, 5])
def test_a_snapshot_in_slices_is_as_of_one_index(tmp_path: Path, since: int) -> None:
    stepped, receiver, plain = SteppedWorld(tmp_path / "s"), SqliteWorld(tmp_path / "r"), MemoryWorld(tmp_path)
    receiver.open()
    plain.open()
    log, every = Log(), []
    every += [log.command(TOYS), *(log.buy("Fox", 1) for _ in range(9))]
    stepped.at_once(every)
    save_and_apply(receiver, every[:since])
    spooled, steps = stepped.storage.spool(since), 0
    while not spooled.called:
        stepped.jobs.step()
        if steps < 9:
            more = busy_log(log, steps)
            every += more
            stepped.at_once(more)
        steps += 1
    info, spool = result_of(spooled)
    assert info.meta.index == len(every) == 37
    result_of(receiver.storage.install(info, spool))
    save_and_apply(plain, every)
    assert state_hash(receiver) == state_hash(plain)
    shown, wanted = everything(receiver), everything(plain)
    assert [shown[name] for name in ("head", "orders", "changes", "products")] == [
        wanted[name] for name in ("head", "orders", "changes", "products")
    ]


def under_way(stepped: SteppedWorld, sender: MemoryWorld, *begin: Callable[[], Deferred[Any]]) -> list[Deferred[Any]]:
    """What has begun when a later state, that of `sender`, is installed."""
    sender.open()
    log = Log()
    entries = [log.command(TOYS), *(log.buy("Fox", 1) for _ in range(9))]
    stepped.at_once(entries[:8])
    save_and_apply(sender, entries)
    begun = [call() for call in begin]
    for _ in range(4):
        stepped.jobs.step()
    info, spool = result_of(sender.storage.spool(0))
    stepped.jobs.finish(stepped.storage.install(info, spool))
    return begun


@pytest.mark.usefixtures("small_slices")
def test_a_hash_ends_where_another_state_is_installed(tmp_path: Path) -> None:
    stepped, sender = SteppedWorld(tmp_path / "s"), MemoryWorld(tmp_path)
    for hashed in under_way(stepped, sender, *(lambda index=index: stepped.storage.state_hash(index) for index in (8, 9))):
        with pytest.raises(IndexPassed):
            stepped.jobs.finish(hashed)


@pytest.fixture
def tiny_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrub, "SLICE_ROWS", 2)


@pytest.mark.usefixtures("tiny_slices")
def test_a_scrub_in_slices_finds_nothing_in_what_changes_meanwhile(tmp_path: Path) -> None:
    stepped, log = SteppedWorld(tmp_path), Log()
    stepped.at_once([log.command(TOYS), *(log.buy("Fox", 1) for _ in range(9))])
    for life in range(3):
        scrubbed, steps = stepped.storage.scrub(lambda: succeed(None)), 0
        while not scrubbed.called:
            stepped.jobs.step()
            if steps < 9:
                only_logged = [Log(term=9).noop(), Log(term=9).noop()]
                only_logged = [evolve(entry, index=log.last + n) for n, entry in enumerate(only_logged, 1)]
                stepped.before_the_next(partial(stepped.storage.save, None, only_logged))
            elif steps < 18:
                stepped.at_once(busy_log(log, 9 * life + steps - 9))  # in the place of the entries that were only logged
            if steps == 12:
                stepped.before_the_next(partial(stepped.storage.compact, 3 + 25 * life))
            steps += 1
        assert result_of(scrubbed) > 30


@pytest.mark.usefixtures("tiny_slices")
@pytest.mark.parametrize("moment", range(12))
def test_a_scrub_of_entries_that_are_applied_meanwhile(tmp_path: Path, moment: int) -> None:
    stepped, log = SteppedWorld(tmp_path), Log()
    stepped.at_once([log.command(TOYS), *(log.buy("Fox", 1) for _ in range(5))])
    logged = [log.buy("Fox", 1) for _ in range(8)]
    stepped.before_the_next(lambda: stepped.storage.save(None, logged))
    scrubbed = stepped.storage.scrub(lambda: succeed(None))
    for step in range(100):
        if step == moment:
            stepped.before_the_next(lambda: stepped.storage.apply(logged))
        if not scrubbed.called:
            stepped.jobs.step()
    assert result_of(scrubbed) > 30


@pytest.mark.usefixtures("tiny_slices")
def test_a_scrub_ends_where_another_state_is_installed(tmp_path: Path) -> None:
    stepped, sender = SteppedWorld(tmp_path / "s"), MemoryWorld(tmp_path)
    (scrubbed,) = under_way(stepped, sender, lambda: stepped.storage.scrub(lambda: succeed(None)))
    with pytest.raises(IndexPassed):
        stepped.jobs.finish(scrubbed)
    assert stepped.jobs.finish(stepped.storage.scrub(lambda: succeed(None))) > 20
