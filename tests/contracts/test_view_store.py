"""The promises of `ViewStore`, kept by the file and by memory; and what a damaged file leads to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from attrs import evolve
from twisted.internet.task import Clock

from tests.contracts.storage_worlds import result_of
from toystore.consensus.views import View
from toystore.storage.database import DataDirInUse
from toystore.storage.interface import DiskFull, StorageError
from toystore.storage.thread import Inline
from toystore.storage.views import FileViewStore, MemoryViewStore, ViewStore

VIEW = View("R", 1, 5, 2, "order-1", {"order-1": "u1", "order-2": "u2"}, ("Q",))


def file_store(path: Path) -> FileViewStore:
    return FileViewStore(path / "front-1", Clock(), Inline())  # type: ignore[arg-type]


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ViewStore:
    return MemoryViewStore() if request.param == "memory" else file_store(tmp_path)


def test_there_is_no_view_at_first(store: ViewStore) -> None:
    assert result_of(store.open()) is None


def test_the_last_saved_view_is_found(store: ViewStore) -> None:
    result_of(store.open())
    for version in (5, 6):
        result_of(store.save(evolve(VIEW, version=version)))
    result_of(store.close())
    assert result_of(store.open()) == evolve(VIEW, version=6)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    result_of(file_store(tmp_path).open())
    first = file_store(tmp_path)
    result_of(first.close())
    held = file_store(tmp_path)
    result_of(held.open())
    with pytest.raises(DataDirInUse, match="another process keeps the views"):
        result_of(file_store(tmp_path).open())


@pytest.mark.parametrize("damage", [b"", b"[]", b'[{"version": 1}, 2]', b"\xff\xfe"])
def test_a_damaged_file_says_what_would_help(tmp_path: Path, damage: bytes) -> None:
    result_of(file_store(tmp_path).open())
    (tmp_path / "front-1" / "views.json").write_bytes(damage)
    with pytest.raises(StorageError, match="move it away"):
        result_of(file_store(tmp_path).open())


def test_a_flipped_digit_is_noticed(tmp_path: Path) -> None:
    store = file_store(tmp_path)
    result_of(store.open())
    result_of(store.save(VIEW))
    result_of(store.close())
    path = tmp_path / "front-1" / "views.json"
    path.write_bytes(path.read_bytes().replace(b'"version":5', b'"version":7'))
    with pytest.raises(StorageError, match="checksum"):
        result_of(file_store(tmp_path).open())


def test_a_full_disk_keeps_the_view_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = file_store(tmp_path)
    result_of(store.open())
    result_of(store.save(VIEW))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DiskFull):
            result_of(store.save(evolve(VIEW, version=6)))
    result_of(store.close())
    assert result_of(file_store(tmp_path).open()) == VIEW


def test_a_failed_sync_is_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = file_store(tmp_path)
    result_of(store.open())

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(StorageError):
        result_of(store.save(VIEW))
