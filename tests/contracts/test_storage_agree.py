"""Whatever is applied, in whatever batches, with whatever crashes: both storages show the same state."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
from toystore.consensus.messages import Kind
from toystore.model import (
    AdjustStock,
    CancelOrder,
    Command,
    Line,
    PlaceOrder,
    PutProduct,
    RestockEmpty,
    SetPrice,
)

names = st.sampled_from(["Tux", "Fox", "Élan", "new", "a\0b"])
small = st.integers(-3, 120) | st.sampled_from([2**53, 2**53 - 1])
keys = st.sampled_from(["k1", "k2", "k3", "k\0", ""])
lines = st.lists(st.builds(Line, names, small), max_size=3).map(tuple)
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(PlaceOrder, st.sampled_from(["buy", "sell", "steal"]), lines, keys),
    st.builds(PlaceOrder, st.just("buy"), st.just((Line("Fox", 1),)), st.uuids().map(str)),
    st.builds(CancelOrder, st.integers(-1, 6)),
    st.builds(AdjustStock, names, small, st.booleans()),
    st.builds(SetPrice, names, small),
    st.builds(PutProduct, names, st.none() | small, st.none() | names, st.none() | small, st.none() | st.integers(0, 9)),
    st.builds(RestockEmpty, small, st.integers(0, 9)),
    st.just(TOYS),
)
requests = st.tuples(commands, st.none() | st.sampled_from(["r1", "r2", "r3"]))
steps = st.lists(st.lists(requests, max_size=6) | st.sampled_from(["crash", "flush", "compact", "move"]), max_size=8)


def crash(world: Any) -> None:
    recovered = world.crash()
    result_of(world.storage.apply(recovered.entries[recovered.applied - recovered.base_index :]))


def compact(world: Any) -> None:
    applied = result_of(world.storage.read(lambda r: r.applied()))
    result_of(world.storage.compact(max(0, applied - 2)))


def move(world: Any, root: Path) -> Any:
    """To another disk, by a snapshot."""
    applied = result_of(world.storage.read(lambda r: r.applied()))
    if not applied:
        return world
    info, spool = result_of(world.storage.spool(0))
    moved = type(world)(Path(tempfile.mkdtemp(dir=root)))
    moved.open()
    result_of(moved.storage.install(info, spool))
    return moved


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps)
def test_both_storages_agree(plan: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as path:
        root = Path(path)
        memory, sqlite = MemoryWorld(root), SqliteWorld(root / "first")
        memory.open()
        sqlite.open()
        log = Log()
        for step in [[(TOYS, None)], *plan]:
            if step == "crash":
                crash(memory)
                crash(sqlite)
            elif step == "flush":
                result_of(memory.storage.flush())
                result_of(sqlite.storage.flush())
            elif step == "compact":
                compact(memory)
                compact(sqlite)
            elif step == "move":
                memory, sqlite = move(memory, root), move(sqlite, root)
            else:
                entries = [log.command(*request) for request in step]
                assert save_and_apply(memory, [*entries]) == save_and_apply(sqlite, entries) if entries else True
                assert all(entry.kind is Kind.COMMAND for entry in entries)
            assert everything(memory) == everything(sqlite)
        assert state_hash(memory) == state_hash(sqlite)
