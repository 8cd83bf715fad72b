"""Real processes whose leader is appointed: dead on arrival, down to one, nobody left who may lead, and a loss accepted."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.integration.clusters import Cluster, Clusters
from tests.integration.storm.blows import Blow
from tests.integration.storm.storm import CATALOG, NO_RESTOCK, SHAPE, Plan, ride

APPOINTED = 'election = "appointed"'


@pytest.fixture
def shop(clusters: Clusters) -> Cluster:
    return clusters(**SHAPE, catalog_csv=CATALOG, extra=NO_RESTOCK, cluster=APPOINTED, timing="request = 3.0")


def buy(cluster: Cluster) -> tuple[int, dict[str, Any]]:
    body = json.dumps({"side": "buy", "lines": [{"name": "Fox", "quantity": 1}]}).encode()
    try:
        with urllib.request.urlopen(f"{cluster.url('v1')}/v1/orders", body, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def in_sync(cluster: Cluster) -> set[str]:
    return {row["name"] for row in cluster.status()["nodes"] if row["role"] == "order" and row["in_sync"]}


def wait_for_leader(cluster: Cluster, leader: str) -> None:
    cluster.until(lambda: cluster.status()["leader"] == leader, 20.0, f"{leader} to lead")


@pytest.mark.row("E4")
def test_the_two_highest_are_dead_on_arrival(shop: Cluster) -> None:
    shop.start("--without", "order-3", "--without", "order-2")
    assert shop.status()["leader"] == "order-1"
    assert buy(shop)[0] == 201
    for node in ("order-3", "order-2"):
        shop.start_node(node)
    shop.until(lambda: in_sync(shop) == {"order-1", "order-2", "order-3"}, 20.0, "all to be in sync")
    assert shop.status()["leader"] == "order-1", "a rejoin never changes the leader"
    assert shop.verify().code == 0


@pytest.mark.row("E4")
def test_where_only_out_of_sync_replicas_live_the_answer_names_whom_it_waits_for(shop: Cluster) -> None:
    shop.start()
    assert shop.status()["leader"] == "order-3"
    shop.kill("order-1")
    assert buy(shop)[0] == 201
    shop.kill("order-2")
    status, lost = buy(shop)
    assert status == 201
    shop.kill("order-3")
    shop.start_node("order-1")
    status, problem = buy(shop)
    assert status == 503
    assert "waiting for order-3, which has every acknowledged order; order-1 is alive" in problem["detail"]

    refused = shop.run("appoint", "order-1")
    assert refused.code == 1
    assert "--accept-loss" in refused.err
    accepted = shop.run("appoint", "order-1", "--accept-loss")
    assert accepted.code == 0, accepted.err
    wait_for_leader(shop, "order-1")
    for node in ("order-2", "order-3"):
        shop.start_node(node)
    shop.until(lambda: in_sync(shop) == {"order-1", "order-2", "order-3"}, 20.0, "all to be in sync")
    status, placed = buy(shop)
    assert (status, placed["data"]["number"]) == (201, 0), "the orders that only others had are lost, as was accepted"
    assert lost["data"]["number"] == 1
    assert shop.verify().code == 0


def test_a_planned_hand_over(shop: Cluster) -> None:
    shop.start()
    assert shop.run("appoint", "order-1").code == 0
    wait_for_leader(shop, "order-1")
    assert buy(shop)[0] == 201
    shop.stop_node("order-1")
    wait_for_leader(shop, "order-3")
    assert buy(shop)[0] == 201


def test_nobody_notices_a_storm_down_to_one(shop: Cluster) -> None:
    shop.start()
    report = ride(
        shop, Plan(seconds=10.0, clients=8, every=4.0, blows=(Blow("kill", "leaders", 0.5), Blow("kill", "follower", 0.5)))
    )
    assert report.faults == [], report.text()
    assert report.smooth, report.text()
    assert report.acknowledged > 50, report.text()
