"""The composition root: configs become parts, and what can not begin says why."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve
from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure
from twisted.python.usage import UsageError

from toystore import compose, daemon
from toystore.ops.config import ConfigError, default_config_path, load_config
from toystore.ops.options import RoleOptions
from toystore.storage.database import DataDirInUse
from toystore.storage.interface import Rotten, StorageError


def test_seconds_of_the_config_become_ticks_of_the_core() -> None:
    config = load_config(default_config_path())
    node = compose.node_config(config, config.order(2), tick=0.01)
    assert node.id == "order-2"
    assert node.voters == ("order-1", "order-2", "order-3")
    assert node.learners == ("catalog-1", "catalog-2")
    assert (node.election_ticks, node.heartbeat_ticks, node.hand_over_ticks) == ((30, 60), 5, None)


def test_with_the_preference_for_the_highest_the_hand_over_is_timed() -> None:
    config = load_config(default_config_path())
    config = evolve(config, cluster=evolve(config.cluster, leader_preference="highest"))
    assert compose.node_config(config, config.order(1), tick=0.01).hand_over_ticks == 1000


@pytest.mark.fault(9)
def test_no_variable_of_the_environment_changes_who_the_replicas_are(monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_config(default_config_path())
    for name in ("REPLICA_ID", "Replica_id", "ORDER_HOST", "ORDER_LISTENING_PORT", "CATALOG_PORT"):
        monkeypatch.setenv(name, "2")
    after = load_config(default_config_path())
    assert after == before
    nodes = [compose.node_config(after, order, tick=0.01) for order in after.orders]
    assert [node.id for node in nodes] == ["order-1", "order-2", "order-3"]
    assert {node.voters for node in nodes} == {("order-1", "order-2", "order-3")}


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (CannotListenError("127.0.0.1", 12502, OSError("in use")), 1, "127.0.0.1:12502: the port is taken"),
        (DataDirInUse("d is in use"), 1, "d is in use"),
        (StorageError("the disk fails"), 70, "the disk fails"),
        (Rotten("row 7 of log is broken"), 70, "row 7 of log is broken. It ends; with its next start the database is put"),
        (RuntimeError("a bug"), 70, "can not go on"),
    ],
)
def test_what_can_not_begin_ends_the_process_with_a_reason(
    error: Exception, code: int, says: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(daemon.os, "_exit", ended.append)
    told: list[str] = []
    monkeypatch.setattr(daemon._log, "critical", lambda text, **fields: told.append(text.format(**fields)))
    monkeypatch.setattr(daemon._log, "failure", lambda text, failure, **fields: told.append(text.format(**fields)))
    daemon.end_process("order-1", Failure(error))
    assert ended == [code]
    assert says in told[0]
    assert told[0].startswith("order-1")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--config is missing"),
        (["--config", "x.toml"], "--id is missing"),
        (["--config", "x.toml", "--id", "two"], "--id is 'two'; it must be a number"),
    ],
)
def test_a_role_says_what_its_command_line_lacks(arguments: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        RoleOptions().parseOptions(arguments)


def write_config(folder: Path, text: str) -> Path:
    path = folder / "store.toml"
    path.write_text(
        '[cluster]\nname = "t"\n'
        + text
        + '\n[[order]]\nid = 1\nlisten = "tcp:1:interface=127.0.0.1"\nurl = "http://127.0.0.1:1"\n'
        + '[[catalog]]\nid = 1\nlisten = "tcp:2:interface=127.0.0.1"\nurl = "http://127.0.0.1:2"\n'
        + '[[front]]\nid = 1\nappoints = true\nlisten = "tcp:3:interface=127.0.0.1"\nurl = "http://127.0.0.1:3"\n'
    )
    return path


def test_where_leaders_are_appointed_replicas_know_the_register(tmp_path: Path) -> None:
    config = load_config(write_config(tmp_path, 'election = "appointed"'))
    node = compose.node_config(config, config.order(1), tick=0.01)
    assert (node.election, node.register, node.suspect_ticks) == ("appointed", "front-1", 100)
    assert compose.node_config(load_config(default_config_path()), config.order(1), tick=0.01).register is None


@pytest.mark.parametrize("bootstrap", [["order-9"], [""], ["catalog-1"]])
def test_a_cluster_begins_with_order_replicas_that_exist(tmp_path: Path, bootstrap: list[str]) -> None:
    config = load_config(write_config(tmp_path, 'election = "appointed"'))
    with pytest.raises(ConfigError, match="--bootstrap: expected some of order-1"):
        compose.front_end(config, 1, None, bootstrap)
