"""Every storage, empty and open."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.contracts.storage_worlds import Log, MemoryWorld, SqliteWorld, World
from toystore.storage import database


@pytest.fixture(params=[MemoryWorld, SqliteWorld], ids=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    world = request.param(tmp_path)
    world.open()
    return world


@pytest.fixture(params=[MemoryWorld, SqliteWorld], ids=["to-memory", "to-sqlite"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    world = request.param(tmp_path / "receiver")
    world.open()
    return world


@pytest.fixture
def without_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that are not about what a crash leaves, and open many databases: they end sooner."""
    monkeypatch.setitem(database.PRAGMAS, "synchronous", 0)
    monkeypatch.setattr(os, "fsync", lambda file: None)


@pytest.fixture
def log() -> Log:
    return Log()
