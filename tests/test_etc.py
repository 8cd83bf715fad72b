"""The example configs: each loads without a warning, holds what its rows say, and is in the package."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from toystore.frontend.dialects import DIALECTS
from toystore.model import CatalogRow
from toystore.ops.addresses import parse_listen
from toystore.ops.catalog_csv import read_catalog
from toystore.ops.config import Config, load_config

ROOT = Path(__file__).resolve().parent.parent
ETC = ROOT / "etc"
CONFIGS = sorted(path.name for path in ETC.glob("*.toml"))


def catalog(config: Config) -> dict[str, CatalogRow]:
    assert config.cluster.catalog_csv is not None
    return {row.name: row for row in read_catalog(config.cluster.catalog_csv, config.cluster.currency)}


@pytest.mark.parametrize("name", CONFIGS)
def test_an_example_loads_without_a_warning(name: str) -> None:
    config = load_config(ETC / name)
    assert config.warnings == ()
    assert (len(config.orders), len(config.catalogs)) == (3, 2)
    assert {public.dialect for public in config.front(1).publics} <= set(DIALECTS)
    assert all("interface=127.0.0.1" in node.listen for node in config.nodes)


def test_no_two_examples_take_the_same_port() -> None:
    ports: list[int] = []
    for name in CONFIGS:
        config = load_config(ETC / name)
        listens = [node.listen for node in config.nodes] + [public.listen for public in config.front(1).publics]
        ports += [parse_listen(listen).port for listen in listens]
    assert len(set(ports)) == len(ports)


def test_the_examples_are_in_the_package() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    packaged = build["targets"]["wheel"]["force-include"]
    for path in [*ETC.glob("*.toml"), *ETC.glob("*.csv")]:
        assert packaged[f"etc/{path.name}"] == f"toystore/etc/{path.name}"


@pytest.mark.parametrize(
    ("name", "dialect", "port", "first"),
    [("stocks.toml", "trader", 26111, 1), ("stocks.toml", "bazaar", 56893, 0), ("flask.toml", "flask", 8100, 1)],
)
def test_the_dialects_of_stocks_are_where_their_customers_look(name: str, dialect: str, port: int, first: int) -> None:
    (public,) = [public for public in load_config(ETC / name).front(1).publics if public.dialect == dialect]
    assert (parse_listen(public.listen).port, public.options) == (port, {"first": first})


@pytest.mark.row("C2", "C6")
def test_the_stocks_of_the_trader() -> None:
    config = load_config(ETC / "stocks.toml")
    rows = catalog(config)
    assert {f"stock{n}" for n in range(1, 9)} <= set(rows)
    assert rows["stock1"].price == 2578
    assert 100 <= rows["stock5"].quantity <= 199
    assert config.restock.every == 0, "else a second BUY of 100 might succeed"


@pytest.mark.row("C4", "C6")
def test_the_stocks_of_the_bazaar() -> None:
    rows = list(catalog(load_config(ETC / "stocks.toml")).values())[:10]
    assert [(row.name, row.price) for row in rows] == [
        ("apple", 15259), ("tesla", 18326), ("ford", 1193), ("amazon", 9488), ("nvidia", 24063),
        ("intel", 2801), ("meta", 19402), ("nike", 12613), ("amc", 478), ("gamestop", 2000),
    ]  # fmt: skip
    assert {(row.quantity, row.volume) for row in rows} == {(1000, 100)}


@pytest.mark.row("C5", "C6")
def test_the_stocks_of_the_flask_service() -> None:
    rows = catalog(load_config(ETC / "flask.toml"))
    names = "FrendCo FanStart LionCo Hellow FishCo MehirCo WorldCo GameStart EnergyCo BoarCo FanCo"
    assert list(rows) == names.split()
    assert {row.quantity for row in rows.values()} == {100}
