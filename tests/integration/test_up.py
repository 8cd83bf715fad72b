"""`toystore up` with real processes: first with stand-ins for the nodes, then with the real roles."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.clusters import Cluster, Clusters, alive, fetch, run_toystore

FAKE_ROLE = str(Path(__file__).with_name("fake_role.py"))
FakeCluster = Callable[..., Cluster]
NODES = ["order-1", "catalog-1", "front-1"]


def standing(cluster: Cluster) -> dict[str, dict[str, object]]:
    """What the supervisor says of each process."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(cluster.data_dir / "up.sock"))
        client.sendall(b'{"do": "status"}\n')
        return json.loads(client.makefile().readline())["nodes"]


def pids(cluster: Cluster) -> list[int]:
    return [row["pid"] for row in cluster.status()["nodes"] if row["pid"]]


# With stand-ins


def test_it_is_ready_when_all_nodes_are_and_a_signal_ends_all(fake_cluster: FakeCluster) -> None:
    cluster = fake_cluster("order-1=late=0.5", orders=1).start()
    assert [row["state"] for row in cluster.status()["nodes"]] == ["serving"] * 3
    processes = pids(cluster)
    assert cluster.stop(signal.SIGTERM) == 0
    assert not any(map(alive, processes))


def test_slow_starts_are_told(fake_cluster: FakeCluster) -> None:
    cluster = fake_cluster("order-1=late=4", orders=1)
    cluster.launch()
    assert "order-1 (still asleep)" in cluster.expect("waiting for")
    cluster.expect("ready")


def test_a_process_that_dies_is_started_again(fake_cluster: FakeCluster) -> None:
    cluster = fake_cluster(orders=1).start()
    before = cluster.node("order-1")["pid"]
    os.kill(before, signal.SIGKILL)
    assert "SIGKILL" in cluster.expect("order-1 was ended")
    cluster.until(lambda: cluster.node("order-1")["pid"] not in (None, before), what="another order-1")


def test_a_killed_node_stays_down_until_it_is_started(fake_cluster: FakeCluster) -> None:
    cluster = fake_cluster(orders=1).start()
    cluster.kill("order-1")
    assert standing(cluster)["order-1"] == {"state": "stopped", "pid": None, "starts": 1}
    assert cluster.node("order-1")["state"] == "down"
    cluster.start_node("order-1")
    assert cluster.node("order-1")["state"] == "serving"
    cluster.stop_node("order-1")
    assert cluster.node("order-1")["state"] == "down"
    assert standing(cluster)["order-1"]["starts"] == 2


def test_a_paused_node_does_not_answer_and_can_be_stopped_with_the_rest(fake_cluster: FakeCluster) -> None:
    cluster = fake_cluster(orders=1).start()
    pid = cluster.node("order-1")["pid"]
    cluster.pause("order-1")
    status = json.loads(cluster.run("status", "-o", "json").out)
    row = next(row for row in status["nodes"] if row["name"] == "order-1")
    assert (row["state"], row["pid"]) == ("down", pid)
    cluster.resume("order-1")
    assert cluster.node("order-1")["state"] == "serving"
    cluster.pause("order-1")
    assert cluster.stop() == 0
    assert not alive(pid)


def test_another_store_at_the_same_addresses_is_refused_and_the_first_left_alone(
    fake_cluster: FakeCluster, tmp_path: Path
) -> None:
    first = fake_cluster(orders=1).start()
    before = standing(first)
    for command in ("up", "demo"):
        place = tmp_path / command
        second = run_toystore(command, "--config", str(first.config_file), "--data-dir", str(place))
        assert second.code == 2, second
        for name in NODES:
            assert f"{name}: {urlsplit(first.node_url(name)).netloc} is taken" in second.err
        assert "another store" in second.err
        assert second.out == ""
        assert not place.exists()
    assert standing(first) == before
    assert {row["state"] for row in before.values()} == {"running"}


def test_a_store_that_has_just_ended_starts_again_at_once(fake_cluster: FakeCluster) -> None:
    cluster = fake_cluster(orders=1).start()
    assert cluster.stop() == 0
    assert cluster.start().stop() == 0


