"""The states in which a power failure may leave a disk: a model of what a sync promises, and of what it does not.

What is done to files waits in memory until it is synced. A power failure keeps any part of what waits: each write is kept
or not, whatever was written before or after it, to this file or another.

- A write may be torn: of its sectors (512 or 4096 bytes, aligned in the file) any set is kept; a sector is never mixed.
- A write beyond the end of a file may leave the length alone, and under it zeros, or whatever lay on the disk before.
- Names (a file or directory made, renamed, removed) wait like writes, for the sync of the directory that has them. A
  rename within a directory is kept or lost as one. What is below a directory whose name is lost is lost.
- A sync of a file keeps all of its writes and its length. Of a failed sync nothing is kept; and as Linux forgets what it
  could not write, what it covered is kept or not even after later syncs that succeed (Rebello et al., "Can Applications
  Recover from fsync Failures?", USENIX ATC 2020), while the program goes on reading it from memory.

Two file systems differ in what else they promise:

POSIX  names and contents have nothing to do with each other: after a sync of the file, its name may still be lost.
       Names in one directory are kept in any combination. (Pillai et al., OSDI 2014, section 3, "persistence properties".)
EXT4   changes of names and lengths are in one journal: what is kept of them is what was done up to some moment. A sync
       of a file commits that journal, with all names, where the file's name or length has changed in it. Contents of other
       files still wait (delayed allocation). All these states are POSIX states too; drawn for their own sake, they are
       those that will be seen.

Not modelled: sectors that go bad later, writes of half a sector, a lying drive (tests leave syncs out of a trace for that).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path, PurePosixPath

from attrs import define, evolve, field, frozen

from tests.disks.trace import (
    BadTrace,
    Create,
    Event,
    FailedSync,
    MakeDirectory,
    Note,
    RemoveDirectory,
    Rename,
    Seen,
    Sync,
    SyncDirectory,
    Truncate,
    Unlink,
    Write,
)

DIRECTORY = -1
"""In the place of the number of a file."""

Change = Write | Truncate | Create | Unlink | Rename | MakeDirectory | RemoveDirectory
Names = dict[str, int]


class FileSystem(enum.Enum):
    POSIX = "posix"
    EXT4 = "ext4"


@frozen
class Pending:
    """A change that need not be on the disk; `settled`: it is, but something before it in the same file need not be."""

    change: Change
    settled: bool = False
    forgotten: bool = False
    """A sync that covered it has failed: no later one settles it."""
    grows: bool = False
    """It is a write beyond the end of the file."""

    def of(self) -> int | str:
        """The file whose contents it changes, or the directory whose names."""
        change = self.change
        return change.file if isinstance(change, Write | Truncate) else directory_of(change)


@frozen
class Fate:
    """What becomes of one pending change: kept whole, lost, or (`sector` > 0) only those sectors whose bit is set in
    `mask`, the first being bit 0; or (`only_length`) of a write that grows a file the length, over `zeros` or garbage."""

    kept: bool
    sector: int = 0
    mask: int = 0
    only_length: bool = False
    zeros: bool = True

    def __str__(self) -> str:
        if self.only_length:
            return "z" if self.zeros else "g"
        if self.sector:
            return f"s{self.sector}.{self.mask:x}"
        return "+" if self.kept else "-"


KEPT, LOST = Fate(True), Fate(False)
ZEROS, GARBAGE = Fate(True, only_length=True), Fate(True, only_length=True, zeros=False)
_FATES = {str(fate): fate for fate in (KEPT, LOST, ZEROS, GARBAGE)}

Choice = tuple[Fate, ...]
"""One fate for each pending change of a point, in order; those of settled ones are KEPT."""


def choice_text(choice: Choice) -> str:
    """Such as `+3,-,s512.1e`: three kept, one lost, one of which sectors 1 to 4 are kept."""
    runs = [(str(fate), len(list(run))) for fate, run in groupby(choice)]
    return ",".join(f"{text}{count}" if count > 1 and text in _FATES else ",".join([text] * count) for text, count in runs)


def read_choice(text: str) -> Choice:
    """Raises ValueError."""
    return tuple(fate for part in text.split(",") if part for fate in _read_run(part))


def _read_run(text: str) -> Choice:
    if text[0] in _FATES:
        return (_FATES[text[0]],) * int(text[1:] or 1)
    return (_read_fate(text),)


def _read_fate(text: str) -> Fate:
    size, dot, mask = text.removeprefix("s").partition(".")
    if not (text.startswith("s") and dot):
        raise ValueError(f"{text!r} is none of +, -, z, g, s512.<hex mask>, s4096.<hex mask>")
    return Fate(True, int(size), int(mask, 16))


@frozen
class State:
    """What is found after the failure: files by path with their bytes, directories with None."""

    tree: Mapping[str, bytes | None]

    def key(self) -> int:
        """In this process: the same for the same names and bytes, and for others once in 2**64."""
        return hash(frozenset(self.tree.items()))

    def lay(self, directory: Path) -> None:
        """Into a directory that is there and empty."""
        for path in sorted(self.tree):
            data = self.tree[path]
            if data is None:
                (directory / path).mkdir()
            else:
                (directory / path).write_bytes(data)


def tree_of(directory: Path) -> dict[str, bytes | None]:
    """What is below a directory, as a State has it."""
    found = sorted(directory.rglob("*"))
    return {str(path.relative_to(directory)): None if path.is_dir() else path.read_bytes() for path in found}


@frozen
class Point:
    """A moment after the first `events` of a trace: what is on the disk, and what waits."""

    events: int
    contents: Mapping[int, bytes] = field(repr=False)
    names: Mapping[str, int] = field(repr=False)
    pending: tuple[Pending, ...] = field(repr=False)
    file_system: FileSystem = FileSystem.POSIX

    def state(self, choice: Choice) -> State:
        if len(choice) != len(self.pending):
            raise ValueError(f"{len(choice)} fates for {len(self.pending)} pending changes")
        names, changed = dict(self.names), {}
        for pending, fate in zip(self.pending, choice, strict=True):
            change = pending.change
            if not (fate.kept or pending.settled):
                continue
            if isinstance(change, Write | Truncate):
                content = changed.get(change.file)
                if content is None:
                    content = changed[change.file] = bytearray(self.contents.get(change.file, b""))
                _put(content, change, KEPT if pending.settled else fate)
            else:
                _name(names, change)
        contents = {**self.contents, **{file: bytes(content) for file, content in changed.items()}}
        reachable = (path for path in sorted(names) if _is_reachable(path, names))
        return State({p: None if names[p] == DIRECTORY else contents.get(names[p], b"") for p in reachable})

    def closed(self, choice: Iterable[Fate]) -> Choice:
        """The choice made one that this file system allows, by keeping more."""
        fates = [KEPT if p.settled else fate for p, fate in zip(self.pending, choice, strict=True)]
        if self.file_system is FileSystem.EXT4:
            journalled = [i for i, p in enumerate(self.pending) if not isinstance(p.change, Write)]
            last = max((i for i in journalled if fates[i].kept), default=-1)
            for i in journalled:
                if i < last:
                    fates[i] = KEPT
        return tuple(fates)


def _put(content: bytearray, change: Write | Truncate, fate: Fate) -> None:
    if isinstance(change, Truncate):
        _resize(content, change.size)
        return
    end = change.offset + len(change.data)
    if fate.only_length:
        old = len(content)
        _resize(content, max(old, end))
        if not fate.zeros:
            content[old:] = b"\xa5" * (len(content) - old)
        return
    for start, stop in _parts(change, fate):
        if len(content) < start:
            _resize(content, start)
        content[start:stop] = change.data[start - change.offset : stop - change.offset]


def _parts(write: Write, fate: Fate) -> Iterator[tuple[int, int]]:
    """The ranges of the file that a write with this fate changes."""
    if not fate.sector:
        yield write.offset, write.offset + len(write.data)
        return
    for number, (start, stop) in enumerate(sectors(write, fate.sector)):
        if fate.mask >> number & 1:
            yield start, stop


def sectors(write: Write, size: int) -> list[tuple[int, int]]:
    """The ranges of the file that lie in one sector each."""
    end = write.offset + len(write.data)
    first = write.offset - write.offset % size
    return [(max(start, write.offset), min(start + size, end)) for start in range(first, end, size)]


def _resize(content: bytearray, size: int) -> None:
    if size < len(content):
        del content[size:]
    else:
        content.extend(bytes(size - len(content)))


def _name(names: Names, change: Change) -> None:
    match change:
        case Create(file, path):
            names[path] = file
        case MakeDirectory(path):
            names[path] = DIRECTORY
        case Unlink(path) | RemoveDirectory(path):
            names.pop(path, None)
        case Rename(path, to):
            if path in names:
                names[to] = names.pop(path)


def _is_reachable(path: str, names: Mapping[str, int]) -> bool:
    return all(names.get(str(above)) == DIRECTORY for above in PurePosixPath(path).parents if str(above) != ".")


def directory_of(change: Change) -> str:
    """Whose sync makes this change of a name durable; "" is the directory that was recorded."""
    assert not isinstance(change, Write | Truncate)
    parent = PurePosixPath(change.path).parent
    if isinstance(change, Rename) and PurePosixPath(change.to).parent != parent:
        raise BadTrace(f"{change.path} moves to another directory: that is not modelled")
    return "" if str(parent) == "." else str(parent)


# From a trace to its points ---------------------------------------------------------------------------------------------


@define
class Disk:
    """Follows a trace from what the directory held, durably, when the recording began."""

    file_system: FileSystem
    contents: dict[int, bytes]
    names: Names
    cached: Names
    """The names as the program sees them."""
    sizes: dict[int, int] = field(factory=dict)
    pending: list[Pending] = field(factory=list)

    @classmethod
    def holding(cls, file_system: FileSystem, tree: Mapping[str, bytes | None]) -> Disk:
        """The files of the start have numbers below that of a directory, until the trace has seen them."""
        names, contents = {}, {}
        for number, (path, data) in enumerate(sorted(tree.items()), start=1):
            names[path] = DIRECTORY if data is None else DIRECTORY - number
            contents[DIRECTORY - number] = data or b""
        return cls(file_system, contents, names, dict(names))

    def point(self, events: int) -> Point:
        return Point(events, dict(self.contents), dict(self.names), tuple(self.pending), self.file_system)

    def take(self, event: Event) -> None:
        match event:
            case Note():
                pass
            case Seen(file, path):
                self._see(file, path)
            case Sync(file):
                self._sync(file)
            case FailedSync(file):
                self.pending = [evolve(p, forgotten=p.forgotten or p.of() == file) for p in self.pending]
            case SyncDirectory(path):
                self._settle(lambda p: p.of() == path)
            case Write(file, offset, data):
                end, size = offset + len(data), self.sizes.get(file, 0)
                self.pending.append(Pending(event, grows=end > size))
                self.sizes[file] = max(end, size)
            case Truncate(file, size):
                self.pending.append(Pending(event))
                self.sizes[file] = size
            case _:
                directory_of(event)
                self.pending.append(Pending(event))
                _name(self.cached, event)

    def _see(self, file: int, path: str) -> None:
        unseen = self.cached.get(path, 0)
        if unseen >= DIRECTORY:
            raise BadTrace(f"{path} was not there at the start")
        self.contents[file] = self.contents.pop(unseen)
        self.sizes[file] = len(self.contents[file])
        for names in (self.names, self.cached):
            names.update({name: file for name, number in names.items() if number == unseen})

    def _sync(self, file: int) -> None:
        journal = self.file_system is FileSystem.EXT4 and any(self._is_journalled(p, file) for p in self.pending)
        self._settle(lambda p: p.of() == file or (journal and not isinstance(p.change, Write)))

    def _is_journalled(self, pending: Pending, file: int) -> bool:
        """A sync of the file has to commit the journal, because of this change."""
        change = pending.change
        if isinstance(change, Rename):
            return self.cached.get(change.to) == file
        if isinstance(change, Create):
            return change.file == file
        return pending.of() == file and (pending.grows or isinstance(change, Truncate))

    def _settle(self, is_settled: Callable[[Pending], bool]) -> None:
        """Mark these, and bring to the disk those with nothing unsettled before them in their file or directory."""
        behind: set[int | str] = set()
        rest: list[Pending] = []
        written: dict[int, bytearray] = {}
        for pending in self.pending:
            if not pending.settled and not pending.forgotten and is_settled(pending):
                pending = evolve(pending, settled=True)
            place = pending.of()
            if not pending.settled or place in behind:
                behind.add(place)
                rest.append(pending)
            elif isinstance(pending.change, Write | Truncate):
                file = pending.change.file
                if file not in written:
                    written[file] = bytearray(self.contents.get(file, b""))
                _put(written[file], pending.change, KEPT)
            else:
                _name(self.names, pending.change)
        self.contents.update({file: bytes(content) for file, content in written.items()})
        self.pending = rest


def points(trace: Iterable[Event], file_system: FileSystem, start: Mapping[str, bytes | None]) -> Iterator[Point]:
    """The point before the first event, and that after each. `start` is the tree that was there, durably, at first."""
    disk = Disk.holding(file_system, start)
    yield disk.point(0)
    for number, event in enumerate(trace, start=1):
        disk.take(event)
        yield disk.point(number)
