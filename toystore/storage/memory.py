"""A storage in memory: a disk that can crash, forget, fail, stall and fill up on demand, and the storage over it.

It passes the same suite as the one over SQLite, and is fast enough for a simulator that runs thousands of schedules: no
state is copied; what is not synced can be undone.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Literal, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from toystore.consensus.messages import Entry, HardState
from toystore.encoding import decode_outcome
from toystore.storage.interface import (
    Applied,
    DiskFull,
    IndexPassed,
    Reader,
    Recovered,
    Rotten,
    Spool,
    SpoolInfo,
    StorageError,
)
from toystore.storage.memory_state import MemoryState, Place
from toystore.storage.snapshot import BadSnapshot, RememberedOutcome, Row, SnapshotWriter, check_fits, read_snapshot
from toystore.storage.spool import MemorySpool
from toystore.storage.state import Head

T = TypeVar("T")

Work = Literal["save", "apply", "read"]
"""What a call asks of the disk: to make durable (save, flush, install, renew_uuid, close), to apply, or neither."""


def _at_once(work: Work) -> float:
    return 0.0


class MemoryDisk:
    """What survives the process that wrote it.

    `latency` gives the seconds that a piece of work takes (0: it is done before the call returns). While `full` is set,
    saves are refused with DiskFull; while `stalled`, they do not complete. `new_uuid` makes the storage uuids.
    """

    def __init__(self, new_uuid: Callable[[], str] = lambda: uuid.uuid4().hex) -> None:
        self.latency: Callable[[Work], float] = _at_once
        self.full = False
        self.stalled = False
        self.uuid = ""
        self.hard_state = HardState()
        self.state = MemoryState()
        self.put_aside = ""
        """Why the state before this one was put aside, until this one is whole again."""
        self.quarantine: deque[tuple[str, HardState, MemoryState]] = deque(maxlen=2)
        self._condemned = ""
        self._new_uuid = new_uuid
        self._failing = False
        self._storage: MemoryStorage | None = None

    def fail_next_save(self) -> None:
        """The next save fails as a broken sync does: nothing of it stays, and the next open takes a new uuid."""
        self._failing = True

    def stall(self) -> None:
        """Saves begin, and do not complete until `release`."""
        self.stalled = True

    def release(self) -> None:
        self.stalled = False
        if self._storage is not None:
            self._storage.go_on()

    def heal(self) -> None:
        """It has room again, no sync fails any more, and of the rows that nobody has met yet none is broken. What stalls is
        let go by `release`."""
        self.full = self._failing = False
        self.state.rotten.clear()

    @property
    def waiting(self) -> int:
        """How many calls have not been answered yet."""
        return 0 if self._storage is None else self._storage.waiting

    def crash(self, keep: int = 0) -> None:
        """The process dies: what is not synced is forgotten, and no call of its storage is answered any more.

        `keep`: so many of the calls that wait have been carried out before; of the others nothing has.
        """
        storage, self._storage = self._storage, None
        if storage is not None:
            storage.die(keep)
        self.state.undo_unsynced()

    def wipe(self) -> None:
        """Everything is gone; the next open finds an empty disk and gives it a new uuid."""
        self.crash()
        self.uuid, self.hard_state, self.state = "", HardState(), MemoryState()
        self.put_aside = self._condemned = ""
        self._failing = False

    def rows(self) -> list[Place]:
        """What can be broken."""
        return list(self.state.places())

    def rot(self, table: str, key: int | str) -> None:
        """A bit of this row flips. Nobody knows before the row is read; what is at hand in memory is not."""
        self.state.rotten.add((table, key))

    @property
    def condemned(self) -> bool:
        """A row was found to be broken: the next open puts the state aside."""
        return bool(self._condemned)

    def condemn(self, error: Rotten) -> None:
        """The next open puts the state aside."""
        self._condemned = str(error)

    def attach(self, storage: MemoryStorage) -> None:
        """A process opens this disk. StorageError where another has it."""
        if self._storage is not None and self._storage is not storage:
            raise StorageError("another storage has this disk; crash it or close it first")
        self._storage = storage
        try:
            self.state.check_opening()
        except Rotten as error:
            self.condemn(error)
        if self._condemned:
            self._begin_anew()
        if not self.uuid:
            self.renew_uuid()

    def _begin_anew(self) -> None:
        """A state that had not been filled again is not worth keeping."""
        if not self.put_aside:
            self.quarantine.append((self.uuid, self.hard_state, self.state))
        self.put_aside, self._condemned = f"its database was put aside: {self._condemned}", ""
        self.uuid, self.hard_state, self.state = "", HardState(), MemoryState()

    def detach(self) -> None:
        self._storage = None

    def renew_uuid(self) -> None:
        self.uuid = self._new_uuid()

    def check_sync(self, anything: bool) -> None:
        """DiskFull or StorageError where a sync of `anything` can not succeed now."""
        if self._failing:
            self._failing = False
            self.uuid = ""
            raise StorageError("the disk failed to sync")
        if self.full and anything:
            raise DiskFull("no room on the disk")


@frozen
class _Call:
    work: Work
    job: Callable[[], Any]
    answer: Deferred[Any]


class MemoryStorage:
    """A `Storage` over a `MemoryDisk`. The clock is needed only where the disk has a latency."""

    def __init__(self, disk: MemoryDisk, clock: IReactorTime | None = None) -> None:
        self._disk = disk
        self._clock = clock
        self._calls: deque[_Call] = deque()
        self._timer: IDelayedCall | None = None
        self._error: StorageError | None = None
        self._dead = False
        self._awaited: dict[int, list[Deferred[str]]] = {}

    # The order of calls

    def _call(self, work: Work, job: Callable[[], T]) -> Deferred[T]:
        disk = self._disk
        if not self._calls and not self._dead and not (work == "save" and disk.stalled):
            delay = disk.latency(work)
            if not delay:
                return self._do(job)
        else:
            delay = None
        call = _Call(work, job, Deferred())
        self._calls.append(call)
        if delay:
            self._wait(delay)
        return call.answer

    def _do(self, job: Callable[[], T]) -> Deferred[T]:
        if self._error is not None:
            return fail(self._error)
        try:
            return succeed(job())
        except BadSnapshot as error:
            return fail(error)
        except Rotten as error:
            self._error = error
            self._disk.condemn(error)
            return fail(error)
        except StorageError as error:
            self._error = error
            return fail(error)
        except Exception as error:
            return fail(error)

    def _wait(self, delay: float) -> None:
        if self._clock is None:
            raise TypeError("a disk with a latency needs a clock")
        self._timer = self._clock.callLater(delay, self._timed_out)

    def _timed_out(self) -> None:
        self._timer = None
        if not (self._calls[0].work == "save" and self._disk.stalled):
            self._finish_first()
            self.go_on()

    def _finish_first(self) -> None:
        call = self._calls[0]
        result = self._do(call.job)
        self._calls.popleft()
        result.chainDeferred(call.answer)

    def go_on(self) -> None:
        """Do the calls that wait, until one takes time."""
        while self._timer is None and self._calls and not self._dead:
            work = self._calls[0].work
            if work == "save" and self._disk.stalled:
                return
            delay = self._disk.latency(work)
            if delay:
                self._wait(delay)
            else:
                self._finish_first()

    @property
    def waiting(self) -> int:
        return len(self._calls)

    def die(self, keep: int) -> None:
        """For the disk: the process is gone; so many of the calls that wait were done."""
        self._dead = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._awaited.clear()
        for call in list(self._calls)[:keep]:
            if call.work != "read":
                with suppress(StorageError, DiskFull):  # nobody is left to hear of it
                    call.job()
        self._calls.clear()

    # Storage

    def open(self) -> Deferred[Recovered]:
        return self._call("read", self._open)

    def _open(self) -> Recovered:
        self._disk.attach(self)
        return self._recovered()

    def _recovered(self) -> Recovered:
        disk, state = self._disk, self._disk.state
        return Recovered(
            uuid=disk.uuid,
            hard_state=disk.hard_state,
            base_index=state.base_index,
            base_term=state.base_term,
            entries=tuple(state.entries),
            applied=state.head.applied,
            members=state.head.members,
            generation=state.head.generation,
            election=state.head.election,
            put_aside=disk.put_aside,
        )

    def save(self, hard_state: HardState | None, entries: Sequence[Entry]) -> Deferred[None]:
        def job() -> None:
            disk = self._disk
            disk.check_sync(hard_state is not None or bool(entries) or not disk.state.synced())
            if entries:
                disk.state.replace_log(entries)
            if hard_state is not None:
                disk.hard_state = hard_state
            disk.state.sync()

        return self._call("save", job)

    def flush(self) -> Deferred[None]:
        return self.save(None, ())

    def apply(self, entries: Sequence[Entry]) -> Deferred[list[Applied]]:
        return self._call("apply", lambda: self._disk.state.apply(entries, self._answer_awaited))

    def compact(self, index: int) -> Deferred[None]:
        return self._call("read", lambda: self._disk.state.compact(index))

    def read(self, query: Callable[[Reader], T]) -> Deferred[T]:
        return self._call("read", lambda: query(self._disk.state))

    def state_hash(self, index: int) -> Deferred[str]:
        answer: Deferred[str] = Deferred()

        def job() -> None:
            self._awaited.setdefault(index, []).append(answer)
            self._answer_awaited()

        self._call("read", job).addErrback(answer.errback)
        return answer

    def _answer_awaited(self) -> None:
        if not self._awaited:
            return
        state = self._disk.state
        for index in sorted(index for index in self._awaited if index <= state.head.applied):
            answers = self._awaited.pop(index)
            for answer in answers:
                if index == state.head.applied:
                    answer.callback(state.state_hash())
                else:
                    answer.errback(IndexPassed(f"{state.head.applied} is applied, {index} is over"))

    def spool(self, since: int) -> Deferred[tuple[SpoolInfo, Spool]]:
        def job() -> tuple[SpoolInfo, Spool]:
            spool = MemorySpool()
            writer = SnapshotWriter(spool, since)
            writer.write(self._disk.state.rows_since(since))
            return writer.finish(self._disk.state.head), spool

        return self._call("read", job)

    def new_spool(self) -> Spool:
        return MemorySpool()

    def install(self, info: SpoolInfo, spool: Spool) -> Deferred[Recovered]:
        return self._call("save", lambda: self._install(info, spool))

    def _install(self, info: SpoolInfo, spool: Spool) -> Recovered:
        disk = self._disk
        check_fits(info, spool, disk.state.head)
        rows = list(read_snapshot(info, spool))
        disk.check_sync(True)
        if info.since == 0:
            disk.state = MemoryState()
        for row in rows:
            self._lay(row)
        self._answer_awaited()
        return self._recovered()

    def _lay(self, row: Row | Head) -> None:
        state = self._disk.state
        match row:
            case Head():
                state.finish_snapshot(row)
            case RememberedOutcome(request_id, index, outcome):
                state.put_outcome(request_id, index, decode_outcome(outcome))
            case _:
                state.put(row)

    def scrub(self, pause: Callable[[], Deferred[None]]) -> Deferred[int]:
        """In one piece: nothing is slow here."""

        def job() -> int:
            self._disk.state.check_all()
            return len(self._disk.rows())

        return self._call("read", job)

    def refilled(self) -> Deferred[None]:
        def job() -> None:
            self._disk.put_aside = ""

        return self._call("save", job)

    def renew_uuid(self) -> Deferred[str]:
        def job() -> str:
            self._disk.check_sync(True)
            self._disk.renew_uuid()
            return self._disk.uuid

        return self._call("save", job)

    def close(self) -> Deferred[None]:
        def job() -> None:
            self._disk.state.sync()
            self._disk.detach()
            self._dead = True

        return self._call("save", job)
