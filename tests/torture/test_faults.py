"""What each fault does, and that it takes back what it did."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred

from tests.torture.stages import FakeStage
from toystore.torture.disks import BALLAST
from toystore.torture.kinds import BY_NAME, KINDS
from toystore.torture.ordeal import FAULTS
from toystore.torture.planner import Planned
from toystore.torture.stage import Fault, Skipped

T = TypeVar("T")
TARGETS = {
    "any": ("front-1", "order-3", "catalog-1", "order-1", "order-2", "catalog-2", "front-2"),
    "order": ("order-1", "order-3", "order-2"),
    "leader": ("order-1", "order-3", "order-2"),
}


@pytest.fixture
def stage(tmp_path: Path) -> FakeStage:
    return FakeStage(tmp_path)


def fault(kind: str, **draw: Any) -> Fault:
    found = BY_NAME[kind]
    return FAULTS[kind](Planned(1, 0.0, 1.0, found, TARGETS[found.aim], draw))


def now(stage: FakeStage, work: Coroutine[Any, Any, T]) -> T:
    """The result of what needs nothing but time."""
    results: list[Any] = []
    running = Deferred.fromCoroutine(work)
    running.addBoth(results.append)
    for _ in range(1000):
        if results:
            break
        stage.clock.advance(0.1)
    (result,) = results
    if hasattr(result, "raiseException"):
        result.raiseException()
    return result  # type: ignore[no-any-return]


DRAWS: dict[str, dict[str, Any]] = {
    "one-way": {"how": "blackhole"},
    "split": {"shape": "halves", "everyone": True},
    "bad-link": {"loss": 0.1, "delay": 0.1, "jitter": 0.1, "duplicate": 0.0, "everywhere": True},
    "slow-disk": {"milliseconds": 250},
    "clock": {"offset": -3600},
}


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS if kind.name != "full-disk"])
def test_a_fault_that_is_over_leaves_everything_as_it_was(kind: str, stage: FakeStage) -> None:
    it = fault(kind, **DRAWS.get(kind, {}))
    assert now(stage, it.begin(stage))
    now(stage, it.end(stage))
    assert not stage.fake_nodes.is_down
    assert not stage.fake_nodes.paused
    assert not stage.fake_sky.layers
    assert not any(stage.fake_shims.slow.values())
    assert not any(stage.fake_shims.off.values())
    assert not stage._taken, "what it had claimed is free again"


def test_every_blow_at_the_leader_hits_the_leader(stage: FakeStage) -> None:
    for kind, deed in (("kill-leader", "kill"), ("hand-over", "stop"), ("pause-leader", "pause")):
        it = fault(kind)
        now(stage, it.begin(stage))
        assert stage.done[-1] == f"{deed} order-3"
        now(stage, it.end(stage))


def test_the_one_just_elected_is_killed_too(stage: FakeStage) -> None:
    now(stage, fault("kill-elected").begin(stage))
    assert stage.done == ["kill order-3", "kill order-2"]


def test_the_history_hears_of_an_end_before_it_comes(stage: FakeStage) -> None:
    now(stage, fault("kill").begin(stage))
    assert stage.lost == ["front-1"]


def test_two_faults_do_not_share_a_process(stage: FakeStage) -> None:
    first, second = fault("kill"), fault("pause")
    now(stage, first.begin(stage))
    now(stage, second.begin(stage))
    assert stage.done == ["kill front-1", "pause order-3"]
    with pytest.raises(Skipped):
        now(stage, fault("restart-all").begin(stage))


@pytest.mark.parametrize("how", ["unreachable", "blackhole"])
def test_a_one_way_route_is_made_and_removed(how: str, stage: FakeStage) -> None:
    it = fault("one-way", how=how)
    now(stage, it.begin(stage))
    now(stage, it.end(stage))
    there = f"{how} {stage.layout.address('order-3')}/32"
    assert stage.done == [f"ip -n toystore-1-front-1 route {verb} {there}" for verb in ("replace", "del")]


def test_a_dropped_way_is_the_switch_s(stage: FakeStage) -> None:
    now(stage, fault("one-way", how="dropped").begin(stage))
    (weather,) = stage.fake_sky.layers.values()
    assert set(weather) == {("front-1", "order-3")}


def test_a_split_of_the_order_replicas_leaves_the_others_alone(stage: FakeStage) -> None:
    now(stage, fault("split", shape="one", everyone=False).begin(stage))
    (weather,) = stage.fake_sky.layers.values()
    assert {member for pair in weather for member in pair} == set(stage.layout.order_names)


def test_a_disk_is_filled_and_emptied(stage: FakeStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """How it is filled needs a file system of its own: the integration tests do that."""
    monkeypatch.setattr("toystore.torture.disks.fill", lambda ballast: ballast.write_bytes(b"x"))
    it = fault("full-disk")
    now(stage, it.begin(stage))
    assert (stage.disk("order-1") / BALLAST).exists()
    now(stage, it.end(stage))
    assert not (stage.disk("order-1") / BALLAST).exists()


# A disk is lost only within the terms of the promise --------------------------------------------------------------


def test_a_wiped_replica_is_dead_when_its_disk_goes(stage: FakeStage) -> None:
    kept = stage.disk("order-1") / "ledger.db"
    kept.write_text("all orders")
    (stage.disk("order-1") / "spool").mkdir()
    it = fault("wipe")
    now(stage, it.begin(stage))
    assert stage.fake_nodes.is_down == {"order-1"}
    assert list(stage.disk("order-1").iterdir()) == []
    now(stage, it.end(stage))
    assert stage.done == ["kill order-1", "start order-1"]


def test_no_disk_is_lost_while_another_replica_lacks_something(stage: FakeStage) -> None:
    kept = stage.disk("order-1") / "ledger.db"
    kept.write_text("all orders")
    stage.fake_watch.behind = {"order-2"}
    with pytest.raises(Skipped, match="order-2"):
        now(stage, fault("wipe").begin(stage))
    assert kept.exists()
    assert stage.done == []


def test_no_disk_is_lost_where_nobody_else_leads(stage: FakeStage, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = stage.disk("order-1") / "ledger.db"
    kept.write_text("all orders")
    look = stage.fake_watch.look

    async def headless() -> Any:
        return {name: said and {**said, "state": "candidate"} for name, said in (await look()).items()}

    monkeypatch.setattr(type(stage.fake_watch), "look", lambda self: headless())
    with pytest.raises(Skipped, match="left alone"):
        now(stage, fault("wipe").begin(stage))
    assert kept.exists()
    assert stage.done == ["kill order-1", "start order-1"]
    assert not stage._taken
