"""What the benchmarks read and how they judge and print it; nothing is measured here."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from benchmarks import ours, peer, table
from benchmarks.contender import CASES, STOCK, TOYS, Case, Served
from benchmarks.failover import Kill, as_text
from benchmarks.machine import CommitTime, parse_stat, percentile
from benchmarks.rounds import Run, changes, cpu_spent, faults_of, summarise
from benchmarks.wrk import Errors, Report, Unusable, parse_report
from toystore.ops.catalog_csv import parse_catalog
from toystore.ops.config import load_config

SAID = """Running 8s test @ http://127.0.0.1:8080
  1 threads and 8 connections
  Latency     5.37ms    3.33ms  50.61ms   89.36%
report {"requests": 12000, "microseconds": 8000000, "p50": 5120, "p99": 20480, "max": 50610, \
"connect": 0, "read": 1, "write": 0, "status": 3, "timeout": 0}
"""
BUY, HIT, MISS = Case("buy", 8), Case("hit", 8), Case("miss", 8)


def report(requests: int = 1000, seconds: float = 1.0, p50: float = 2.0, errors: Errors | None = None) -> Report:
    return Report(requests, seconds, p50, 9.0, 20.0, errors or Errors())


def test_a_report_is_read_in_milliseconds_and_seconds() -> None:
    found = parse_report(SAID)
    assert found == Report(12000, 8.0, 5.12, 20.48, 50.61, Errors(read=1, status=3))
    assert found.rate == 1500.0
    assert str(found.errors) == "1 read, 3 status"


def test_no_report_is_an_error_that_says_what_was_said() -> None:
    with pytest.raises(Unusable, match="unable to connect"):
        parse_report("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_cpu_of_a_process_whose_name_is_a_trap() -> None:
    assert parse_stat("7 (a) b (c) S 42 7 7 0 -1 4194304 1 0 0 0 150 25 8 9 20 0 1 0 99") == (42, 175)


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)) == (50.0, 99.0, 100.0)
    assert percentile([7.0], 0.5) == 7.0


@pytest.mark.parametrize("sold", [1000, 1008])
def test_what_was_sold_are_the_acknowledged_orders_and_those_under_way(sold: int) -> None:
    assert faults_of(BUY, report(), Served(50), Served(50 + sold)) == []


@pytest.mark.parametrize("sold", [999, 1009])
def test_a_lost_order_and_one_carried_out_twice_make_a_run_invalid(sold: int) -> None:
    assert faults_of(BUY, report(), Served(50), Served(50 + sold)) == [
        f"1000 orders were acknowledged, {sold} units were sold"
    ]


def test_failed_requests_and_none_at_all_make_a_run_invalid() -> None:
    assert faults_of(HIT, report(errors=Errors(timeout=2)), Served(0), Served(0)) == ["failed requests: 2 timeout"]
    assert faults_of(HIT, report(requests=0), Served(0), Served(0)) == ["no request was answered"]


def test_lookups_must_meet_the_cache_as_the_case_says() -> None:
    mostly_hits, mostly_misses = Served(0, 990, 18), Served(0, 18, 990)
    assert faults_of(HIT, report(), Served(0, 0, 0), mostly_hits) == []
    assert faults_of(MISS, report(), Served(0, 0, 0), mostly_misses) == []
    assert faults_of(HIT, report(), Served(0, 0, 0), Served(0, 981, 19)) == [
        "of the lookups 981 hit the cache and 19 missed it"
    ]
    assert faults_of(MISS, report(), Served(0, 0, 0), mostly_hits) != []


def test_cpu_counts_newcomers_from_their_start_and_follows_a_process_into_another_role() -> None:
    began = {"leader": {1: 5.0}, "follower": {2: 3.0, 3: 3.0}}
    ended = {"leader": {2: 4.0}, "follower": {1: 7.0, 9: 0.5}}
    assert cpu_spent(began, ended) == {"leader": 1.0, "follower": 2.5}
    assert changes(began, ended) == ["a follower has become leader", "a leader has become follower"]
    assert changes(began, began) == []


def rounds(label: str, *rates: int, faults: tuple[str, ...] = ()) -> list[Run]:
    return [Run(n, BUY, label, report(rate), {"leader": float(n)}, faults) for n, rate in enumerate(rates, 1)]


def test_a_summary_is_the_median_of_the_rounds_and_one_invalid_round_spoils_it() -> None:
    runs = rounds("ours", 100, 900, 200) + rounds("peer", 400, 400, 400, faults=("failed requests: 1 read",))
    found = summarise(runs)
    ours_summary = found[BUY, "ours"]
    assert ours_summary is not None
    assert (ours_summary.rate, ours_summary.lowest, ours_summary.highest) == (200, 100, 900)
    assert ours_summary.cpu == {"leader": 2.0}
    assert found[BUY, "peer"] is None


def test_where_a_case_is_invalid_there_is_no_ratio() -> None:
    runs = rounds("ours", 1000) + rounds("peer", 4000, faults=("bad",))
    assert table.comparison(summarise(runs)).splitlines()[3].split()[-5:] == ["invalid", "-", "-", "-", "-"]


def test_the_tables() -> None:
    runs = rounds("ours", 1000, 2000, 3000) + rounds("peer", 4000, 4000, 4000)
    assert table.comparison(summarise(runs)).splitlines() == [
        "==============  =======  ==============  ======  ======  =======  ==============  ======  ======  =========",
        "case            ours /s  lowest-highest  p50 ms  p99 ms  peer /s  lowest-highest  p50 ms  p99 ms  ours/peer",
        "==============  =======  ==============  ======  ======  =======  ==============  ======  ======  =========",
        "buy, 8 clients    2,000     1,000-3,000    2.00    9.00    4,000     4,000-4,000    2.00    9.00       0.50",
        "==============  =======  ==============  ======  ======  =======  ==============  ======  ======  =========",
    ]
    assert table.work(summarise(runs), "ours").splitlines()[3].split() == ["buy,", "8", "clients", "2", "2"]
    assert table.notes(rounds("ours", 5, faults=("bad",))) == "INVALID: round 1, buy, 8 clients, ours: bad"
    disk = {"sync": CommitTime(0.1, 2.5, 500)}
    assert table.commits(disk, disk).splitlines()[3].split() == ["sync", "0.10", "2.50", "0.10", "2.50"]


def test_the_cluster_that_is_measured_is_a_valid_one_without_restock(tmp_path: Path) -> None:
    text = ours.config(range(12001, 12007), "appointed")
    assert tomllib.loads(text)["restock"]["every"] == 0
    (tmp_path / "cluster.toml").write_text(text)
    (tmp_path / "catalog.csv").write_text(ours.catalog())
    config = load_config(tmp_path / "cluster.toml")
    assert [node.name for node in config.nodes] == ["order-1", "order-2", "order-3", "catalog-1", "front-1"]
    assert ours.PRODUCTS > 10 * ours.CACHE_SIZE
    assert max(case.connections for case in CASES) < ours.PRODUCTS
    rows, faults = parse_catalog(ours.catalog(), "USD")
    assert (len(rows), faults) == (ours.PRODUCTS, [])
    assert [(row.name, row.quantity) for row in rows[:10]] == [(toy, STOCK) for toy in TOYS]


def test_failovers_in_one_line_and_what_went_wrong_below() -> None:
    kills = [Kill(float(n), 100, ()) for n in range(401, 420)] + [Kill(900.0, 99, ("failed requests: 1 status",))]
    assert as_text(kills).splitlines() == [
        "longest wait of a client in each of 20 failovers: p50 410 ms, p99 900 ms, max 900 ms",
        "INVALID: kill 20: failed requests: 1 status",
    ]


def test_a_peer_that_can_not_run_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "PACKAGES", ("attrs", "no_such_database_driver"))
    with pytest.raises(peer.Missing, match=r"^no_such_database_driver \(pip install"):
        peer.check_packages()
