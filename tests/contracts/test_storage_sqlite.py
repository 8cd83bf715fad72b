"""What is special about the SQLite storage: its file, its checksums, its thread, its slices."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from twisted.internet.defer import succeed
from twisted.internet.task import Clock

from tests.contracts.storage_worlds import (
    TOYS,
    Log,
    SqliteWorld,
    everything,
    result_of,
    save_and_apply,
)
from toystore.consensus.messages import HardState
from toystore.model import AdjustStock
from toystore.storage import database
from toystore.storage.database import DataDirInUse
from toystore.storage.interface import Rotten, StorageError
from toystore.storage.sqlite import FLUSH_AFTER, SqliteStorage
from toystore.storage.thread import OwnThread


@pytest.fixture
def world(tmp_path: Path) -> SqliteWorld:
    world = SqliteWorld(tmp_path)
    world.open()
    return world


def fill(world: Any, log: Log | None = None) -> Log:
    """Something in every table."""
    log = log or Log()
    entries = [
        log.members("raft", a="u"),
        log.command(TOYS),
        log.buy("Fox", 3),
        log.buy("Tux", 1),
        log.command(AdjustStock("Fox", 1)),
    ]
    save_and_apply(world, entries)
    result_of(world.storage.save(HardState(2, "a"), ()))
    return log


# The file


def test_the_directory_is_private(world: SqliteWorld) -> None:
    assert stat.S_IMODE(world.directory.stat().st_mode) == 0o700


def test_the_settings_are_those_that_make_a_commit_durable(world: SqliteWorld) -> None:
    asked = {
        name: world.connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "locking_mode")
    }
    assert asked == {"journal_mode": "wal", "synchronous": 2, "locking_mode": "exclusive"}


def test_a_setting_that_is_not_honoured_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(database.PRAGMAS, "synchronous", 17)
    with pytest.raises(StorageError, match="does not honour synchronous"):
        SqliteWorld(tmp_path).open()


def test_a_second_process_is_kept_out(world: SqliteWorld) -> None:
    fill(world)
    with pytest.raises(DataDirInUse, match="another process"):
        result_of(SqliteStorage(world.directory, Clock(), world.storage._jobs).open())
    assert result_of(world.storage.read(lambda r: r.applied())) == 5


def test_a_newer_schema_is_refused(world: SqliteWorld) -> None:
    world.connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="schema 99"):
        world.crash()


def test_the_file_of_another_program_is_refused(tmp_path: Path) -> None:
    world = SqliteWorld(tmp_path)
    world.directory.mkdir()
    with sqlite3.connect(world.directory / "ledger.db") as other:
        other.execute("CREATE TABLE theirs (a)")
    other.close()
    with pytest.raises(StorageError, match="another program"):
        world.open()


def test_upgrades_are_made_in_order(world: SqliteWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(world)
    scripts = tmp_path / "schema"
    scripts.mkdir()
    for script in database.SCHEMA.glob("*.sql"):
        (scripts / script.name).write_text(script.read_text())
    (scripts / "0002_more.sql").write_text("CREATE TABLE more (a); INSERT INTO more VALUES (1);")
    (scripts / "0003_most.sql").write_text("UPDATE more SET a = a + 1;")
    monkeypatch.setattr(database, "SCHEMA", scripts)
    for _ in range(2):
        assert world.crash().applied == 5
        assert world.connection.execute("SELECT a FROM more").fetchall() == [(2,)]


class CountedStatements:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.statements: list[str] = []

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        self.statements.append(sql)
        return self._connection.execute(sql, *parameters)


def test_a_save_is_one_statement(world: SqliteWorld) -> None:
    log = fill(world)
    counted = CountedStatements(world.connection)
    world.storage._opened.connection = counted
    for _ in range(2):
        save_and_apply(world, [log.buy("Fox", 1) for _ in range(20)])
    assert [sql.split()[0] for sql in counted.statements] == ["INSERT", "SELECT", "INSERT", "SELECT"]


def test_a_dropped_log_leaves_no_rows_behind(world: SqliteWorld) -> None:
    fill(world)
    result_of(world.storage.compact(4))
    result_of(world.storage.flush())
    for table in ("log", "digest"):
        assert world.connection.execute(f"SELECT idx FROM {table}").fetchall() == [(5,)]


def test_the_database_of_an_earlier_version_is_brought_up_to_date(world: SqliteWorld) -> None:
    fill(world)
    result_of(world.storage.flush())
    before, uuid = everything(world), world.storage._opened.uuid
    world.connection.execute("DELETE FROM meta WHERE name IN ('counts', 'base')")
    world.connection.execute("PRAGMA user_version = 1")
    recovered = world.crash()
    assert (recovered.put_aside, recovered.uuid, recovered.applied) == ("", uuid, 5)
    assert everything(world) == before
    assert result_of(world.storage.scrub(lambda: succeed(None))) > 20
    assert world.crash().put_aside == ""


# Checksums

FLIPS = {
    "meta": (
        "UPDATE meta SET value = replace(value, '\"term\":2', '\"term\":3') WHERE name = 'hard_state'",
        "hard_state of meta",
    ),
    "head": ("UPDATE meta SET value = replace(value, '\"applied\":5', '\"applied\":4')", "head of meta"),
    "log": ("UPDATE log SET data = replace(data, 'Fox', 'Tux') WHERE idx = 3", "3 of log"),
    "product": ("UPDATE product SET quantity = 1000 WHERE number = 2", "2 of product"),
    "product type": ("UPDATE product SET quantity = 'many' WHERE number = 2", "2 of product"),
    "outcome": ("UPDATE outcome SET request_id = 'other' WHERE idx = 3", "3 of outcome"),
    "last order": ("UPDATE orders SET status = 'cancelled' WHERE number = 1", "1 of orders"),
}


@pytest.mark.fault(11)
@pytest.mark.parametrize(("flip", "row"), FLIPS.values(), ids=FLIPS)
def test_a_broken_row_is_found_at_opening(world: SqliteWorld, flip: str, row: str) -> None:
    fill(world)
    world.connection.execute(flip)
    assert f"row {row}" in world.crash().put_aside


LATER_FLIPS = {
    "order": ("UPDATE orders SET key = 'mine' WHERE number = 0", lambda r: r.order(0), "0 of orders"),
    "order status": ("UPDATE orders SET status = 'lost' WHERE number = 0", lambda r: r.orders(None, 9), "0 of orders"),
    "order lines": ("UPDATE orders SET lines = '[' WHERE number = 0", lambda r: r.orders_from(0, 9), "0 of orders"),
    "change": ("UPDATE change SET value = '999' WHERE idx = 5", lambda r: r.changes_from(5, 0, 9), "5 of change"),
    "digest": ("UPDATE digest SET digest = zeroblob(32) WHERE idx = 4", lambda r: r.digest_at(4), "4 of digest"),
    "log": ("UPDATE log SET term = 7 WHERE idx = 4", lambda r: r.log_from(1, 9), "4 of log"),
    "outcome": (
        "UPDATE outcome SET outcome = replace(outcome, '97', '96') WHERE idx = 3",
        lambda r: r.remembered("request-3"),
        "3 of outcome",
    ),
}


@pytest.mark.fault(11)
@pytest.mark.parametrize(("flip", "query", "row"), LATER_FLIPS.values(), ids=LATER_FLIPS)
def test_a_broken_row_is_found_in_reading(world: SqliteWorld, flip: str, query: Callable[[Any], Any], row: str) -> None:
    fill(world)
    world.connection.execute(flip)
    with pytest.raises(StorageError, match=f"row {row}"):
        result_of(world.storage.read(query))


@pytest.mark.fault(11)
def test_a_broken_row_does_not_reach_a_hash_or_a_snapshot(tmp_path: Path) -> None:
    for number, ask in enumerate((lambda s: s.state_hash(5), lambda s: s.spool(0))):
        world = SqliteWorld(tmp_path / str(number))
        world.open()
        fill(world)
        world.connection.execute("UPDATE orders SET at = at + 1 WHERE number = 0")
        with pytest.raises(StorageError, match="row 0 of orders"):
            result_of(ask(world.storage))


def test_a_gap_in_the_log_is_found_at_opening(world: SqliteWorld) -> None:
    fill(world)
    world.connection.execute("DELETE FROM log WHERE idx = 3")
    assert "gaps" in world.crash().put_aside


# What a scrub sees beside checksums

MISSING = {
    "meta": "DELETE FROM meta WHERE name = 'base'",
    "log": "DELETE FROM log WHERE idx = 3",
    "last of the log": "DELETE FROM log WHERE idx = 5",
    "digest": "DELETE FROM digest WHERE idx = 3",
    "product": "DELETE FROM product WHERE number = 2",
    "order": "DELETE FROM orders WHERE number = 0",
    "last order": "DELETE FROM orders WHERE number = 1",
    "outcome": "DELETE FROM outcome WHERE idx = 3",
    "change": "DELETE FROM change WHERE idx = 5",
    "trigger": "DROP TRIGGER batch_write",
}


@pytest.mark.fault(11)
@pytest.mark.parametrize("loss", MISSING.values(), ids=MISSING)
def test_a_scrub_misses_what_is_not_there(world: SqliteWorld, loss: str) -> None:
    fill(world)
    result_of(world.storage.flush())
    world.connection.execute(loss)
    with pytest.raises(Rotten):
        result_of(world.storage.scrub(lambda: succeed(None)))


@pytest.mark.parametrize("name", ["orders_changed", "sqlite_autoindex_orders_1"])
def test_a_scrub_misses_what_an_index_does_not_lead_to(world: SqliteWorld, name: str) -> None:
    """The row is there and whole; its entry in the index is another one's."""
    fill(world)
    result_of(world.storage.flush())
    ((page, size),) = world.connection.execute(
        "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size WHERE name = ?", (name,)
    )
    result_of(world.storage.close())
    with (world.directory / "ledger.db").open("r+b") as file:
        file.seek((page - 1) * size + 3)
        assert file.read(2) == b"\0\2"  # entries
        file.seek((page - 1) * size + 3)
        file.write(b"\0\1")
    assert world.crash().put_aside == ""
    with pytest.raises(Rotten, match="an index of orders does not lead to all rows from 0 to 1"):
        result_of(world.storage.scrub(lambda: succeed(None)))


