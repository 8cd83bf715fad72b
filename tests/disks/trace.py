"""A trace as the recorder wrote it (recorder.c describes the format), as values."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import evolve, field, frozen

MAGIC = b"DISKTRC1"
_RECORD = struct.Struct("<cIqHHI")


class BadTrace(Exception):
    """These bytes are no trace, or the program did what the recorder does not cover."""


@frozen
class Create:
    file: int
    path: str


@frozen
class Seen:
    """A file that was there when the recording began."""

    file: int
    path: str


@frozen
class Write:
    file: int
    offset: int
    data: bytes = field(repr=lambda data: f"{len(data)} bytes")


@frozen
class Truncate:
    file: int
    size: int


@frozen
class Sync:
    file: int


@frozen
class FailedSync:
    file: int


@frozen
class SyncDirectory:
    path: str


@frozen
class Unlink:
    path: str


@frozen
class Rename:
    path: str
    to: str


@frozen
class MakeDirectory:
    path: str


@frozen
class RemoveDirectory:
    path: str


@frozen
class Note:
    """What the recorded program said of itself at this point."""

    text: bytes


Event = (
    Create | Seen | Write | Truncate | Sync | FailedSync | SyncDirectory | Unlink | Rename | MakeDirectory | RemoveDirectory
    | Note
)  # fmt: skip


def read_trace(data: bytes) -> tuple[Event, ...]:
    """Raises BadTrace."""
    return tuple(event for event, _ in events_with_ends(data))


def joined(lives: Iterable[tuple[Event, ...]]) -> tuple[Event, ...]:
    """The traces of processes that had the same directory one after the other, as one: a file that the next finds keeps its
    number. Nothing is lost with a process: what it wrote and did not sync stays in the memory of the kernel."""
    names: dict[str, int] = {}
    whole: list[Event] = []
    count = 0
    for life in lives:
        numbers: dict[int, int] = {}
        for event in life:
            match event:
                case Seen(file, path) if path in names:
                    numbers[file] = names[path]
                    continue
                case Seen(file, path) | Create(file, path):
                    count += 1
                    numbers[file] = names[path] = count
                case Unlink(path):
                    names.pop(path, None)
                case Rename(path, to):
                    if path in names:
                        names[to] = names.pop(path)
            whole.append(evolve(event, file=numbers[event.file]) if hasattr(event, "file") else event)
    return tuple(whole)


def read_trace_file(path: Path) -> tuple[Event, ...]:
    return read_trace(path.read_bytes())


def events_with_ends(data: bytes) -> Iterator[tuple[Event, int]]:
    """Each with the length of the trace up to its end. Raises BadTrace."""
    if not data.startswith(MAGIC):
        raise BadTrace("it does not begin as a trace does")
    at = len(MAGIC)
    while at < len(data):
        if at + _RECORD.size > len(data):
            raise BadTrace(f"it ends within the record at {at}")
        kind, file, offset, path_length, second_length, length = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        end = at + path_length + second_length + length
        if end > len(data):
            raise BadTrace(f"it ends within the record before {at}")
        path = data[at : at + path_length].decode()
        second = data[at + path_length : at + path_length + second_length].decode()
        yield _event(kind, file, offset, path, second, data[end - length : end]), end
        at = end


def _event(kind: bytes, file: int, offset: int, path: str, second: str, data: bytes) -> Event:
    match kind:
        case b"C":
            return Create(file, path)
        case b"S":
            return Seen(file, path)
        case b"W":
            return Write(file, offset, data)
        case b"T":
            return Truncate(file, offset)
        case b"F":
            return Sync(file)
        case b"E":
            return FailedSync(file)
        case b"D":
            return SyncDirectory(path)
        case b"L":
            return Unlink(path)
        case b"R":
            return Rename(path, second)
        case b"M":
            return MakeDirectory(path)
        case b"X":
            return RemoveDirectory(path)
        case b"N":
            return Note(data)
        case b"?":
            raise BadTrace(f"{data.decode()} of {path}: the recorder does not cover that")
    raise BadTrace(f"a record of kind {kind!r}")
