"""The loop of a replica by itself."""

from __future__ import annotations

from random import Random

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from toystore.consensus.messages import Heartbeat
from toystore.consensus.node import NodeConfig
from toystore.replication.loopback import Loopback
from toystore.replication.replicator import Replicator
from toystore.storage.interface import DiskFull, Recovered
from toystore.storage.memory import MemoryDisk, MemoryStorage


@pytest.mark.fault(6)
def test_the_age_of_the_leader_grows_through_a_pause_of_the_process() -> None:
    clock, failures = Clock(), list[Failure]()
    config = NodeConfig("catalog-1", ("order-1",), ("catalog-1",))
    transport = Loopback(clock).transport("catalog-1")
    storage = MemoryStorage(MemoryDisk(), clock)
    replicator = Replicator(config, storage, transport, clock, Random(1), lambda: 0, failures.append)
    Deferred.fromCoroutine(replicator.start())
    assert replicator.leader_age() is None
    replicator.receive([Heartbeat("order-1", "catalog-1", 1, 1, 0)])
    assert replicator.leader_age() == 0
    clock.advance(10)  # in one step, as after SIGSTOP
    age = replicator.leader_age()
    assert age is not None
    assert age == pytest.approx(10, abs=0.05)
    assert failures == []


class Crammed(MemoryStorage):
    """There is no room on its disk, not even to open it."""

    crammed = True

    def open(self) -> Deferred[Recovered]:
        return fail(DiskFull("no room")) if self.crammed else super().open()


class TestADiskThatIsFullAtTheStart:
    def replicator(self, clock: Clock) -> tuple[Replicator, Crammed]:
        config = NodeConfig("catalog-1", ("order-1",), ("catalog-1",))
        storage = Crammed(MemoryDisk(), clock)
        transport = Loopback(clock).transport("catalog-1")
        return Replicator(config, storage, transport, clock, Random(1), lambda: 0, lambda _: None), storage

    def test_is_waited_for(self) -> None:
        clock = Clock()
        replicator, storage = self.replicator(clock)
        started = Deferred.fromCoroutine(replicator.start())
        clock.pump([1.0] * 3)
        assert not started.called
        storage.crammed = False
        clock.pump([1.0])
        assert started.called
        assert replicator.node.id == "catalog-1"

    def test_is_not_waited_for_by_who_is_told_to_stop(self) -> None:
        clock = Clock()
        replicator, _ = self.replicator(clock)
        started = Deferred.fromCoroutine(replicator.start())
        Deferred.fromCoroutine(replicator.stop())
        clock.pump([1.0] * 2)
        with pytest.raises(DiskFull, match="stopped while the disk was full"):
            started.result.raiseException()
        started.addErrback(lambda _: None)
