"""What is on the disk, and when: the disk that forgets, and the order of sync and answer as the kernel saw it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.clusters import Clusters, fetch
from tests.integration.storm import disk
from tests.integration.storm.needs import need
from tests.integration.storm.trace import Call, read_trace, synced_before

# The disk that forgets

WRITER = """
import os, sys
path, how = sys.argv[1:]
fd = os.open(path, os.O_RDWR | os.O_CREAT)
os.write(fd, b"first ")
os.pwrite(fd, b"second" + b"." * 10_000, 6)
os.ftruncate(fd, 12)
assert os.pread(fd, 100, 0) == b"first second", os.pread(fd, 100, 0)
assert (os.fstat(fd).st_size, os.stat(path).st_size, os.lseek(fd, 0, os.SEEK_END)) == (12, 12, 12)
os.ftruncate(fd, 14)
assert os.pread(fd, 100, 6) == b"second\\0\\0", os.pread(fd, 100, 6)
if how == "synced":
    os.fdatasync(fd)
    os.pwrite(fd, b"FIRST", 0)
    os.ftruncate(fd, 3)
os.lseek(fd, 0, os.SEEK_SET)
assert os.read(fd, 5) == {"synced": b"FIR", "unsynced": b"first"}[how]
print("written", flush=True)
sys.stdin.read()
"""

BANK = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA locking_mode = exclusive")
db.execute("PRAGMA journal_mode = wal")
db.execute(f"PRAGMA synchronous = {sys.argv[2]}")
db.execute("PRAGMA wal_autocheckpoint = 20")
db.execute("CREATE TABLE IF NOT EXISTS t (a INTEGER, b BLOB)")
for a in range(200):
    db.execute("INSERT INTO t VALUES (?, zeroblob(3000))", (a,))
assert db.execute("SELECT count(*), sum(a) FROM t").fetchone() == (200, 19900)
print("written", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need(*disk.COMPILERS)
    return disk.build(tmp_path_factory.mktemp("shim"))


def run_until_killed(shim: Path, directory: Path, program: str, *arguments: str, lie: bool = False) -> None:
    """Run a Python program on a forgetful disk until it says `written`, and kill it."""
    surroundings = {**os.environ, **disk.environment(shim, directory, lie)}
    command = [sys.executable, "-S", "-c", program, *arguments]
    with subprocess.Popen(command, env=surroundings, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        said = running.stdout.readline()
        running.send_signal(signal.SIGKILL)
    assert said == "written\n"


def test_what_was_not_synced_is_gone(shim: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    run_until_killed(shim, tmp_path, WRITER, str(file), "unsynced")
    assert file.read_bytes() == b""


def test_what_was_synced_is_there(shim: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    run_until_killed(shim, tmp_path, WRITER, str(file), "synced")
    assert file.read_bytes() == b"first second\0\0"


def test_what_lies_elsewhere_is_left_alone(shim: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    run_until_killed(shim, tmp_path / "elsewhere", WRITER, str(file), "unsynced")
    assert file.read_bytes() == b"first second\0\0"


@pytest.mark.parametrize(
    ("synchronous", "lie", "left"),
    [("full", False, 200), ("off", False, 0), ("full", True, 0)],
    ids=["full", "off", "lying"],
)
def test_a_database_has_what_it_has_synced(shim: Path, tmp_path: Path, synchronous: str, lie: bool, left: int) -> None:
    """SQLite's write-ahead log and checkpoints live on such a disk; without a sync nothing is left of them."""
    file = tmp_path / "bank.db"
    run_until_killed(shim, tmp_path, BANK, str(file), synchronous, lie=lie)
    with sqlite3.connect(file) as db:
        tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        rows = db.execute("SELECT count(*) FROM t").fetchone()[0] if tables else 0
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert rows == left


# The order of sync and answer

KEY = "order-under-trace"


def traced(*lines: str) -> list[Call]:
    return read_trace("\n".join(f"7 {line}" for line in lines))


WAL_WRITE = f'1.000 pwrite64(5</d/order-1/ledger.db-wal>, "..{KEY}..", 4096, 32) = 4096 <0.001>'


def test_a_trace_is_read_with_its_interrupted_calls() -> None:
    calls = traced(
        WAL_WRITE,
        "1.002 fdatasync(5</d/order-1/ledger.db-wal> <unfinished ...>",
        '1.003 sendto(9<socket:[1]>, "x", 1, 0, NULL, 0) = 1 <0.001>',
        "1.004 <... fdatasync resumed>) = 0 <0.002>",
    )
    assert [(call.name, call.begin) for call in calls] == [
        ("pwrite64", 1.0), ("sendto", 1.003), ("fdatasync", 1.002),
    ]  # fmt: skip
    assert calls[-1].end == pytest.approx(1.004)
    assert calls[-1].file == "/d/order-1/ledger.db-wal"


@pytest.mark.parametrize(
    ("sync", "synced"),
    [
        ("1.002 fdatasync(5</d/order-1/ledger.db-wal>) = 0 <0.001>", True),
        ("0.900 fdatasync(5</d/order-1/ledger.db-wal>) = 0 <0.001>", False),
        ("1.002 fdatasync(5</d/order-1/ledger.db-wal>) = 0 <0.100>", False),
        ("1.002 fdatasync(5</d/order-1/ledger.db-wal>) = -1 EIO (Input/output error) <0.001>", False),
        ("1.002 fdatasync(6</d/order-1/other>) = 0 <0.001>", False),
    ],
    ids=["between", "before the write", "after the answer", "failed", "of another file"],
)
def test_only_a_sync_between_write_and_answer_counts(sync: str, synced: bool) -> None:
    assert (synced_before(traced(WAL_WRITE, sync), KEY, 1.05) is not None) is synced


@pytest.mark.fault(11)
def test_a_buy_is_on_the_disks_of_a_majority_before_it_is_answered(clusters: Clusters, tmp_path: Path) -> None:
    """As the kernel saw it: in at least two replicas, the entry was written to the database's log and the sync of that
    had ended before the leader's answer left it."""
    need("strace")
    cluster = clusters(orders=3, catalogs=1, dialects=("v1",))
    calls = "trace=pwrite64,fsync,fdatasync,recvfrom,read,sendto,write,writev,sendmsg"
    prefixes = [
        option
        for id_ in (1, 2, 3)
        for option in (
            "--prefix",
            f"order-{id_}=strace -f --seccomp-bpf -ttt -T -y -s 20000 -e {calls} -o {tmp_path}/order-{id_}",
        )
    ]
    cluster.start(*prefixes, seconds=60)
    order = {"side": "buy", "lines": [{"name": "Fox", "quantity": 3}]}
    assert fetch(f"{cluster.url()}/v1/orders", order, Idempotency_Key=KEY)[0] == 201
    leader = cluster.leader()
    assert cluster.stop() == 0

    traces = {f"order-{id_}": read_trace((tmp_path / f"order-{id_}").read_text()) for id_ in (1, 2, 3)}
    asked = next(call for call in traces[leader] if call.receives and "POST /ledger" in call.text and KEY in call.text)
    answer = next(call for call in traces[leader] if call.sends and '\\"answer\\"' in call.text and KEY in call.text)
    assert asked.end < answer.begin
    synced = {name: synced_before(trace, KEY, answer.begin) for name, trace in traces.items()}
    ends = {name: sync.end for name, sync in synced.items() if sync is not None}
    assert len(ends) >= 2, synced
    assert all(asked.begin < end < answer.begin for end in ends.values())
