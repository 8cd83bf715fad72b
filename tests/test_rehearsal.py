"""A packaged cluster, changed and moved for a trial."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import toystore.supervisor.ports as ports_module
from toystore.commands.loop import CommandFailed
from toystore.commands.rehearsal import Changes, rehearsal, stocked, to_toml
from toystore.ops.addresses import parse_listen
from toystore.ops.catalog_csv import read_catalog
from toystore.ops.config import Config, default_config_path, packaged_configs
from toystore.supervisor.ports import NoFreePorts, free_ports


def ports(config: Config) -> list[int]:
    listens = [node.listen for node in config.nodes]
    listens += [public.listen for front in config.fronts for public in front.publics]
    return [parse_listen(listen).port for listen in listens]


@pytest.mark.parametrize("dialect", ["v1", "toys", "trader", "bazaar", "flask", "books"])
def test_every_dialect_can_be_rehearsed_on_ports_of_its_own(dialect: str, tmp_path: Path) -> None:
    place = rehearsal(dialect, tmp_path)
    assert (place.config_file, place.data_dir) == (tmp_path / "cluster.toml", tmp_path / "data")
    assert dialect in [public.dialect for public in place.config.fronts[0].publics]
    found = ports(place.config)
    assert len(set(found)) == len(found) == len(place.config.nodes) + len(place.config.fronts[0].publics)
    assert all(node.url.endswith(f":{parse_listen(node.listen).port}") for node in place.config.nodes)
    assert place.config.cluster.catalog_csv is not None
    assert place.config.cluster.catalog_csv.parent == tmp_path


def test_what_is_to_be_other_is(tmp_path: Path) -> None:
    changes = Changes(
        election="appointed",
        leader_preference="highest",
        hand_over_after=0,
        restock_every=0,
        cache_sizes=(3, 0),
        catalogs=1,
        stock=7000,
        projections=(("bazaar-orders", "order{id}.txt"),),
    )
    config = rehearsal("bazaar", tmp_path, changes).config
    cluster, timing = config.cluster, config.timing
    assert (cluster.election, cluster.leader_preference, timing.hand_over_after) == ("appointed", "highest", 0)
    assert [(front.name, front.cache_size, front.appoints) for front in config.fronts] == [
        ("front-1", 3, True),
        ("front-2", 0, False),
    ]
    assert [front.publics[1].dialect for front in config.fronts] == ["bazaar", "bazaar"]
    assert [catalog.name for catalog in config.catalogs] == ["catalog-1"]
    assert [(projection.format, projection.path) for projection in config.projections] == [
        ("bazaar-orders", "order{id}.txt")
    ]
    assert cluster.catalog_csv is not None
    assert {row.quantity for row in read_catalog(cluster.catalog_csv, cluster.currency)} == {7000}


def test_a_change_that_no_cluster_may_have_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"cluster\.election: expected one of 'raft', 'appointed'") as failed:
        rehearsal("toys", tmp_path, Changes(election="by lot"))
    assert failed.value.exit_code == 2


def test_a_catalog_keeps_all_but_its_stock() -> None:
    text = default_config_path().with_name("books.csv").read_text()
    before, after = ([line.split(",") for line in each.splitlines()] for each in (text, stocked(text, 5)))
    quantity = before[0].index("quantity")
    assert before[0] == after[0]
    assert {row[quantity] for row in after[1:]} == {"5"}
    assert [row[:quantity] for row in before] == [row[:quantity] for row in after]


@pytest.mark.parametrize("file", packaged_configs(), ids=lambda file: file.stem)
def test_what_is_written_is_read_as_it_was(file: Path) -> None:
    values = tomllib.loads(file.read_text())
    assert tomllib.loads(to_toml(values)) == values


def test_values_of_every_kind_are_written() -> None:
    values = {"a": 'quoted " \\ \n é', "b": [0.3, 1], "t": {"x": True, "inner": [{"y": -1}, {"z": {"w": []}}]}}
    assert tomllib.loads(to_toml(values)) == values


def test_more_ports_than_there_are_can_not_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports_module, "HIGHEST", 10_000)
    with pytest.raises(NoFreePorts, match="no 3 free ports"):
        free_ports(3)
