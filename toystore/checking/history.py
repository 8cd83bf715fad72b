"""The file of a history: JSON lines, one event each, in the shape that Jepsen gave them.

A client's operation is two events, `invoke` and its end: `ok` (the store has answered yes), `fail` (it has said that this
was not done *and never will be*: a refusal, any 4xx, or 503), or `info` (nobody knows: 504, a broken connection, no answer
in time). A *process* is one client with one operation under way at a time; after an `info` the client goes on under another
number, for the old operation may still take effect. ::

    {"index":0,"time":1000,"process":3,"type":"invoke","f":"buy","value":{"key":"k1","lines":[["Tux",2]]},"front":"front-1"}
    {"index":1,"time":9000,"process":3,"type":"ok","f":"buy",
     "value":{"number":0,"index":57,"lines":[["Tux",2,1599]],"total":3198,"replayed":false},"front":"front-1"}

What stands in `value`; the `index` of an answer is its `Toystore-Index`, and `generation` (of the event) the number before
the colon there, if there is one:

=============  ==========================  ==========================================================================
f              asked                       told (`ok`)
=============  ==========================  ==========================================================================
buy, sell      key, lines [[name, n]..]    number, index, total, replayed; lines [[name, n, unit price]..] and at if known
cancel         number                      index
order          number                      index, status, side, key, lines, total; status "unknown" without the rest where
                                           there is no such order (404)
stock          name                        name, quantity, version, index: read with `consistency=linearizable`
product        name                        the same, from cache or catalog, and age: null where the answer is not marked,
                                           else the seconds of `Toystore-Age`, or -1 for an unknown age
=============  ==========================  ==========================================================================

A `fail` says why in `error`: the `code` of the answer. A key that is sent again (after an `info`) is another operation
with the same key. What is done to the cluster is told by the process "nemesis", type `info`, under any `f`; checkers pass
over it, but for one thing: where such an event names a `front`, that front end's process ends then (write it down *before*
the signal is sent), and the next one begins without what the first remembered.

The file may be cut off anywhere: a torn last line is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from toystore.checking.events import TYPES, BadHistory, Event, Line, Value

__all__ = ["BadHistory", "Event", "HistoryWriter", "line_of", "read_events", "read_lines"]


class _Read(msgspec.Struct, frozen=True, gc=False):
    """An event as it is read: a third of the time that an `Event` takes. The fields are those of `Event`."""

    index: int
    time: int
    process: int | str
    type: str
    f: str
    value: dict[str, Any] = {}
    front: str = ""
    generation: int = 0
    error: str = ""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Read)


def line_of(event: Event) -> bytes:
    """Its line, with the end; what is as it would be without saying is left out."""
    told: dict[str, Any] = {
        "index": event.index,
        "time": event.time,
        "process": event.process,
        "type": event.type,
        "f": event.f,
        "value": event.value,
    }
    if event.front:
        told["front"] = event.front
    if event.generation:
        told["generation"] = event.generation
    if event.error:
        told["error"] = event.error
    return _encoder.encode(told) + b"\n"


class HistoryWriter:
    """Writes events as they happen, each line in one piece, so that the file is whole but for its last line whenever the
    process may end. `file` belongs to the caller."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._next = 0

    def record(
        self,
        time: int,
        process: int | str,
        type_: str,
        f: str,
        value: Value | None = None,
        *,
        front: str = "",
        generation: int = 0,
        error: str = "",
    ) -> Event:
        """The event, with its number."""
        assert type_ in TYPES, type_
        event = Event(self._next, time, process, type_, f, dict(value or {}), front, generation, error)
        self._next += 1
        self._file.write(line_of(event))
        self._file.flush()
        return event


def read_events(file: BinaryIO) -> Iterator[Event]:
    """All events of a file, one by one. Raises BadHistory."""
    for line in read_lines(file):
        yield Event(
            line.index, line.time, line.process, line.type, line.f, line.value, line.front, line.generation, line.error
        )


def read_lines(file: BinaryIO) -> Iterator[Line]:
    """The same, for millions of them. Raises BadHistory."""
    decode = _decoder.decode
    for number, line in enumerate(file, 1):
        try:
            event = decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            if not line.endswith(b"\n"):
                return
            raise BadHistory(f"line {number}: {error}") from error
        if event.index != number - 1:
            raise BadHistory(f"line {number} has the index {event.index}; events are missing, or stand twice")
        if event.type not in TYPES:
            raise BadHistory(f"line {number}: the type is {event.type!r}; it must be one of {', '.join(TYPES)}")
        yield event
