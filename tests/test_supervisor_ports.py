"""Whether a cluster's addresses can be had, looked at with real sockets of the loopback."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from twisted.internet.task import Clock

from tests.integration.clusters import write_config
from toystore.cli import main
from toystore.commands.loop import USAGE, CommandFailed
from toystore.commands.place import Place, find_place
from toystore.commands.up import Up, Wishes
from toystore.ops.addresses import parse_listen
from toystore.supervisor import lock
from toystore.supervisor.ports import TAKEN, Unavailable, free_ports, unavailable
from toystore.supervisor.ports import why_not as why_not_at


def why_not(listen: str) -> str | None:
    return why_not_at(parse_listen(listen))


def tcp(port: int, interface: str = "127.0.0.1") -> str:
    return f"tcp:{port}:interface={interface}"


# One address


def test_an_address_is_free_until_something_listens_there() -> None:
    (port,) = free_ports(1)
    assert why_not(tcp(port)) is None
    with socket.create_server(("127.0.0.1", port)):
        assert why_not(tcp(port)) == TAKEN
        assert why_not(f"tcp:{port}") == TAKEN
    assert why_not(tcp(port)) is None


def test_a_listener_on_every_interface_takes_the_loopback_too() -> None:
    (port,) = free_ports(1)
    with socket.create_server(("", port)):
        assert why_not(tcp(port)) == TAKEN


def test_what_a_closed_listener_leaves_behind_takes_nothing() -> None:
    (port,) = free_ports(1)
    with socket.create_server(("127.0.0.1", port)) as server:
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()
        client.close()
    with socket.socket() as strict, pytest.raises(OSError, match="in use"):
        strict.bind(("127.0.0.1", port))
    assert why_not(tcp(port)) is None


def test_any_port_will_be_found() -> None:
    assert why_not("tcp:0") is None


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
@pytest.mark.parametrize("listen", [r"tcp:{}:interface=\:\:1", "tcp6:{}"])
def test_addresses_of_ipv6(listen: str) -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 loopback")
    with server:
        port = server.getsockname()[1]
        assert why_not(listen.format(port)) == TAKEN
    assert why_not(listen.format(port)) is None


def test_an_address_of_another_machine_is_none_of_ours() -> None:
    assert why_not(tcp(1025, "192.0.2.1")) == "can not be used: Cannot assign requested address"


def test_a_path_is_free_until_something_listens_there(tmp_path: Path) -> None:
    path = tmp_path / "front.sock"
    listen = f"unix:{path}"
    assert why_not(listen) is None
    assert list(tmp_path.iterdir()) == []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(0)
        assert why_not(listen) == TAKEN
        assert why_not(listen) == TAKEN, "also where its queue is full"
    assert why_not(listen) is None, "Twisted removes a dead socket"
    assert path.is_socket()


def test_a_path_that_is_no_socket_is_taken(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    assert why_not(f"unix:{tmp_path / 'notes'}") == "can not be used: a file that is no socket is there"
    assert why_not(f"unix:{tmp_path / 'missing' / 'front.sock'}") == "can not be used: No such file or directory"


# Those of a cluster


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return find_place(write_config(tmp_path / "cluster.toml", orders=2), tmp_path / "data")


def address_of(place: Place, name: str) -> tuple[str, int]:
    url = next(urlsplit(node.url) for node in place.config.nodes if node.name == name)
    assert url.hostname is not None
    assert url.port is not None
    return url.hostname, url.port


def test_every_listener_of_every_node_is_looked_at(place: Place) -> None:
    assert unavailable(place.config) == []
    public = place.config.front(1).publics[1].listen
    port = int(public.split(":")[1])
    with socket.create_server(address_of(place, "order-2")), socket.create_server(("127.0.0.1", port)):
        host, order = address_of(place, "order-2")
        assert unavailable(place.config) == [
            Unavailable("order-2", f"{host}:{order}", TAKEN),
            Unavailable("front-1", f"127.0.0.1:{port}", TAKEN),
        ]


def test_nodes_that_are_not_to_be_started_may_run_elsewhere(place: Place) -> None:
    with socket.create_server(address_of(place, "order-2")):
        assert unavailable(place.config, without=["order-2"]) == []


# What the commands make of it


def test_up_refuses_and_has_touched_nothing(place: Place) -> None:
    host, port = address_of(place, "catalog-1")
    with socket.create_server((host, port)), pytest.raises(CommandFailed) as refused:
        Up(Clock(), place, Wishes(), print)
    said = refused.value.message
    assert refused.value.exit_code == USAGE
    assert f"catalog-1: {host}:{port} is taken" in said
    assert "order-1" not in said
    assert "another store" in said
    assert str(place.config_file) in said
    assert "--config" in said
    assert not place.data_dir.exists()


def test_up_knows_that_it_runs_already_in_this_directory(place: Place) -> None:
    held = lock.take(place.data_dir)
    with (
        held,
        socket.create_server(address_of(place, "order-1")),
        pytest.raises(CommandFailed, match=r"another `toystore up`"),
    ):
        Up(Clock(), place, Wishes(), print)


def test_an_address_that_is_not_ours_is_no_other_store(tmp_path: Path) -> None:
    file = write_config(tmp_path / "cluster.toml", orders=1)
    file.write_text(file.read_text().replace("interface=127.0.0.1", "interface=192.0.2.1"))
    with pytest.raises(CommandFailed, match="Cannot assign requested address") as refused:
        Up(Clock(), find_place(file, tmp_path / "data"), Wishes(), print)
    assert "another store" not in refused.value.message


def test_a_demo_refuses_before_it_makes_a_directory(place: Place, tmp_path: Path) -> None:
    home = tmp_path / "demos"
    with socket.create_server(address_of(place, "order-1")):
        done = CliRunner().invoke(main, ["demo", "--config", str(place.config_file), "--data-dir", str(home)])
    assert (done.exit_code, TAKEN in done.output) == (USAGE, True)
    assert "starting" not in done.output
    assert not home.exists()
