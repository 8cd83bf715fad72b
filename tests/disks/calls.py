"""What is asked of a storage, noted in the trace: that a call begins, and that its Deferred has fired.

A note is a pickle of `(when, number, what)`: ("begin", n, the call), ("done", n, its result), ("failed", n, the error).
Only traces that the tests have recorded themselves are read.
"""

from __future__ import annotations

import ctypes
import pickle
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from attrs import evolve, field, frozen
from twisted.internet.defer import Deferred

from tests.disks.trace import Event, Note
from toystore.consensus.messages import Entry, HardState
from toystore.consensus.views import View
from toystore.storage.interface import Applied, Reader, Recovered, Spool, SpoolInfo, Storage
from toystore.storage.views import ViewStore

T = TypeVar("T")


@frozen
class Open:
    """Its result is what was recovered."""


@frozen
class Save:
    hard_state: HardState | None
    entries: tuple[Entry, ...] = field(repr=lambda es: f"{es[0].index}..{es[-1].index}" if es else "none")


@frozen
class Apply:
    entries: tuple[Entry, ...] = field(repr=lambda es: f"{es[0].index}..{es[-1].index}" if es else "none")


@frozen
class Flush:
    pass


@frozen
class Compact:
    index: int


@frozen
class Install:
    info: SpoolInfo
    data: bytes = field(repr=lambda data: f"{len(data)} bytes")


@frozen
class RenewUuid:
    """Its result is the new one."""


@frozen
class SaveView:
    view: View = field(repr=lambda view: f"version {view.version}")


@frozen
class Close:
    pass


Call = Open | Save | Apply | Flush | Compact | Install | RenewUuid | SaveView | Close

DURABLE = (Open, Save, Flush, Install, RenewUuid, SaveView, Close)
"""What these have done, and all that was done before, is on the disk when they are done; an Apply or a Compact need not be
(`storage/interface.py`)."""


def write_note(text: bytes) -> None:
    """Into the trace; nothing where no recorder is loaded."""
    recorder = ctypes.CDLL(None)
    if hasattr(recorder, "recorder_mark"):
        recorder.recorder_mark(ctypes.c_char_p(text), ctypes.c_size_t(len(text)))


class Noting:
    """Numbers calls and writes notes of them."""

    def __init__(self, write: Callable[[bytes], None] = write_note) -> None:
        self._write = write
        self._number = 0

    def __call__(
        self, call: Call, make: Callable[[], Deferred[T]], told: Callable[[T], Any] = lambda _: None
    ) -> Deferred[T]:
        """Make the call; `told` is what of its result goes into the note."""
        number, self._number = self._number, self._number + 1
        self._put("begin", number, call)

        def done(result: T) -> T:
            self._put("done", number, told(result))
            return result

        def failed(failure: Any) -> Any:
            self._put("failed", number, repr(failure.value))
            return failure

        return make().addCallbacks(done, failed)

    def _put(self, when: str, number: int, what: Any) -> None:
        self._write(pickle.dumps((when, number, what)))


class NotedStorage:
    """A `Storage` that notes what changes it."""

    def __init__(self, inner: Storage, noting: Noting) -> None:
        self._inner, self._noting = inner, noting

    def open(self) -> Deferred[Recovered]:
        return self._noting(Open(), self._inner.open, lambda recovered: recovered)

    def save(self, hard_state: HardState | None, entries: Sequence[Entry]) -> Deferred[None]:
        return self._noting(Save(hard_state, tuple(entries)), lambda: self._inner.save(hard_state, entries))

    def apply(self, entries: Sequence[Entry]) -> Deferred[list[Applied]]:
        return self._noting(Apply(tuple(entries)), lambda: self._inner.apply(entries))

    def flush(self) -> Deferred[None]:
        return self._noting(Flush(), self._inner.flush)

    def compact(self, index: int) -> Deferred[None]:
        return self._noting(Compact(index), lambda: self._inner.compact(index))

    def read(self, query: Callable[[Reader], T]) -> Deferred[T]:
        return self._inner.read(query)

    def state_hash(self, index: int) -> Deferred[str]:
        return self._inner.state_hash(index)

    def spool(self, since: int) -> Deferred[tuple[SpoolInfo, Spool]]:
        return self._inner.spool(since)

    def new_spool(self) -> Spool:
        return self._inner.new_spool()

    def install(self, info: SpoolInfo, spool: Spool) -> Deferred[Recovered]:
        return self._noting(Install(info, spool.read(0, spool.size())), lambda: self._inner.install(info, spool))

    def scrub(self, pause: Callable[[], Deferred[None]]) -> Deferred[int]:
        return self._inner.scrub(pause)

    def refilled(self) -> Deferred[None]:
        return self._inner.refilled()

    def renew_uuid(self) -> Deferred[str]:
        return self._noting(RenewUuid(), self._inner.renew_uuid, lambda uuid: uuid)

    def close(self) -> Deferred[None]:
        return self._noting(Close(), self._inner.close)


class NotedViewStore:
    """A `ViewStore` that notes what changes it."""

    def __init__(self, inner: ViewStore, noting: Noting) -> None:
        self._inner, self._noting = inner, noting

    def open(self) -> Deferred[View | None]:
        return self._noting(Open(), self._inner.open, lambda view: view)

    def save(self, view: View) -> Deferred[None]:
        return self._noting(SaveView(view), lambda: self._inner.save(view))

    def close(self) -> Deferred[None]:
        return self._noting(Close(), self._inner.close)


# Read again ---------------------------------------------------------------------------------------------------------


@frozen
class Made:
    """A call as the trace has it: after `begun` events it began, after `done` events it was done (None: it never was).

    `failed` says why it failed; then nobody knows what it has done.
    """

    call: Call
    begun: int
    done: int | None = None
    result: Any = None
    failed: str | None = None


def as_of(calls: Iterable[Made], events: int) -> tuple[Made, ...]:
    """Those that had begun by then, as a recording that begins then has them: all before its first event."""
    known = (made for made in calls if made.begun <= events)
    return tuple(evolve(made, begun=0, done=0 if made.done is not None and made.done <= events else None) for made in known)


def calls_of(trace: Iterable[Event]) -> tuple[Made, ...]:
    """In the order in which they began, which is that in which they were carried out."""
    made: list[Made] = []
    places: dict[int, int] = {}
    for events, event in enumerate(trace, start=1):
        if not isinstance(event, Note):
            continue
        when, number, what = pickle.loads(event.text)
        if when == "begin":  # each process counts from 0
            places[number] = len(made)
            made.append(Made(what, events))
        elif when == "done":
            made[places[number]] = evolve(made[places[number]], done=events, result=what)
        else:
            made[places[number]] = evolve(made[places[number]], failed=what)
    return tuple(made)
