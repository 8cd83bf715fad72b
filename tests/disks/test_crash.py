"""What the model of the disk allows, by hand-made traces."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.disks.choices import all_subsets, choices
from tests.disks.crash import (
    GARBAGE,
    KEPT,
    LOST,
    ZEROS,
    Fate,
    FileSystem,
    Point,
    State,
    choice_text,
    points,
    read_choice,
    tree_of,
)
from tests.disks.recording import COMPILERS, Recording, checked, environment
from tests.disks.trace import (
    BadTrace,
    Create,
    Event,
    FailedSync,
    MakeDirectory,
    Note,
    Rename,
    Seen,
    Sync,
    SyncDirectory,
    Truncate,
    Unlink,
    Write,
    read_trace,
    read_trace_file,
)
from tests.integration.storm.needs import need

BOTH = pytest.mark.parametrize("system", FileSystem)


def last_point(system: FileSystem, *trace: Event, **start: bytes) -> Point:
    *_, point = points(trace, system, start)
    return point


def trees(system: FileSystem, *trace: Event, **start: bytes) -> list[dict[str, bytes | None]]:
    """All that may be found after the trace where no write is torn."""
    point = last_point(system, *trace, **start)
    found = {state.key(): dict(state.tree) for state in map(point.state, all_subsets(point))}
    return list(found.values())


# Contents


@BOTH
def test_what_is_synced_is_there(system: FileSystem) -> None:
    trace = Seen(1, "f"), Write(1, 1, b"bc"), Sync(1), Truncate(1, 2), Sync(1)
    assert trees(system, *trace, f=b"___") == [{"f": b"_b"}]


@BOTH
def test_any_subset_of_what_is_not_may_be(system: FileSystem) -> None:
    trace = Seen(1, "f"), Write(1, 0, b"a"), Write(1, 2, b"c"), Note(b"")
    assert sorted(tree["f"] for tree in trees(system, *trace, f=b"___")) == [b"___", b"__c", b"a__", b"a_c"]


@BOTH
def test_a_sync_is_that_of_one_file(system: FileSystem) -> None:
    trace = Seen(1, "f"), Seen(2, "g"), Write(1, 0, b"a"), Write(2, 0, b"b"), Sync(2)
    assert sorted(tree["f"] for tree in trees(system, *trace, f=b"_", g=b"_")) == [b"_", b"a"]
    assert {tree["g"] for tree in trees(system, *trace, f=b"_", g=b"_")} == {b"b"}


@BOTH
def test_a_later_write_lies_over_an_earlier_one(system: FileSystem) -> None:
    trace = Seen(1, "f"), Write(1, 0, b"aa"), Write(1, 1, b"bb")
    assert sorted(tree["f"] for tree in trees(system, *trace, f=b"___")) == [b"___", b"_bb", b"aa_", b"abb"]


@BOTH
def test_what_lies_between_is_zeros(system: FileSystem) -> None:
    trace = Seen(1, "f"), Write(1, 0, b"a"), Write(1, 2, b"c")
    assert sorted(tree["f"] for tree in trees(system, *trace, f=b"")) == [b"", b"\0\0c", b"a", b"a\0c"]


def test_a_torn_write_keeps_whole_sectors() -> None:
    point = last_point(FileSystem.POSIX, Seen(1, "f"), Write(1, 510, b"b" * 516), f=b"a" * 1024)
    found = [point.state((Fate(True, 512, mask),)).tree["f"] for mask in (0b001, 0b010, 0b100)]
    assert found == [
        b"a" * 510 + b"bb" + b"a" * 512,
        b"a" * 512 + b"b" * 512,
        b"a" * 1024 + b"bb",
    ]  # fmt: skip


def test_a_file_may_have_grown_over_anything() -> None:
    point = last_point(FileSystem.POSIX, Seen(1, "f"), Write(1, 0, b"bcd"), f=b"a")
    assert [point.state((fate,)).tree["f"] for fate in (ZEROS, GARBAGE)] == [b"a\0\0", b"a\xa5\xa5"]


@BOTH
def test_after_a_failed_sync_no_later_one_helps(system: FileSystem) -> None:
    trace = Seen(1, "f"), Write(1, 0, b"a"), FailedSync(1), Write(1, 2, b"c"), Sync(1)
    assert sorted(tree["f"] for tree in trees(system, *trace, f=b"___")) == [b"__c", b"a_c"]


# Names

NEW_FILE = MakeDirectory("d"), Create(1, "d/f"), Write(1, 0, b"a"), Sync(1)


def test_by_posix_the_sync_of_a_file_does_not_keep_its_name() -> None:
    found = trees(FileSystem.POSIX, *NEW_FILE)
    assert sorted(map(sorted, found)) == [[], ["d"], ["d", "d/f"]]
    assert {tree["d/f"] for tree in found if "d/f" in tree} == {b"a"}


def test_a_synced_name_below_one_that_is_not_may_be_gone() -> None:
    assert trees(FileSystem.POSIX, *NEW_FILE, SyncDirectory("d")) == [{}, {"d": None, "d/f": b"a"}]
    assert trees(FileSystem.POSIX, *NEW_FILE, SyncDirectory("d"), SyncDirectory("")) == [{"d": None, "d/f": b"a"}]


def test_by_ext4_it_keeps_all_names() -> None:
    assert trees(FileSystem.EXT4, *NEW_FILE) == [{"d": None, "d/f": b"a"}]


def test_a_sync_that_changes_no_length_commits_no_names() -> None:
    trace = Seen(1, "f"), Create(2, "g"), Write(1, 0, b"b"), Sync(1)
    assert trees(FileSystem.EXT4, *trace, f=b"a") == [{"f": b"b"}, {"f": b"b", "g": b""}]


def test_by_ext4_names_are_kept_in_order() -> None:
    trace = Create(1, "a"), Create(2, "b"), Unlink("a")
    assert sorted(map(sorted, trees(FileSystem.EXT4, *trace))) == [[], ["a"], ["a", "b"], ["b"]]
    assert sorted(map(sorted, trees(FileSystem.EXT4, *trace[:2]))) == [[], ["a"], ["a", "b"]]
    assert sorted(map(sorted, trees(FileSystem.POSIX, *trace[:2]))) == [[], ["a"], ["a", "b"], ["b"]]


@BOTH
def test_a_rename_is_kept_or_lost_as_one(system: FileSystem) -> None:
    trace = Create(1, "n"), Write(1, 0, b"new"), Sync(1), Rename("n", "f")
    assert {tree["f"] for tree in trees(system, *trace, f=b"old")} == {b"old", b"new"}
    assert trees(system, *trace, SyncDirectory(""), f=b"old") == [{"f": b"new"}]


@BOTH
def test_a_name_that_is_made_anew_is_another_file(system: FileSystem) -> None:
    trace = Seen(1, "f"), Write(1, 0, b"b"), Unlink("f"), Create(2, "f"), SyncDirectory("")
    assert trees(system, *trace, f=b"a") == [{"f": b""}]


def test_a_move_to_another_directory_is_not_modelled() -> None:
    with pytest.raises(BadTrace, match="moves to another directory"):
        last_point(FileSystem.POSIX, Rename("a", "d/a"))


# Choices


def test_a_choice_is_read_as_it_was_written() -> None:
    choice = (KEPT, KEPT, KEPT, LOST, Fate(True, 512, 0x1E), ZEROS, Fate(True, 4096, 1), Fate(True, 4096, 1), GARBAGE, KEPT)
    assert choice_text(choice) == "+3,-,s512.1e,z,s4096.1,s4096.1,g,+"
    assert read_choice(choice_text(choice)) == choice
    assert read_choice("") == ()
    with pytest.raises(ValueError, match="none of"):
        read_choice("t12")


@BOTH
def test_choices_begin_with_none_all_and_only_the_last(system: FileSystem) -> None:
    point = last_point(system, Seen(1, "f"), *(Write(1, n, b"%d" % n) for n in range(4)), f=b"____")
    stream = choices(point, Random(1))
    first = [point.state(choice).tree["f"] for choice, _ in zip(stream, range(40), strict=False)]
    assert first[:3] == [b"____", b"0123", b"___3"]
    assert len(set(first)) == 16  # every subset of a few
    assert {b"0___", b"01__", b"012_", b"_123", b"0_23", b"_1__"} <= set(first)


def test_the_same_seed_draws_the_same() -> None:
    point = last_point(FileSystem.POSIX, Seen(1, "f"), *(Write(1, n * 700, b"x" * 900) for n in range(20)), f=b"")

    def drawn(seed: int) -> list[str]:
        return [choice_text(choice) for choice, _ in zip(choices(point, Random(seed)), range(200), strict=False)]

    assert drawn(1) == drawn(1) != drawn(2)


def test_where_nothing_waits_there_is_one_choice() -> None:
    assert list(choices(last_point(FileSystem.POSIX, Create(1, "f"), SyncDirectory("")), Random(1))) == [()]


def test_a_state_has_a_key_of_its_own() -> None:
    trees = [{}, {"d": None}, {"d": b""}, {"d": b"a"}, {"e": b"a"}, {"d": b"a", "e": b""}]
    assert len({State(tree).key() for tree in trees}) == len(trees)


# The recorder

PROGRAM = """
import os, pathlib
os.chdir(DIRECTORY)
d = pathlib.Path("d"); d.mkdir()
with open("d/f", "xb", buffering=0) as f:
    f.write(b"first"); f.write(b"second"); os.pwrite(f.fileno(), b"F", 0); os.ftruncate(f.fileno(), 8); os.fsync(f.fileno())
