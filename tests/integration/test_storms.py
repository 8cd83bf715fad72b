"""Storms over real clusters: what must hold when nodes are killed and paused while customers buy.

The storms here are short. Longer ones: `python -m tests.integration.storm --help`, or, for the same tests,
`STORM_SECONDS=60 STORM_PAUSE=10 STORM_AWAY=50000 pytest tests/integration/test_storms.py`.
"""

from __future__ import annotations

import copy
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.integration.clusters import Cluster, Clusters, fetch
from tests.integration.storm import absence, disk
from tests.integration.storm.blows import Blow, Storming
from tests.integration.storm.customers import Connection, Record, Wish, at_once
from tests.integration.storm.judge import Ledger, judge
from tests.integration.storm.needs import need
from tests.integration.storm.storm import (
    CATALOG,
    NO_RESTOCK,
    SHAPE,
    Plan,
    Report,
    examine,
    export,
    ride,
)

SECONDS = float(os.environ.get("STORM_SECONDS", "7"))
"""How long a storm lasts."""
PAUSE = float(os.environ.get("STORM_PAUSE", "3"))
"""Seconds for which a replica is stopped where it stands."""
AWAY = int(os.environ.get("STORM_AWAY", "20000"))
"""Orders that are placed while a replica is away: more than the log keeps."""
LONGEST_WAIT = 3.0
"""Seconds that a customer may wait over a change of leader, on a machine that does much else meanwhile."""


@pytest.fixture
def shop(clusters: Clusters) -> Cluster:
    """A cluster with much of everything that restocks nothing; not started."""
    return clusters(**SHAPE, catalog_csv=CATALOG, extra=NO_RESTOCK)


@pytest.fixture
def shim(tmp_path: Path) -> Path:
    need(*disk.COMPILERS)
    return disk.build(tmp_path)


def forgetful(cluster: Cluster, shim: Path, lie: bool = False) -> list[str]:
    """The options of `up` that put the cluster on disks that forget."""
    return ["--prefix", disk.prefix(shim, cluster.data_dir, lie)]


def assert_all_is_there(report: Report) -> None:
    assert report.faults == [], report.text()
    assert report.acknowledged > 50, report.text()


def assert_nobody_noticed(report: Report) -> None:
    assert_all_is_there(report)
    assert report.smooth, report.text()
    assert report.longest < LONGEST_WAIT, report.text()


# The judge itself


def told(number: int, name: str = "Fox", quantity: int = 2) -> dict[str, Any]:
    line = {"name": name, "quantity": quantity, "unit_price": 1599}
    return {"number": number, "side": "buy", "lines": [line], "at": 5, "status": "placed", "key": f"k{number}"}


def answered(number: int, status: int = 201) -> Record:
    order = told(number) if status == 201 else None
    return Record(Wish(f"k{number}", (("Fox", 2),)), 0.0, 1.0, status, order)


def books() -> tuple[list[Record], Ledger]:
    """Three orders, a refusal and a request that nobody heard of; all is well."""
    records = [answered(0), answered(1), answered(2), answered(3, 409), answered(4, 0)]
    product = {"name": "Fox", "quantity": 94, "volume": 6}
    return records, Ledger([told(0), told(1), told(2)], [product], {"Fox": 100})


def test_a_ledger_as_it_was_promised_is_good() -> None:
    records, ledger = books()
    verdict = judge(records, ledger)
    assert (verdict.faults, verdict.unheard) == ([], 1)


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda rows: rows.pop(), "lost"),
        (lambda rows: rows[1].update(number=2), "changed"),
        (lambda rows: rows[1]["lines"][0].update(quantity=3), "changed"),
        (lambda rows: rows[1]["lines"][0].update(unit_price=1), "changed"),
        (lambda rows: rows.append(told(3) | {"key": "k1"}), "twice"),
        (lambda rows: rows.append(told(3)), "carried out though refused"),
        (lambda rows: rows.append(told(4) | {"number": 3, "key": "strange"}), "never asked for"),
        (lambda rows: rows.append(told(4, quantity=9) | {"number": 3}), "never asked for"),
        (lambda rows: rows.append(told(4)), "numbers"),
        (lambda rows: rows.append(told(4) | {"number": 2}), "numbers"),
        (lambda rows: rows[0].update(status="cancelled"), "stock"),
    ],
)
def test_the_judge_notices(damage: Any, fault: str) -> None:
    records, ledger = books()
    rows: Any = copy.deepcopy(list(ledger.orders))
    damage(rows)
    verdict = judge(records, Ledger(rows, ledger.products, ledger.stock))
    assert any(found.startswith(fault) for found in verdict.faults), verdict.faults


