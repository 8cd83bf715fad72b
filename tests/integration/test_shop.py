"""`toystore shop` at a real store, in every dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.clusters import Cluster, Ended, clusters_in, run_toystore

DIALECTS = ("v1", "toys", "trader", "bazaar", "flask", "books")
CATALOG = "name,price,quantity\n" + "".join(f"stock{n},25.78,150\n" for n in range(1, 9))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One store that speaks all dialects."""
    directory: Path = tmp_path_factory.mktemp("shop")
    for clusters in clusters_in(directory):
        yield clusters(orders=1, catalogs=1, dialects=DIALECTS, catalog_csv=CATALOG).start()


def shop(store: Cluster, dialect: str, *options: str) -> Ended:
    named = [] if dialect in ("v1", "books") else ["--product", "stock1", "--product", "stock2"]
    return run_toystore("shop", "--url", store.url(dialect), "--dialect", dialect, *named, *options)


@pytest.mark.row("B1")
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_order_is_verified_in_every_dialect(store: Cluster, dialect: str) -> None:
    options = ("--iterations", "8", "--p", "0.9", "--quantity", "1..2", "--clients", "2", "-o", "json")
    done = shop(store, dialect, *options)
    assert done.code == 0, done
    report = json.loads(done.out)
    assert report["orders"] == report["verified"] > 4
    assert (report["wrong"], report["unanswered"]) == ([], [])
    lookup = report["latency_ms"]["lookup"]
    assert 0 < lookup["p50"] <= lookup["p95"] <= lookup["p99"] <= lookup["max"]
    assert bool(report["latency_ms"]["order_query"]["count"]) is (dialect != "books")
    assert bool(report["remarks"]) is (dialect == "books"), "how orders without numbers are verified is told"


@pytest.mark.row("B2", "B3")
@pytest.mark.parametrize(
    ("dialect", "like", "lines"),
    [
        ("toys", "toys", ["Results for buy/purchase probability: 90.0%", "***Average Response Time Buy Request: "]),
        ("bazaar", "bazaar", ["ALL ORDERS VERIFIED", "Successful Trades Made: "]),
    ],
)
def test_the_manners_of_older_clients(store: Cluster, dialect: str, like: str, lines: list[str]) -> None:
    done = shop(store, dialect, "--like", like, "--iterations", "10", "--p", "0.9", "--quantity", "1..2")
    assert done.code == 0, done
    printed = done.out.splitlines()
    for start in lines:
        assert any(line.startswith(start) for line in printed), done


@pytest.mark.row("B4")
def test_the_cases_of_the_traders_client(store: Cluster) -> None:
    for _ in range(2):
        done = shop(store, "trader", "--cases")
        assert done.code == 0, done
        assert "5 of 5 cases as expected" in done.out
    assert "refused: Trading not permitted due to insufficient volume" in done.out, "100 of stock5 are there once"
