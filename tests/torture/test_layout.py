"""Names, addresses, command lines and the config of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from toystore.commands.rehearsal import to_toml
from toystore.ops.config import load_config
from toystore.torture import layout as lay
from toystore.torture.layout import Layout

LAYOUT = Layout(4711)


def test_every_member_has_a_namespace_and_an_address_of_its_own() -> None:
    assert LAYOUT.members[-1] == lay.SHOP
    assert len({LAYOUT.namespace(member) for member in LAYOUT.members}) == len(LAYOUT.members) == 8
    assert len({LAYOUT.address(member) for member in LAYOUT.members}) == 8
    assert LAYOUT.namespace("order-1") == "toystore-4711-order-1"


@pytest.mark.parametrize("name", ["toystore-4711-order-1", "toystore-4711-shop"])
def test_what_is_ours_names_its_process(name: str) -> None:
    assert lay.owner(name) == 4711


@pytest.mark.parametrize(
    "name",
    ["toystore", "toystore-order-1", "other-4711-order-1", "toystore-4711-order-1.img", "toystore-4711-", "docker0", ""],
)
def test_what_is_not_ours_is_left_alone(name: str) -> None:
    assert lay.owner(name) is None


@pytest.mark.parametrize("election", ["raft", "appointed"])
@pytest.mark.parametrize("orders", [3, 5])
def test_the_config_is_valid(election: str, orders: int, tmp_path: Path) -> None:
    (tmp_path / "catalog.csv").write_text(lay.catalog_csv())
    file = tmp_path / "cluster.toml"
    layout = Layout(1, orders)
    file.write_text(to_toml(lay.cluster_values(layout, election, patience=2)))
    config = load_config(file)
    assert [node.name for node in config.nodes] == layout.nodes
    assert config.restock.every == 0
    assert config.timing.suspect_after == 2.0
    assert config.warnings == ()
    if election == "appointed":
        assert config.appointing is not None
        assert config.appointing.name == "front-1"


def test_commands_name_the_namespace_and_nothing_of_the_host() -> None:
    commands = [
        *lay.namespace_commands(LAYOUT, "order-1"),
        *lay.device_commands(LAYOUT, "order-1", 1500),
        lay.link_command(LAYOUT, "order-1", up=False),
        lay.route_command(LAYOUT, "replace", "blackhole", "order-1", "order-2"),
    ]
    for command in commands:
        assert command[0] == "ip"
        assert "toystore-4711-order-1" in command
        assert command[1] in ("netns", "-n"), "all others would change the host"
    assert commands[-1][-1] == f"{LAYOUT.address('order-2')}/32"
    inside = lay.inside_command(LAYOUT, "front-1", {"A": "b"})
    assert inside == ("ip", "netns", "exec", "toystore-4711-front-1", "env", "A=b")
