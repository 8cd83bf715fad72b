"""One flipped bit anywhere in the file of a replica: harmless, or noticed; never a wrong answer that a scrub lets pass.

The bits are drawn at random from a seed. `TOYSTORE_SEED=7 pytest tests/contracts/test_storage_flips.py` draws others, and
repeats them.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from twisted.internet.defer import succeed

from tests.contracts.storage_worlds import TOYS, Log, SqliteWorld, everything, result_of, save_and_apply, state_hash
from toystore.consensus.messages import HardState
from toystore.consensus.views import View
from toystore.model import AdjustStock, CancelOrder, SetPrice
from toystore.storage.interface import Rotten, StorageError
from toystore.storage.wal import FRAME_HEADER_BYTES, HEADER_BYTES

SEED = int(os.environ.get("TOYSTORE_SEED", "1"))
pytestmark = pytest.mark.usefixtures("without_syncs")

ORDERS = 150
PAGE = 4096


def grown(world: SqliteWorld) -> Log:
    """Something in every table, on several levels of pages; the log is cut; some free pages."""
    log = Log()
    save_and_apply(world, [log.members("raft", a="u", b="v"), log.command(TOYS)])
    save_and_apply(world, [log.buy("Fox", 1, f"a-key-that-is-longer-than-most-{n:04}") for n in range(ORDERS)])
    save_and_apply(world, [log.command(AdjustStock("Tux", 2 * n)) for n in range(1, 20)])
    save_and_apply(world, [log.command(CancelOrder(n)) for n in range(0, ORDERS, 9)])
    save_and_apply(world, [log.command(SetPrice("Fox", n)) for n in range(1, 20)])
    result_of(world.storage.save(HardState(3, "a", View("R", 0, 1, 1, "a", {"a": "u"}), (2, "R")), ()))
    result_of(world.storage.compact(ORDERS // 2))
    result_of(world.storage.flush())
    return log


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a replica that has ended in order: all is in the database."""
    world = SqliteWorld(tmp_path_factory.mktemp("written"))
    world.open()
    grown(world)
    result_of(world.storage.close())
    assert not (world.directory / "ledger.db-wal").exists()
    return world.directory


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of one that was killed: much is in the write-ahead log only."""
    world = SqliteWorld(tmp_path_factory.mktemp("killed"))
    world.open()
    log = grown(world)
    save_and_apply(world, [log.buy("Tux", 1, "last")])
    result_of(world.storage.flush())
    copied = tmp_path_factory.mktemp("copied") / "killed"
    shutil.copytree(world.directory, copied)
    return copied


def opened(files: Path, place: Path, name: str = "", offset: int = 0, bit: int = 0) -> SqliteWorld:
    """A world over a copy of the files, with this bit of one of them flipped."""
    world = SqliteWorld(place)
    shutil.copytree(files, world.directory)
    if name:
        with (world.directory / name).open("r+b") as file:
            file.seek(offset)
            (byte,) = file.read(1)
            file.seek(offset)
            file.write(bytes([byte ^ (1 << bit)]))
    return world


def answers(world: SqliteWorld) -> dict[str, Any]:
    """What is read, what a retry of an old order gets, and what a new one does."""
    shown = everything(world)
    keys = [order.key for order in shown["orders"]]
    shown["by_key"] = result_of(world.storage.read(lambda reader: [reader.order_with_key(key) for key in keys]))
    shown["uuid"], shown["hash"] = world.storage._opened.uuid, state_hash(world)
    shown["hard_state"], shown["members"] = world.storage._opened.hard_state, world.storage._opened.head.members
    log = Log(term=4)
    log.last, log.at = shown["head"][0], 9_000
    again = [log.buy("Fox", 1, key) for key in (keys[1], keys[70], keys[-1])]
    shown["again"] = save_and_apply(world, [*again, log.command(CancelOrder(71)), log.buy("Tux", 1, "new")])
    info, spool = result_of(world.storage.spool(0))
    shown["snapshot"] = info.sha256
    spool.close()
    return shown


def verdict(files: Path, place: Path, right: Sequence[dict[str, Any]], flip: tuple[str, int, int]) -> str:
    """harmless, or how it was noticed; fails where it was not. `right` are the answers that may be given."""
    world = opened(files, place / "reads", *flip)
    try:
        if world.open().put_aside:
            return "at opening"
        found = answers(world)
    except Rotten:
        return "in reading"
    except StorageError:
        return "refused"
    finally:
        world.close()
    if found in right:
        return "harmless"
    scrubbed = opened(files, place / "scrub", *flip)
    try:
        scrubbed.open()
        with pytest.raises(Rotten):
            result_of(scrubbed.storage.scrub(lambda: succeed(None)))
    finally:
        scrubbed.close()
    return "by the scrub only"


def sweep(files: Path, place: Path, flips: Iterator[tuple[str, int, int]], *others: Path) -> Counter[str]:
    """`others` are files whose answers would be right too."""
    right = []
    for number, source in enumerate((files, *others)):
        unhurt = opened(source, place / f"right-{number}")
        assert unhurt.open().put_aside == ""
        right.append(answers(unhurt))
        unhurt.close()
    verdicts: Counter[str] = Counter()
    for number, flip in enumerate(flips):
        try:
            verdicts[verdict(files, place / str(number), right, flip)] += 1
        except BaseException as error:
            error.add_note(f"bit {flip[2]} of byte {flip[1]} of {flip[0]}; TOYSTORE_SEED={SEED}")
            raise
        shutil.rmtree(place / str(number))
    print(dict(verdicts))
    return verdicts


def anywhere(random: Random, size: int, count: int) -> Iterator[tuple[str, int, int]]:
    for _ in range(count):
        yield "ledger.db", random.randrange(size), random.randrange(8)


def in_the_structure(random: Random, data: bytes, count: int) -> Iterator[tuple[str, int, int]]:
    """In the header of the file, the headers of pages, the places of their cells, and pages that lead to others."""
    offsets = [*range(100), *range(100, 108)]
    for start in range(0, len(data), PAGE):
        header = start + (100 if start == 0 else 0)
        kind, _, cells = struct.unpack(">BHH", data[header : header + 5])
        inner = kind in (2, 5)
        offsets += range(header, header + (12 if inner else 8) + 2 * cells)
        if inner:
            (content,) = struct.unpack(">H", data[header + 5 : header + 7])
            offsets += range(start + content, start + PAGE)
    for _ in range(count):
        yield "ledger.db", random.choice(offsets), random.randrange(8)


@pytest.mark.fault(11)
def test_a_flipped_bit_anywhere(written: Path, tmp_path: Path) -> None:
    verdicts = sweep(written, tmp_path, anywhere(Random(SEED), (written / "ledger.db").stat().st_size, 120))
    assert verdicts["at opening"] > 10
    assert verdicts["in reading"] > 5


@pytest.mark.fault(11)
def test_a_flipped_bit_where_it_changes_what_is_found(written: Path, tmp_path: Path) -> None:
    verdicts = sweep(written, tmp_path, in_the_structure(Random(SEED), (written / "ledger.db").read_bytes(), 120))
    assert verdicts["by the scrub only"] < verdicts["at opening"]


def inner_keys(data: bytes) -> Iterator[int]:
    """The bytes of the keys by which pages of tables lead to others."""
    for start in range(0, len(data), PAGE):
        header = start + (100 if start == 0 else 0)
        kind, _, cells = struct.unpack(">BHH", data[header : header + 5])
        if kind == 5:
            for cell in struct.unpack(f">{cells}H", data[header + 12 : header + 12 + 2 * cells]):
                key = start + cell + 4
                while data[key] & 0x80:
                    yield key
                    key += 1
                yield key


@pytest.mark.fault(11)
def test_a_flipped_bit_in_a_key_that_leads_to_others(written: Path, tmp_path: Path) -> None:
    """Rows may be found out of order: whoever goes on after the last of them would never come to an end."""
    keys = list(inner_keys((written / "ledger.db").read_bytes()))
    verdicts = sweep(written, tmp_path, (("ledger.db", key, bit) for key in keys for bit in (0, 6)))
    assert verdicts["at opening"] > 5


def without_last_transaction(files: Path, place: Path) -> Path:
    """As if the last write had been cut short: of it alone, nobody can say whether it had been synced."""
    shutil.copytree(files, place)
    wal = (place / "ledger.db-wal").read_bytes()
    size = FRAME_HEADER_BYTES + PAGE
    starts = [at for at in range(HEADER_BYTES, len(wal), size) if wal[at + 8 : at + 16] == wal[16:24]]
    commits = [at + size for at in starts if any(wal[at + 4 : at + 8])]
    assert commits[-1] == starts[-1] + size
    (place / "ledger.db-wal").write_bytes(wal[: commits[-2]])
    return place


@pytest.mark.fault(11)
def test_a_flipped_bit_in_the_write_ahead_log(killed: Path, tmp_path: Path) -> None:
    """SQLite would silently go back to what was there before; the last transaction alone may be lost so."""
    random, size = Random(SEED), (killed / "ledger.db-wal").stat().st_size
    flips = [("ledger.db-wal", random.randrange(size), random.randrange(8)) for _ in range(60)]
    heads = [at + random.randrange(24) for at in range(HEADER_BYTES, size, FRAME_HEADER_BYTES + PAGE)]
    flips += [("ledger.db-wal", at, random.randrange(8)) for at in random.sample(heads, 20)]
    flips += [("ledger.db-wal", random.randrange(HEADER_BYTES), random.randrange(8)) for _ in range(5)]
    verdicts = sweep(killed, tmp_path, iter(flips), without_last_transaction(killed, tmp_path / "cut"))
    assert verdicts["at opening"] > 50


@pytest.mark.parametrize("instead", ["zeros", "an older round", "what was aborted"])
def test_what_a_crash_leaves_of_the_last_transaction_is_no_rot(killed: Path, tmp_path: Path, instead: str) -> None:
    """Any of its frames may not have reached the disk; something else may be in their places, and behind."""
    wal = (killed / "ledger.db-wal").read_bytes()
    cut = (without_last_transaction(killed, tmp_path / "cut") / "ledger.db-wal").read_bytes()
    size = FRAME_HEADER_BYTES + PAGE
    first, last = (len(cut) - HEADER_BYTES) // size, (len(wal) - HEADER_BYTES) // size
    assert last - first > 2
    older = bytes(size) if instead == "zeros" else wal[HEADER_BYTES:][:size]
    if instead == "an older round":
        older = older[:8] + bytes(8) + older[16:]
    for lost in range(first, last):
        at = HEADER_BYTES + lost * size
        left = wal[:at] + older + wal[at + size :]
        world = opened(killed, tmp_path / f"world-{lost}")
        (world.directory / "ledger.db-wal").write_bytes(left + wal[HEADER_BYTES + size :][: 6 * size])
        assert world.open().put_aside == "", lost
        world.close()


@pytest.mark.long
@pytest.mark.fault(11)
def test_very_many_flipped_bits(written: Path, tmp_path: Path) -> None:
    random, data = Random(SEED + 1), (written / "ledger.db").read_bytes()
    sweep(written, tmp_path / "any", anywhere(random, len(data), 1000))
    sweep(written, tmp_path / "structure", in_the_structure(random, data, 1000))
