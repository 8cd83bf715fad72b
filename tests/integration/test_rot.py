"""Bits that flip in the files of real processes: noticed, put aside, and filled again from the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.clusters import Cluster, Clusters, fetch

SCRUB_ALL_THE_TIME = "[storage]\nscrub_every = 1"


def buy(cluster: Cluster, key: str) -> dict[str, Any]:
    order = {"side": "buy", "lines": [{"name": "Fox", "quantity": 1}]}
    status, answer = fetch(f"{cluster.url()}/v1/orders", order, Idempotency_Key=key)
    assert status in (200, 201), answer
    placed: dict[str, Any] = answer["data"]
    return placed


def flip(file: Path, text: bytes) -> None:
    """The lowest bit of the first byte of this, in the one place where the file has it."""
    content = file.read_bytes()
    assert content.count(text) == 1, f"{text!r} stands {content.count(text)} times in {file}"
    with file.open("r+b") as there:
        there.seek(content.index(text))
        there.write(bytes([text[0] ^ 1]))


def order_row(key: str) -> bytes:
    """What stands in the row of an order, and nowhere else: its key with its lines behind."""
    return key.encode() + b'[{"name"'


def said(cluster: Cluster, node: str) -> dict[str, Any]:
    """What the node says of itself; {} where it does not answer."""
    try:
        told: dict[str, Any] = fetch(f"{cluster.node_url(node)}/status", seconds=1)[1]
    except OSError:
        return {}
    return told


def filled_again(cluster: Cluster, node: str, uuid: str) -> bool:
    told = said(cluster, node)
    return bool(told.get("in_sync")) and told["uuid"] != uuid and not told["put_aside"]


def put_aside(cluster: Cluster, node: str) -> list[Path]:
    return sorted((cluster.data_dir / node).glob("quarantine/*/ledger.db"))


@pytest.mark.fault(11)
@pytest.mark.parametrize("election", ["raft", pytest.param("appointed", marks=pytest.mark.long)])
def test_flipped_bits_are_found_and_the_replica_is_filled_again(clusters: Clusters, election: str) -> None:
    cluster = clusters(
        orders=3, catalogs=1, dialects=("v1",), cluster=f'election = "{election}"', extra=SCRUB_ALL_THE_TIME
    ).start(seconds=90)
    first = buy(cluster, "the-first-of-all")
    for number in range(10):
        buy(cluster, f"order-{number}")

    # In the file of a follower that is down: found when it starts.
    leader = cluster.leader()
    follower = next(name for name in ("order-1", "order-2", "order-3") if name != leader)
    uuid = said(cluster, follower)["uuid"]
    cluster.stop_node(follower)
    last = buy(cluster, "while-it-is-away")
    flip(cluster.data_dir / follower / "ledger.db", order_row("order-9"))
    cluster.start_node(follower)
    cluster.until(lambda: filled_again(cluster, follower, uuid), 90.0, f"{follower} to be filled again")
    assert len(put_aside(cluster, follower)) == 1
    verified = cluster.verify()
    assert verified.code == 0, verified

    # In the file of a leader, where nobody looks: found by the scrub while it runs. All begin anew first, so that nothing
    # of its rows is in the write-ahead log only.
    assert cluster.stop() == 0
    cluster.start(seconds=90)
    leader = cluster.leader()
    uuid, before = said(cluster, leader)["uuid"], put_aside(cluster, leader)
    flip(cluster.data_dir / leader / "ledger.db", order_row("the-first-of-all"))
    cluster.until(lambda: filled_again(cluster, leader, uuid), 90.0, f"{leader} to be filled again")
    assert len(put_aside(cluster, leader)) == len(before) + 1
    log = (cluster.data_dir / leader / "log").read_text()
    assert "can not trust its storage: row 0 of orders does not agree with its checksum" in log
    assert "its database was put aside in quarantine/" in log
    assert buy(cluster, "the-first-of-all")["number"] == first["number"] == 0
    assert fetch(f"{cluster.url()}/v1/orders/0")[1]["data"]["lines"] == first["lines"]
    assert buy(cluster, "one-more")["number"] == last["number"] + 1
    verified = cluster.verify()
    assert verified.code == 0, verified


@pytest.mark.fault(11)
def test_alone_it_does_not_begin_anew_and_can_be_put_back(clusters: Clusters) -> None:
    cluster = clusters(orders=1, catalogs=1, dialects=("v1",)).start(seconds=90)
    buy(cluster, "the-only-one")
    assert cluster.stop() == 0
    flip(cluster.data_dir / "order-1" / "ledger.db", order_row("the-only-one"))
    for _ in range(2):
        cluster.launch()
        assert cluster.wait(90) != 0
        told = "\n".join(cluster.lines)
        assert "no other replica has a copy" in told, told
        assert "toystore quarantine --help" in told, told
    assert "order-1 waits to be filled again" in cluster.run("quarantine", "list").out

    [kept] = put_aside(cluster, "order-1")
    flip(kept, b"u" + order_row("the-only-one")[1:])  # as it should be again
    back = cluster.run("quarantine", "put-back", "order-1")
    assert back.code == 0, back
    cluster.start(seconds=90)
    assert buy(cluster, "the-only-one")["number"] == 0
    assert buy(cluster, "another")["number"] == 1
