"""Around the supervisor: what it runs, its lock, its socket and what is said over it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.testing import StringTransport

from toystore.supervisor import control, lock
from toystore.supervisor.cluster import NotPossible
from toystore.supervisor.launch import Node, Prefixes, UnknownNode, check_names, leashed, twistd_command

NODES = [Node("order-1", "order", 1, "http://o"), Node("front-1", "front", 1, "http://f")]


# What is run


def test_a_node_is_run_on_a_leash_and_a_prefix_between_two() -> None:
    plain = leashed(["node"], (), 42)
    assert plain[-2:] == ["42", "node"]
    under = leashed(["node"], ("strace", "-f"), 42)
    assert under[len(plain) - 1 :] == ["strace", "-f", *plain[:-2], "0", "node"]


def test_prefixes_are_for_all_or_for_one() -> None:
    prefixes = Prefixes.parse(["nice -n 5", "order-1=strace -o 'a b'", "env X=1"], ["order-1", "front-1"])
    assert prefixes.of("order-1") == ("strace", "-o", "a b")
    assert prefixes.of("front-1") == ("env", "X=1")


def test_the_real_command_names_role_id_and_places() -> None:
    command = twistd_command(Path("/c.toml"), Path("/d"), ["order-1", "order-2"])
    places = ["--config", "/c.toml", "--id", "1", "--data-dir", "/d"]
    assert command(NODES[0])[-7:] == ["toystore-order", *places]
    assert command(NODES[1])[-9:] == ["toystore-front", *places, "--bootstrap", "order-1,order-2"]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownNode, match="no node 'order-9'; this cluster has order-1, front-1"):
        check_names(["order-1", "order-9"], NODES)


# Lock and socket


def test_the_lock_is_for_one(tmp_path: Path) -> None:
    held = lock.take(tmp_path / "new")
    with pytest.raises(lock.AlreadyUp, match=rf"process {os.getpid()}\) runs on"):
        lock.take(tmp_path / "new")
    held.close()
    lock.take(tmp_path / "new").close()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_a_look_at_the_lock_makes_nothing(tmp_path: Path) -> None:
    lock.look(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with lock.take(tmp_path / "new"), pytest.raises(lock.AlreadyUp, match=rf"process {os.getpid()}\) runs on"):
        lock.look(tmp_path / "new")
    lock.look(tmp_path / "new")
    lock.take(tmp_path / "new").close()


def test_the_socket_is_in_the_data_directory_unless_its_path_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert lock.socket_path(Path("/d")) == Path("/d/up.sock")
    deep = Path("/") / ("d" * 120)
    found = lock.socket_path(deep)
    assert found.parent == tmp_path / f"toystore-{os.getuid()}"
    assert found == lock.socket_path(deep) != lock.socket_path(deep / "e")
    found.parent.chmod(0o755)
    with pytest.raises(lock.UnsafeDirectory, match="mode 0700"):
        lock.socket_path(deep)


# Control


def converse(answering: control.Answering, data: bytes) -> bytes:
    receiver = control._Requests(answering)
    transport = StringTransport()
    receiver.makeConnection(transport)
    receiver.dataReceived(data)
    return transport.value()


def test_control_answers_a_line_with_a_line() -> None:
    async def answering(message: dict[str, Any]) -> dict[str, Any]:
        return {"text": message["do"]}

    assert converse(answering, b'{"do": "a"}\n{"do": "b"}\n') == (b'{"ok": true, "text": "a"}\n{"ok": true, "text": "b"}\n')


@pytest.mark.parametrize(
    ("line", "error"), [(b'{"do": "x"}', "not x"), (b"[]", "a request is a JSON object"), (b"{", "not JSON")]
)
def test_control_says_no_in_words(line: bytes, error: str) -> None:
    async def answering(message: dict[str, Any]) -> dict[str, Any]:
        raise NotPossible(f"not {message['do']}")

    answer = converse(answering, line + b"\n")
    assert answer.startswith(b'{"ok": false, "error": "' + error.encode())