def test_a_digest_that_does_not_follow_from_the_log(world: SqliteWorld) -> None:
    """Each row is whole; together they are not."""
    fill(world)
    result_of(world.storage.flush())
    digest = bytes(32)
    world.connection.execute("UPDATE digest SET digest = ?, sum = ? WHERE idx = 4", (digest, crc32(b"4 " + digest)))
    with pytest.raises(Rotten, match="the digest of entry 4 does not follow"):
        result_of(world.storage.scrub(lambda: succeed(None)))


# Quiet


def test_what_was_applied_is_flushed_when_it_is_quiet(world: SqliteWorld) -> None:
    log = fill(world)
    save_and_apply(world, [log.buy("Tux", 1)])
    world.clock.advance(FLUSH_AFTER / 2)
    result_of(world.storage.read(lambda r: r.applied()))
    world.clock.advance(FLUSH_AFTER / 2)
    assert world.connection.execute("SELECT max(number) FROM orders").fetchone() == (1,)
    world.clock.advance(FLUSH_AFTER)
    assert world.connection.execute("SELECT max(number) FROM orders").fetchone() == (2,)
    assert not world.clock.getDelayedCalls()


def test_closing_leaves_nothing_behind(world: SqliteWorld) -> None:
    fill(world)
    result_of(world.storage.close())
    assert not world.clock.getDelayedCalls()
    with pytest.raises(StorageError, match="closed"):
        result_of(world.storage.read(lambda r: r.applied()))