# Storms


@pytest.mark.row("X4", "X7")
@pytest.mark.fault(1)
def test_customers_do_not_notice_that_leaders_are_killed(shop: Cluster) -> None:
    report = ride(shop.start(), Plan(SECONDS, clients=64, rate=200, every=3))
    assert any(blow.startswith("kill order") for blow in report.blows)
    assert_nobody_noticed(report)


@pytest.mark.fault(11)
def test_no_acknowledged_order_is_lost_on_disks_that_forget(shop: Cluster, shim: Path) -> None:
    """First the leader is killed, then all processes at once, as by a power failure; whatever they had not synced is
    lost. Customers see resets while there is no front end, and keep what they got."""
    blows = (Blow("kill", "leader", 0.5), Blow("kill", "all", 0.2))
    report = ride(shop.start(*forgetful(shop, shim)), Plan(SECONDS, 16, rate=150, every=3, blows=blows))
    assert report.blows["kill all"] >= 1
    assert report.resets
    assert_all_is_there(report)


@pytest.mark.long
def test_a_store_on_disks_that_lie_is_found_out(shop: Cluster, shim: Path) -> None:
    """The same power failure where a sync does nothing: this check can fail."""
    plan = Plan(4, 16, rate=150, blows=(Blow("kill", "all", 0.2),))
    report = ride(shop.start(*forgetful(shop, shim, lie=True)), plan)
    assert any(fault.startswith("lost:") for fault in report.faults), report.text()


@pytest.mark.fault(6)
def test_a_paused_leader_does_no_harm_when_it_wakes_up(shop: Cluster) -> None:
    blows = (Blow("pause", "follower", PAUSE), Blow("pause", "leader", PAUSE))
    report = ride(shop.start(), Plan(2 * PAUSE + 6, 16, rate=150, every=PAUSE + 2, blows=blows))
    assert sum(report.blows.values()) == 2
    assert_nobody_noticed(report)


# One product, many who want it

RACERS, UNITS = 200, 100


@pytest.mark.fault(4)
def test_as_many_are_sold_as_there_are_and_a_replay_is_the_same_order(clusters: Clusters) -> None:
    """200 race for 100 units; then all send their keys again, half of them after the leader was killed."""
    catalog = f"name,price,quantity\nFox,12.99,{UNITS}\n"
    cluster = clusters(**SHAPE, catalog_csv=catalog, extra=NO_RESTOCK).start()
    wishes = [Wish(f"racer-{number}", (("Fox", 1),)) for number in range(RACERS)]
    records = at_once(cluster.url(), wishes)
    counts = Counter((record.status, record.fault) for record in records)
    assert counts == {(201, ""): UNITS, (409, ""): RACERS - UNITS}
    stock = fetch(f"{cluster.url()}/v1/products/Fox")[1]["data"]["quantity"]
    assert stock == 0

    winners = [record for record in records if record.acknowledged]
    replayed = [Connection(cluster.url()).buy(record.wish) for record in winners[: UNITS // 2]]
    cluster.kill(killed := cluster.leader())
    replayed += [Connection(cluster.url()).buy(record.wish) for record in winners[UNITS // 2 :]]
    assert [(record.status, record.order) for record in replayed] == [(200, record.order) for record in winners]
    cluster.start_node(killed)
    assert examine(Storming(cluster), records, {"Fox": UNITS}) == ([], 0)


# A long absence


@pytest.mark.long
def test_a_replica_that_was_long_away_comes_back_by_a_snapshot(shop: Cluster) -> None:
    """More orders than the log keeps are placed meanwhile, and some that it knows are cancelled. The others go on
    selling while it catches up."""
    found = absence.absence(shop.start(), AWAY)
    print(found.text())
    assert found.by_snapshot
    assert found.bought_meanwhile > 0
    assert shop.verify().code == 0
    cancelled = [row["number"] for row in export(shop, "orders") if row["status"] == "cancelled"]
    assert cancelled == found.cancelled