with open("old", "ab", buffering=0) as f:
    f.write(b"more"); os.fdatasync(f.fileno())
with open("old", "wb", buffering=0) as f:
    f.write(b"new")
here = os.open("d", os.O_RDONLY); os.fsync(here)
os.rename("f", "g", src_dir_fd=here, dst_dir_fd=here)
os.unlink(d / "g")
with open("/tmp/elsewhere", "wb") as f:
    f.write(b"not ours"); os.fsync(f.fileno())
os.mkdir("e"); os.rmdir("e")
"""


def recorded(tmp_path: Path, program: str) -> Recording:
    directory = (tmp_path / "disk").resolve()
    directory.mkdir()
    (directory / "old").write_bytes(b"old")
    start, program = tree_of(directory), program.replace("DIRECTORY", repr(str(directory)))
    variables = os.environ | environment(directory, tmp_path / "trace")
    subprocess.run([sys.executable, "-S", "-c", program], env=variables, check=True)
    return checked(Recording(read_trace_file(tmp_path / "trace"), start), directory)


@pytest.fixture(autouse=True, scope="module")
def _compiler() -> None:
    need(*COMPILERS)


def test_everything_is_recorded_in_its_order(tmp_path: Path) -> None:
    trace = list(recorded(tmp_path, PROGRAM).trace)
    makes_and_removes = trace[-2:]
    assert trace[:-2] == [
        MakeDirectory("d"),
        Create(1, "d/f"),
        Write(1, 0, b"first"),
        Write(1, 5, b"second"),
        Write(1, 0, b"F"),
        Truncate(1, 8),
        Sync(1),
        Seen(2, "old"),
        Write(2, 3, b"more"),
        Sync(2),
        Truncate(2, 0),
        Write(2, 0, b"new"),
        SyncDirectory("d"),
        Rename("d/f", "d/g"),
        Unlink("d/g"),
    ]
    assert [event.path for event in makes_and_removes] == ["e", "e"]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("os.writev(f, [b'a'])", "writev"),
        ("os.posix_fallocate(f, 0, 10)", "fallocate"),
        ("os.sendfile(f, os.open('old', os.O_RDONLY), 0, 3)", "sendfile"),
        ("import mmap; os.ftruncate(f, 10); mmap.mmap(f, 10)", "mmap"),
        ("os.rename('f', '/tmp/toystore-moved-out') or os.unlink('/tmp/toystore-moved-out')", "rename"),
    ],
)
def test_what_the_recorder_does_not_cover_is_no_trace(tmp_path: Path, call: str, name: str) -> None:
    program = f"import os\nos.chdir(DIRECTORY)\nf = os.open('f', os.O_RDWR | os.O_CREAT)\n{call}"
    with pytest.raises(BadTrace, match=f"{name}.*does not cover"):
        recorded(tmp_path, program)


def test_a_trace_that_misses_something_is_noticed(tmp_path: Path) -> None:
    recording = recorded(tmp_path, PROGRAM)
    with pytest.raises(BadTrace, match="missed something: d/f, old are"):
        checked(Recording(recording.trace[:10], recording.start), tmp_path / "disk")


@pytest.mark.parametrize("length", [0, 4, 9, 20, 35])
def test_a_trace_that_was_cut_is_noticed(tmp_path: Path, length: int) -> None:
    recorded(tmp_path, PROGRAM)
    with pytest.raises(BadTrace):
        read_trace((tmp_path / "trace").read_bytes()[:length])
