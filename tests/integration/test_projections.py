"""Files of the older systems, kept by real replicas."""

from __future__ import annotations

import json
import urllib.request

import pytest

from tests.integration.clusters import Clusters

PROJECTIONS = """
[[projection]]
format = "toys-orders"
path = "order_log_{id}.csv"
[[projection]]
format = "bazaar-orders"
path = "order{id}.txt"
"""


def buy(url: str, name: str, quantity: int) -> int:
    body = json.dumps({"side": "buy", "lines": [{"name": name, "quantity": quantity}]}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/orders", body), timeout=15) as answer:
        return int(json.load(answer)["data"]["number"])


@pytest.mark.row("F1", "F5", "P7")
def test_after_a_crash_and_a_rejoin_the_files_of_all_replicas_are_the_same_bytes(clusters: Clusters) -> None:
    cluster = clusters(orders=3, catalogs=1, extra=PROJECTIONS).start()
    for quantity in (1, 2):
        buy(cluster.url("v1"), "Tux", quantity)
    follower = next(name for name in ("order-1", "order-2", "order-3") if name != cluster.leader())
    cluster.kill(follower)
    for quantity in (3, 4):
        buy(cluster.url("v1"), "Fox", quantity)
    cluster.start_node(follower)

    def told() -> str | None:
        done = cluster.run("verify")
        complete = done.out.count("is the same: order-1") == 4 and done.out.count(follower) >= 4
        return done.out if done.code == 0 and complete else None

    out = cluster.until(told)
    assert "toys-orders in order_log_{id}.csv is the same: order-1: " in out
    assert "bazaar-orders in order{id}.txt is the same: order-1: " in out
    whole = b"0,Tux,1\r\n1,Tux,2\r\n2,Fox,3\r\n3,Fox,4\r\n"
    assert {(cluster.data_dir / f"order_log_{i}.csv").read_bytes() for i in (1, 2, 3)} == {whole}
    assert cluster.run("export", "toys-orders").out.replace("\n", "\r\n").encode().replace(b"\r\r", b"\r") == whole
    assert json.loads(cluster.run("export", "bazaar-orders").out)["3"] == {"name": "Fox", "type": "buy", "quantity": 4}
