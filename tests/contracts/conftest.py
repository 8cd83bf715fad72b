"""Every storage, empty and open."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.storage_worlds import Log, MemoryWorld, SqliteWorld, World


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
def log() -> Log:
    return Log()
