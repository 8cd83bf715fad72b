"""What a memory disk can be told to do."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from tests.contracts.storage_worlds import Log, result_of
from toystore.consensus.messages import HardState
from toystore.storage.interface import StorageError
from toystore.storage.memory import MemoryDisk, MemoryStorage


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def disk() -> MemoryDisk:
    uuids = iter("abc")
    return MemoryDisk(lambda: next(uuids))


@pytest.fixture
def storage(disk: MemoryDisk, clock: Clock) -> MemoryStorage:
    storage = MemoryStorage(disk, clock)
    result_of(storage.open())
    return storage


def test_calls_take_as_long_as_the_disk_says(disk: MemoryDisk, storage: MemoryStorage, clock: Clock) -> None:
    disk.latency = {"save": 0.02, "apply": 0.01, "read": 0.0}.__getitem__
    log = Log()
    entries = [log.noop()]
    saved, applied = storage.save(None, entries), storage.apply(entries)
    read = storage.read(lambda r: r.applied())
    clock.advance(0.019)
    assert not saved.called
    clock.advance(0.001)
    assert (saved.called, applied.called, read.called) == (True, False, False)
    clock.advance(0.01)
    assert (applied.called, result_of(read)) == (True, 1)


def test_a_latency_needs_a_clock(disk: MemoryDisk) -> None:
    storage = MemoryStorage(disk)
    disk.latency = lambda work: 1.0
    with pytest.raises(TypeError, match="clock"):
        storage.flush()


def test_a_stalled_save_holds_up_what_follows(disk: MemoryDisk, storage: MemoryStorage) -> None:
    disk.stall()
    log = Log()
    entries = [log.noop()]
    calls = [storage.save(None, entries), storage.apply(entries), storage.flush()]
    assert not any(call.called for call in calls)
    disk.release()
    assert [bool(result_of(call)) for call in calls] == [False, True, False]


def test_many_calls_may_wait(disk: MemoryDisk, storage: MemoryStorage) -> None:
    disk.stall()
    calls = [storage.flush() for _ in range(5000)]
    disk.release()
    assert all(call.called for call in calls)


@pytest.mark.parametrize("keep", [False, True])
def test_a_save_in_flight_is_kept_whole_or_lost(disk: MemoryDisk, storage: MemoryStorage, clock: Clock, keep: bool) -> None:
    log = Log()
    first = [log.noop()]
    result_of(storage.save(HardState(1), first))
    result_of(storage.apply(first))
    disk.latency = lambda work: 0.5
    in_flight, behind = storage.save(HardState(2), [log.noop()]), storage.save(HardState(3), ())
    disk.crash(keep=keep)
    disk.latency = lambda work: 0.0
    clock.advance(9)
    assert not in_flight.called
    assert not behind.called
    recovered = result_of(MemoryStorage(disk).open())
    kept = (recovered.hard_state.term, len(recovered.entries), recovered.applied)
    assert kept == ((2, 2, 1) if keep else (1, 1, 0))


def test_a_wiped_disk_is_empty_and_another(disk: MemoryDisk, storage: MemoryStorage) -> None:
    result_of(storage.save(HardState(4), [Log().noop()]))
    disk.wipe()
    recovered = result_of(MemoryStorage(disk).open())
    assert (recovered.uuid, recovered.hard_state, recovered.entries) == ("b", HardState(), ())


def test_one_storage_at_a_time(disk: MemoryDisk, storage: MemoryStorage) -> None:
    with pytest.raises(StorageError, match="another storage"):
        result_of(MemoryStorage(disk).open())
    result_of(storage.close())
    assert result_of(MemoryStorage(disk).open()).uuid == "a"
