"""Fixtures for tests with real processes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.clusters import Cluster, Clusters, clusters_in, write_config

FAKE_UP = str(Path(__file__).with_name("fake_up.py"))


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[Clusters]:
    """Makes clusters of real roles: `clusters(orders=3, catalogs=1, ...).start()`; all are stopped at the
    end."""
    yield from clusters_in(tmp_path)


@pytest.fixture
def cluster_config(tmp_path: Path) -> Callable[..., Path]:
    """Writes a config on free ports: `cluster_config(orders=3, catalogs=1, ...)`, as
    `clusters.write_config`."""

    def write(name: str = "cluster.toml", **shape: object) -> Path:
        return write_config(tmp_path / name, **shape)  # type: ignore[arg-type]

    return write


@pytest.fixture
def fake_cluster(clusters: Clusters) -> Callable[..., Cluster]:
    """A cluster whose nodes are stand-ins: `fake_cluster("order-1=late=2,deaf", orders=1).start()`."""

    def make(*options: str, data_dir: Path | None = None, **shape: object) -> Cluster:
        def up(config: Path, place: Path) -> list[str]:
            return [sys.executable, FAKE_UP, str(config), str(place), *options, "--"]

        return clusters(up, data_dir, **shape)

    return make
