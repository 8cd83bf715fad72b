"""Files of the older systems, kept by real replicas and a real front end."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from contextlib import closing

import pytest

from tests.integration.clusters import TOYSTORE, Cluster, Clusters, fetch, surroundings

FILES = {
    "toys-orders": "order_data/order_log_{id}.csv",
    "toys-raft": "raft_data/raft_log_{id}.csv",
    "trader-orders": "data/stockOrderDB_{id}.txt",
    "books-changes": "db_logcatalog{id}.csv",
    "books-database": "database{id}.db",
    "bazaar-orders": "order{id}.txt",
    "bazaar-catalog": "catalog{id}.txt",
}
EXTRA = "".join(f'[[projection]]\nformat = "{name}"\npath = "{path}"\n' for name, path in FILES.items())


def buy(cluster: Cluster, name: str, quantity: int) -> int:
    status, told = fetch(f"{cluster.url()}/v1/orders", {"side": "buy", "lines": [{"name": name, "quantity": quantity}]})
    assert status == 201, (told, cluster.story())
    return int(told["data"]["number"])


def held(cluster: Cluster, format_: str, id_: int | str) -> bytes:
    """The file of this format at the replica with this id."""
    return (cluster.data_dir / FILES[format_].replace("{id}", str(id_))).read_bytes()


def exported(cluster: Cluster, format_: str) -> bytes:
    """What `toystore export` writes, byte for byte."""
    options = ["--config", str(cluster.config_file), "--data-dir", str(cluster.data_dir)]
    done = subprocess.run(
        [*TOYSTORE, "export", format_, *options], capture_output=True, env=surroundings(), timeout=60, check=True
    )
    return done.stdout


@pytest.mark.row("F1", "F2", "F3", "F4", "F5", "P7", "P2")
def test_after_a_crash_and_a_rejoin_the_files_of_all_replicas_are_the_same_bytes(clusters: Clusters) -> None:
    cluster = clusters(orders=3, catalogs=1, extra=EXTRA).start()
    for quantity in (1, 2):
        buy(cluster, "Tux", quantity)
    follower = next(name for name in ("order-1", "order-2", "order-3") if name != cluster.leader())
    cluster.kill(follower)
    for quantity in (3, 4):
        buy(cluster, "Fox", quantity)
    cluster.start_node(follower)

    def told() -> str | None:
        done = cluster.run("verify")
        complete = done.out.count("is the same: order-1") == len(FILES) + 2 and done.out.count(follower) >= len(FILES) + 2
        return done.out if done.code == 0 and complete else None

    out = cluster.until(told, 30, "the same files everywhere")
    for name, path in FILES.items():
        assert f"{name} in {path} is the same: order-1: " in out
        assert len({held(cluster, name, id_) for id_ in (1, 2, 3)}) == 1
        assert exported(cluster, name) == held(cluster, name, 1), f"export {name}"

    assert held(cluster, "toys-orders", 1) == b"0,Tux,1\r\n1,Tux,2\r\n2,Fox,3\r\n3,Fox,4\r\n"
    assert [line.split(b",")[0] for line in held(cluster, "toys-raft", 1).splitlines()] == [b"0", b"1", b"2", b"3"]
    assert held(cluster, "trader-orders", 1).splitlines()[:2] == [
        b"transaction_number,stockname,ordertype,quantity",
        b"1,Tux,BUY,1",
    ]
    assert held(cluster, "books-changes", 1).splitlines()[-1] == b"buy,quantity,3,4"
    assert json.loads(held(cluster, "bazaar-orders", 1))["3"] == {"name": "Fox", "type": "buy", "quantity": 4}
    assert json.loads(held(cluster, "bazaar-catalog", 1))["Fox"] == {"price": 12.99, "volume": 7, "quantity": 93}
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(held(cluster, "books-database", 1))
        assert database.execute("SELECT title, quantity FROM books_1 WHERE item_number = 3").fetchall() == [("Fox", 93)]


@pytest.mark.row("F5")
def test_who_has_been_answered_finds_the_order_in_the_file(clusters: Clusters) -> None:
    cluster = clusters(orders=3, catalogs=1, extra=EXTRA).start()
    leader = cluster.leader().removeprefix("order-")
    for n in range(20):
        number = buy(cluster, "Tux", 1)
        assert number == n
        assert len(json.loads(held(cluster, "bazaar-orders", leader))) == n + 1


@pytest.mark.row("F2", "T4")
def test_the_front_end_notes_each_leader_and_its_term(clusters: Clusters) -> None:
    cluster = clusters(orders=3, catalogs=1).start()
    first = cluster.leader()
    cluster.kill(first)
    buy(cluster, "Tux", 1)
    path = cluster.data_dir / "front-1" / "Front_end_log" / "Front_end_log.csv"
    rows = cluster.until(lambda: [row for row in [path.read_text().splitlines()] if len(row) > 1], 10, "a second leader")[0]
    noted = [tuple(int(value) for value in row.split(",")) for row in rows]
    assert noted[0][0] == int(first.removeprefix("order-"))
    assert noted[-1][0] == int(cluster.leader().removeprefix("order-"))
    terms = [term for _, term in noted]
    assert terms == sorted(set(terms)), "a higher term with each leader"