def test_an_address_that_is_taken_meanwhile_ends_it_with_the_node_and_the_reason(
    fake_cluster: FakeCluster, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    cluster = fake_cluster(f"catalog-1=waits={go}", orders=1)
    port = urlsplit(cluster.node_url("catalog-1")).port
    cluster.launch()
    cluster.until(lambda: cluster.node("order-1")["state"] == "serving", what="order-1")
    with subprocess.Popen([sys.executable, "-S", FAKE_ROLE, str(port), "catalog-1"]) as other:
        try:
            said = f"catalog-1 (process {other.pid}, which is not its own, answers there)"
            assert said in cluster.expect("waiting for catalog-1")
            go.touch()
            assert cluster.wait() == 1
            assert alive(other.pid)
        finally:
            other.kill()
    assert f"catalog-1 could not start: Couldn't listen on 127.0.0.1:{port}" in "\n".join(cluster.lines)
    assert not any(line.startswith("ready") for line in cluster.lines)
    assert not pids(cluster)


def test_a_node_that_ends_at_once_ends_it(fake_cluster: FakeCluster) -> None:
    cluster = fake_cluster("order-1=dies=7", orders=1)
    cluster.launch()
    assert cluster.wait() == 1
    assert any("order-1 could not start: ended with exit code 7" in line for line in cluster.lines)


def test_no_orphans_are_left_when_it_is_killed(fake_cluster: FakeCluster) -> None:
    cluster = fake_cluster(orders=1).start()
    processes = pids(cluster)
    cluster.pause("catalog-1")
    cluster.send(signal.SIGKILL)
    cluster.wait()
    cluster.until(lambda: not any(map(alive, processes)), 5.0, "the end of all processes")
    assert len(processes) == 3
    cluster.start()


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_no_orphans_are_left_under_a_prefix_that_forks(fake_cluster: FakeCluster, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    cluster = fake_cluster(orders=1).start("--prefix", f"order-1=strace -f -e trace=exit_group -o {trace}")
    under, own = standing(cluster)["order-1"]["pid"], cluster.node("order-1")["pid"]
    assert under != own
    cluster.pause("order-1")
    assert cluster.node("order-1")["state"] == "down"
    cluster.resume("order-1")
    cluster.stop_node("order-1")
    assert not alive(own)
    assert "SIGTERM" in trace.read_text()
    cluster.start_node("order-1")
    own = cluster.node("order-1")["pid"]
    cluster.send(signal.SIGKILL)
    cluster.wait()
    cluster.until(lambda: not alive(own), 5.0, "the end of order-1")


def test_a_second_one_on_the_same_directory_is_refused(fake_cluster: FakeCluster) -> None:
    cluster = fake_cluster(orders=1).start()
    second = run_toystore("up", "--config", str(cluster.config_file), "--data-dir", str(cluster.data_dir))
    assert second.code == 1
    assert f"another `toystore up` (process {cluster.pid}) runs on" in second.err
    assert len(pids(cluster)) == 3


def test_a_dead_socket_is_no_hindrance_and_a_long_path_none_either(fake_cluster: FakeCluster, tmp_path: Path) -> None:
    place = tmp_path / ("long-" * 30) / "data"
    cluster = fake_cluster(orders=1, data_dir=place).start()
    cluster.send(signal.SIGKILL)
    cluster.wait()
    cluster.until(lambda: not pids(cluster), 5.0, "the end of all processes")
    cluster.start()
    cluster.kill("order-1")
    assert cluster.node("order-1")["state"] == "down"


def test_nodes_can_be_left_out(fake_cluster: FakeCluster) -> None:
    cluster = fake_cluster(orders=2).start("--without", "order-2")
    assert cluster.node("order-2")["state"] == "down"
    cluster.start_node("order-2")
    assert cluster.node("order-2")["state"] == "serving"


def test_what_a_node_writes_is_in_its_log(fake_cluster: FakeCluster) -> None:
    cluster = fake_cluster(orders=1).start()
    for name in NODES:
        log = cluster.data_dir / name / "log"
        cluster.until(lambda log=log, name=name: f"{name} serves" in log.read_text(), what="the log")
        assert log.stat().st_mode & 0o077 == 0


def test_asking_for_the_impossible_says_why(fake_cluster: FakeCluster) -> None:
    cluster = fake_cluster(orders=1)
    nobody = cluster.run("node", "kill", "order-1")
    assert (nobody.code, "no `toystore up` runs on" in nobody.err) == (3, True)
    cluster.start()
    unknown = cluster.run("node", "kill", "order-9")
    assert (unknown.code, "this cluster has order-1, catalog-1, front-1" in unknown.err) == (1, True)
    cluster.kill("order-1")
    down = cluster.run("node", "pause", "order-1")
    assert (down.code, "it is stopped" in down.err) == (1, True)


def test_a_signal_while_it_starts_ends_it(fake_cluster: FakeCluster) -> None:
    cluster = fake_cluster("order-1=late=60", orders=1)
    cluster.launch()
    cluster.until(lambda: len(pids(cluster)) == 3, what="all processes")
    processes = pids(cluster)
    assert cluster.stop() == 0
    assert not any(map(alive, processes))


# With the real roles


def buy(cluster: Cluster, name: str = "Fox", quantity: int = 1) -> int:
    """The number of a new order."""
    lines = [{"name": name, "quantity": quantity}]
    status, answer = fetch(f"{cluster.url()}/v1/orders", {"side": "buy", "lines": lines})
    assert status == 201, answer
    number: int = answer["data"]["number"]
    return number


def test_a_real_cluster_serves_and_agrees(clusters: Clusters) -> None:
    cluster = clusters(orders=3, catalogs=1).start()
    assert buy(cluster) == 0
    status = cluster.status()
    assert status["leader"] in ("order-1", "order-2", "order-3")
    assert sorted(row["state"] for row in status["nodes"]) == [
        "follower", "follower", "leader", "learner", "serving",
    ]  # fmt: skip
    verdict = cluster.verify()
    assert verdict.code == 0, verdict
    assert "orders of order-1: 1, numbered without a gap" in verdict.out
    assert cluster.stop() == 0


@pytest.mark.row("X7", "E3", "E5")
def test_the_leader_is_killed_and_comes_back(clusters: Clusters) -> None:
    cluster = clusters(orders=3, catalogs=1).start()
    first = buy(cluster)
    leader = cluster.leader()
    cluster.kill(leader)
    assert buy(cluster) == first + 1
    cluster.start_node(leader)
    cluster.until(lambda: cluster.node(leader)["in_sync"], what=f"{leader} in sync")
    verdict = cluster.verify()
    assert verdict.code == 0, verdict
    assert cluster.status()["leader"] != leader


def test_a_real_taken_port_is_named(clusters: Clusters) -> None:
    cluster = clusters(orders=1, catalogs=1)
    port = urlsplit(cluster.url("v1")).port
    with socket.create_server(("127.0.0.1", port or 0)):
        cluster.launch()
        assert cluster.wait() == 2
    assert any(line == f"  front-1: 127.0.0.1:{port} is taken" for line in cluster.lines)
    assert not cluster.data_dir.exists()


@pytest.mark.row("B1")
def test_shoppers_find_every_order_as_it_was_promised(clusters: Clusters) -> None:
    cluster = clusters(orders=1, catalogs=1).start()
    for dialect in ("v1", "toys"):
        where = ["--url", cluster.url(dialect), "--dialect", dialect]
        done = run_toystore("shop", *where, "--iterations", "20", "--clients", "2", "-o", "json")
        report = json.loads(done.out)
        assert (done.code, report["wrong"], report["unanswered"]) == (0, [], [])
        assert report["verified"] == report["orders"] > 0


def test_exports_are_json_lines(clusters: Clusters) -> None:
    cluster = clusters(orders=1, catalogs=1).start()
    for quantity in (1, 2, 3):
        buy(cluster, "Tux", quantity)
    for table, field, expected in (("products", "name", 10), ("orders", "number", 3)):
        done = cluster.run("export", table)
        assert done.code == 0, done
        assert len([json.loads(line)[field] for line in done.out.splitlines()]) == expected
    log = [json.loads(line) for line in cluster.run("export", "log").out.splitlines()]
    indexes = [row["index"] for row in log]
    assert indexes == list(range(indexes[0], indexes[0] + len(indexes)))


def test_the_demo_verifies_what_it_sold(cluster_config: Callable[..., Path], tmp_path: Path) -> None:
    config = cluster_config(orders=1, catalogs=1)
    place = tmp_path / "demo"
    done = run_toystore("demo", "--config", str(config), "--data-dir", str(place), "--seconds", "4")
    assert done.code == 0, done
    assert "ALL ORDERS VERIFIED" in done.out
    assert "node kill order-1" in done.out
    assert list(place.iterdir()) == []


def test_the_default_config_is_used_without_one(tmp_path: Path) -> None:
    done = run_toystore("status", "-o", "json", cwd=tmp_path)
    assert json.loads(done.out)["cluster"] == "toys"
    assert list(tmp_path.iterdir()) == []


def test_the_command_is_installed_as_a_module() -> None:
    done = run_toystore("--help")
    assert done.code == 0
    assert all(name in done.out for name in ("up", "demo", "status", "node", "shop", "verify", "export"))
