"""The front end's log of leaders."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from twisted.internet.task import Clock

from tests.support.front import advance
from tests.support.services import FakeLedger, FakeOrderService
from tests.support.stocks import log_lines
from toystore.frontend.leader_log import LeaderLog, append_row
from toystore.frontend.search import LeaderSearch
from toystore.storage.thread import Inline

IDS = {"order-1": 1, "order-2": 2, "order-3": 3}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "front-1" / "Front_end_log" / "Front_end_log.csv"


class Replicas:
    """Three order replicas, and a front end that looks for the leader and notes what it finds."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        ledger = FakeLedger()
        self.nodes = [FakeOrderService(name, ledger, self.clock) for name in IDS]
        self.search = LeaderSearch(self.nodes, self.clock, Random(1))
        self.search.on_term = LeaderLog(path, IDS, Inline()).note

    def lead(self, id_: int, term: int) -> None:
        """This one leads from now on, until all have noticed."""
        for node in self.nodes:
            node.leads, node.term, node.hint = node.node == f"order-{id_}", term, f"order-{id_}"
        advance(self.clock, 5)


@pytest.mark.row("F2", "T4")
def test_a_row_for_each_leader_of_each_term(path: Path) -> None:
    replicas = Replicas(path)
    replicas.search.start()
    for id_, term in ((3, 1), (3, 1), (2, 2), (2, 4), (3, 5)):
        replicas.lead(id_, term)
    assert path.read_bytes() == b"3,1\r\n2,2\r\n2,4\r\n3,5\r\n"


@pytest.mark.row("F2")
@pytest.mark.fault(11)
def test_a_restart_repeats_no_row_and_takes_off_what_was_torn(path: Path) -> None:
    append_row(path, b"3,1\r\n")
    append_row(path, b"3,1\r\n")
    assert path.read_bytes() == b"3,1\r\n"
    with path.open("ab") as file:
        file.write(b"2,")
    append_row(path, b"3,1\r\n")
    append_row(path, b"2,2\r\n")
    append_row(path, b"3,1\r\n")
    assert path.read_bytes() == b"3,1\r\n2,2\r\n3,1\r\n"


def test_the_last_row_is_found_at_the_end_of_a_long_file(path: Path) -> None:
    for term in range(1, 60):
        append_row(path, b"1,%d\r\n" % term)
    append_row(path, b"1,59\r\n")
    append_row(path, b"11,59\r\n")
    assert path.read_bytes().splitlines()[57:] == [b"1,58", b"1,59", b"11,59"]


def test_a_file_that_can_not_be_written_is_told_and_stops_nothing(path: Path) -> None:
    path.mkdir(parents=True)
    replicas = Replicas(path)
    replicas.search.start()
    with log_lines() as lines:
        replicas.lead(3, 1)
    assert replicas.search.leader is replicas.nodes[2]
    assert any("could not be noted" in line and str(path) in line for line in lines)