def test_spools_that_were_left_are_removed(world: SqliteWorld) -> None:
    fill(world)
    result_of(world.storage.spool(0))
    world.storage.new_spool().append(b"half")
    assert len(list((world.directory / "spool").iterdir())) == 2
    world.crash()
    assert not list((world.directory / "spool").iterdir())


# The thread


class ThreadReactor(Clock):
    """Calls from threads are gathered until the test lets them happen."""

    def __init__(self) -> None:
        super().__init__()
        self.from_threads: deque[Callable[[], Any]] = deque()
        self.arrived = threading.Semaphore(0)

    def callFromThread(self, call: Callable[..., Any], *arguments: Any) -> None:  # noqa: N802
        self.from_threads.append(lambda: call(*arguments))
        self.arrived.release()

    def let_one_happen(self) -> None:
        assert self.arrived.acquire(timeout=10)
        self.from_threads.popleft()()


def test_the_database_lives_on_a_thread_of_its_own(tmp_path: Path) -> None:
    reactor = ThreadReactor()
    storage = SqliteStorage(tmp_path / "node", reactor)
    opened = storage.open()
    assert not opened.called
    reactor.let_one_happen()
    assert result_of(opened).applied == 0
    log = Log()
    entries = [log.command(TOYS), log.buy("Fox", 1)]
    saved, applied = storage.save(None, entries), storage.apply(entries)
    name = storage.read(lambda r: (threading.current_thread().name, r.next_order_number()))
    failing = storage.read(lambda r: 1 // 0)
    closed = storage.close()
    for _ in range(5):
        reactor.let_one_happen()
    assert (result_of(saved), result_of(name)) == (None, ("storage-node", 1))
    assert len(result_of(applied)) == 2
    with pytest.raises(ZeroDivisionError):
        result_of(failing)
    assert result_of(closed) is None


def test_a_thread_ends_after_the_jobs_before_its_stop() -> None:
    reactor = ThreadReactor()
    thread = OwnThread(reactor, "storage")
    answer = thread.run(lambda: 3)
    thread.stop()
    reactor.let_one_happen()
    assert result_of(answer) == 3
    thread._thread.join(10)
    assert not thread._thread.is_alive()
