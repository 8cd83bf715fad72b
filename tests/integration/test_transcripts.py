"""What customers of each dialect type, and what comes back, is what docs/transcripts says."""

from __future__ import annotations

import difflib
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.integration.clusters import surroundings
from tests.test_behaviours import ROWS
from tests.transcripts import stage
from tests.transcripts.script import masked, played, rows_in
from tests.transcripts.stage import CLUSTERS, SCRIPTS, kept_here, play

SEEN = {
    "toys": {"C1", "C6", "Q1", "Q2", "O1", "O2", "O3", "O4", "O13", "G1", "G2", "G5", "K1", "K2", "E2", "F1", "F2", "P7"},
    "trader": {"C2", "Q3", "O6", "O7", "O10", "G3", "G5", "F3"},
    "bazaar": {"C4", "Q4", "O8", "O9", "O10", "G4", "G5", "K3", "E4", "F5"},
    "flask": {"C5", "C6", "Q5", "O11", "K4", "E5"},
    "books": {"C3", "Q6", "Q7", "Q8", "Q9", "Q10", "O12", "A1", "A2", "A3", "A4", "K6", "H1", "H2", "H3", "E6", "F4", "X8"},
    "v1": {"G5", "O10"},
}
"""The rows that customers of a dialect can see."""


@pytest.mark.row("C1", "C2", "C3", "C4", "C5", "C6")
@pytest.mark.row("Q1", "Q2", "Q3", "Q4", "Q5", "Q6", "Q7", "Q8", "Q9", "Q10")
@pytest.mark.row("O1", "O2", "O3", "O4", "O6", "O7", "O8", "O9", "O10", "O11", "O12", "O13")
@pytest.mark.row("G1", "G2", "G3", "G4", "G5", "A1", "A2", "A3", "A4", "K1", "K2", "K3", "K4", "K6")
@pytest.mark.row("E2", "E4", "E5", "E6", "F1", "F2", "F3", "F4", "F5", "H1", "H2", "H3", "P7", "X8")
@pytest.mark.fault(8)
@pytest.mark.parametrize("dialect", CLUSTERS)
def test_a_dialect_answers_as_its_transcript_shows(dialect: str, tmp_path: Path) -> None:
    assert shutil.which("curl"), "the lines of a transcript need curl"
    recorded = (SCRIPTS / f"{dialect}.txt").read_text()
    found = play(dialect, tmp_path)
    diff = "\n".join(difflib.unified_diff(recorded.splitlines(), found.splitlines(), "recorded", "found", lineterm=""))
    assert found == recorded, f"if this is meant: python -m tests.transcripts {dialect}\n{diff}"


@pytest.mark.parametrize("dialect", CLUSTERS)
def test_a_transcript_shows_every_row_of_its_dialect(dialect: str) -> None:
    shown = rows_in((SCRIPTS / f"{dialect}.txt").read_text())
    assert SEEN[dialect] <= shown <= set(ROWS)


def test_a_slip_in_a_line_reaches_no_other_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nowhere:
        nowhere.settimeout(10)
        monkeypatch.setattr(stage, "NOWHERE", f"http://127.0.0.1:{nowhere.getsockname()[1]}")
        for address in ("order-2", "http://elsewhere.invalid/x"):
            with subprocess.Popen(["curl", "-s", "-m", "5", address], env=kept_here(surroundings(), tmp_path)):
                connection, _ = nowhere.accept()
                assert connection.recv(100).startswith(b"GET http://")
                connection.close()


def test_what_is_another_thing_each_time_is_hidden() -> None:
    assert masked(
        [
            "HTTP/1.1 200 OK",
            "Date: Sat, 21 Nov 2026 11:17:23 GMT",
            "Toystore-Index: 7",
            "Idempotency-Key: my-first",
            "Content-Length: 70",
            "",
            '{"data":{"leader":"127.0.0.1:9721","at":17,"version":3,"quantity":4}}',
            "HTTP/1.1 200 OK",
            "Idempotency-Key: 0123456789abcdef01234567",
            "Content-Length: 21",
            "",
            '{"data":{"leader":0}}',
        ]
    ) == [
        "HTTP/1.1 200 OK",
        "Date: *",
        "Toystore-Index: *",
        "Idempotency-Key: my-first",
        "Content-Length: *",
        "",
        '{"data":{"leader":*,"at":*,"version":*,"quantity":4}}',
        "HTTP/1.1 200 OK",
        "Idempotency-Key: *",
        "Content-Length: 21",
        "",
        '{"data":{"leader":0}}',
    ]


def test_a_transcript_that_is_played_again_is_the_same() -> None:
    def run(command: str) -> str:
        return f"{command[5:]}\n\n$ x\n"

    once = played("# Q1 one\n# and more\n$ echo 1\n# Q2 two\n$ echo 2\n$ echo 3", run)
    printed = "    {}\n\n    $ x\n"
    first, others = printed.format(1), f"{printed.format(2)}$ echo 3\n{printed.format(3)}"
    assert once == f"# Q1 one\n# and more\n$ echo 1\n{first}\n# Q2 two\n$ echo 2\n{others}"
    assert played(once, run) == once
