"""Where a database goes that is broken, and what an operator may do with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.contracts.storage_worlds import TOYS, Log, result_of
from tests.integration.clusters import write_config
from toystore.cli import main
from toystore.commands import quarantine as command
from toystore.commands.asking import Unanswered
from toystore.commands.place import find_place
from toystore.storage import quarantine as quarantine_module
from toystore.storage.database import DataDirInUse
from toystore.storage.interface import Recovered, StorageError
from toystore.storage.quarantine import FILES, Quarantine
from toystore.storage.sqlite import SqliteStorage
from toystore.storage.thread import Inline


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "order-1"


def ticking() -> Any:
    """A clock that goes on by a second with each look at it."""
    seconds = iter(range(10_000))
    return lambda: datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=next(seconds))


def begin(directory: Path) -> tuple[SqliteStorage, Recovered]:
    storage = SqliteStorage(directory, Clock(), Inline())
    return storage, result_of(storage.open())


def filled(directory: Path) -> str:
    """One order is in it; gives its uuid."""
    storage, found = begin(directory)
    log = Log()
    entries = [log.command(TOYS), log.buy("Fox", 3)]
    result_of(storage.save(None, entries))
    result_of(storage.apply(entries))
    result_of(storage.close())
    return found.uuid


def broken(directory: Path) -> str:
    """The same, and it was put aside; a process that waits to be filled has begun, and ended."""
    uuid = filled(directory)
    Quarantine(directory).condemn(uuid, "row 0 of orders is broken")
    storage, found = begin(directory)
    assert found.applied == 0
    result_of(storage.close())
    return uuid


def test_nothing_is_condemned_at_first(directory: Path) -> None:
    filled(directory)
    quarantine = Quarantine(directory)
    assert (quarantine.sentence(), quarantine.move(), quarantine.kept()) == (None, None, [])


def test_what_is_condemned_is_moved_whole(directory: Path) -> None:
    filled(directory)
    for name in FILES:
        (directory / name).write_text(name)
    quarantine = Quarantine(directory, ticking())
    quarantine.condemn("u1", "row 7 of log is broken")
    moved = quarantine.move()
    assert moved is not None
    assert str(moved) == ("its database was put aside in quarantine/20261121T000000.000000Z-u1: row 7 of log is broken")
    assert {path.name: path.read_text() for path in (directory / moved.place).iterdir()} == {name: name for name in FILES}
    assert not [name for name in FILES if (directory / name).exists()]
    assert Quarantine(directory).move() == moved


@pytest.mark.parametrize("moved", range(len(FILES) + 1))
def test_a_move_that_was_cut_short_is_ended_by_the_next(
    directory: Path, moved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.mkdir()
    for name in FILES:
        (directory / name).write_text(name)
    quarantine = Quarantine(directory, ticking())
    quarantine.condemn("u1", "broken")

    def fail(path: Path) -> None:
        raise OSError("the power failed")

    with monkeypatch.context() as patched:
        patched.setattr(quarantine_module, "FILES", FILES[:moved])
        patched.setattr(quarantine_module, "sync_directory", fail)
        with pytest.raises(StorageError, match="the power failed"):
            quarantine.move()
    sentence = Quarantine(directory).move()
    assert sentence is not None
    assert {path.name for path in (directory / sentence.place).iterdir()} == set(FILES)


def test_a_sentence_that_can_not_be_read_is_no_sentence_that_is_over(directory: Path) -> None:
    filled(directory)
    (directory / "put_aside.json").write_text("{")
    with pytest.raises(StorageError, match="can not be read"):
        begin(directory)


def test_it_is_put_back_as_it_was(directory: Path) -> None:
    uuid = broken(directory)
    place = Quarantine(directory).put_back()
    assert (place / "ledger.db").exists()
    storage, found = begin(directory)
    assert (found.uuid, found.applied, found.put_aside) == (uuid, 2, "")
    result_of(storage.close())


def test_what_is_put_back_is_the_last_that_was_whole(directory: Path) -> None:
    """Not what has been copied since, and was broken too."""
    uuid = broken(directory)
    for _ in range(3):
        Quarantine(directory).condemn("half", "broken again")
        storage, _ = begin(directory)
        result_of(storage.close())
    Quarantine(directory).put_back()
    assert begin(directory)[1].uuid == uuid


def test_nothing_is_put_back_or_lost_while_a_process_has_it(directory: Path) -> None:
    broken(directory)
    storage, _ = begin(directory)
    for act in (Quarantine(directory).put_back, Quarantine(directory).accept_loss):
        with pytest.raises(DataDirInUse):
            act()
    result_of(storage.close())


def test_nor_where_nothing_waits(directory: Path) -> None:
    filled(directory)
    for act in (Quarantine(directory).put_back, Quarantine(directory).accept_loss):
        with pytest.raises(StorageError, match=r"nothing in .* waits"):
            act()


def test_an_accepted_loss_makes_a_new_replica(directory: Path) -> None:
    broken(directory)
    place = Quarantine(directory).accept_loss()
    assert (place / "ledger.db").exists()
    assert begin(directory)[1].put_aside == ""


# The command


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    return ["--config", str(write_config(tmp_path / "c.toml", orders=3)), "--data-dir", str(tmp_path)]


def test_the_command_lists_and_puts_back(options: list[str], directory: Path) -> None:
    uuid = broken(directory)
    listed = CliRunner().invoke(main, ["quarantine", "list", *options])
    assert listed.exit_code == 0
    assert f"order-1: {directory}/quarantine/" in listed.output
    assert "order-1 waits to be filled again: its database was put aside" in listed.output
    back = CliRunner().invoke(main, ["quarantine", "put-back", "order-1", *options])
    assert back.exit_code == 0, back.output
    assert begin(directory)[1].uuid == uuid
    again = CliRunner().invoke(main, ["quarantine", "put-back", "order-2", *options])
    assert (again.exit_code, "nothing in" in again.output) == (1, True)
    assert CliRunner().invoke(main, ["quarantine", "put-back", "front-1", *options]).exit_code == 2


class Says:
    """An Asker whose nodes say this; None is no answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **last_index: int | None) -> None:
        self._last = last_index
        monkeypatch.setattr(command, "Asker", lambda reactor, timeout: self)

    async def get(self, url: str, path: str) -> tuple[int, Any]:
        last = self._last.pop(next(iter(self._last)))
        if last is None:
            raise Unanswered("nothing listens there")
        return 200, {"last_index": last}


@pytest.mark.parametrize(
    ("second", "third", "code"), [(0, 0, 0), (0, 9, 1), (None, 0, 3)], ids=["empty", "one has a ledger", "one is silent"]
)
def test_a_loss_is_accepted_only_where_no_other_can_have_a_copy(
    options: list[str], directory: Path, monkeypatch: pytest.MonkeyPatch, second: int | None, third: int, code: int
) -> None:
    broken(directory)
    Says(monkeypatch, second=second, third=third)
    place = find_place(Path(options[1]), directory.parent)
    results: list[Any] = []
    Deferred.fromCoroutine(command.accept_loss(None, place, "order-1")).addBoth(results.append)
    [result] = results
    assert (result.value.exit_code if isinstance(result, Failure) else result) == code
    assert (Quarantine(directory).sentence() is None) == (code == 0)
