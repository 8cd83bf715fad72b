"""What is added to the addresses of the config."""

import pytest

from toystore.ops.addresses import BACKLOG, parse_listen, with_backlog


@pytest.mark.parametrize("text", ["tcp:8080:interface=127.0.0.1", "tcp6:8080", "unix:/run/toystore.sock"])
def test_a_listener_has_room_for_many_who_come_at_once(text: str) -> None:
    with_room = with_backlog(text)
    assert with_room == f"{text}:backlog={BACKLOG}"
    assert parse_listen(with_room) == parse_listen(text)


def test_a_backlog_of_the_config_is_kept() -> None:
    assert with_backlog("tcp:8080:backlog=5") == "tcp:8080:backlog=5"
