"""The storage of a replica: one SQLite file, one connection, one thread of its own.

A save is one statement and one flush of the disk (see batch.py). What cannot be trusted any more is not used any more:
after a failed sync every call fails, and the next `open` of the directory takes a new storage uuid; after a broken row the
next `open` puts the database aside (quarantine.py), and begins with an empty one.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred, ensureDeferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from toystore.consensus.messages import Entry, HardState
from toystore.storage.database import open_database
from toystore.storage.files import make_directory, sync_directory
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
from toystore.storage.quarantine import Quarantine, Sentence
from toystore.storage.scrub import Scrub
from toystore.storage.snapshot import BadSnapshot
from toystore.storage.spool import FileSpool
from toystore.storage.sqlite_state import SqliteState
from toystore.storage.thread import Jobs, OwnThread
from toystore.storage.whole_state import Capture, capture, hash_state, lay_snapshot, write_snapshot

T = TypeVar("T")

FLUSH_AFTER = 0.05
"""Seconds of quiet after which what was applied is made durable without waiting for the next save."""


class Reactor(IReactorFromThreads, IReactorTime):
    """What the storage needs of a reactor."""


class SqliteStorage:
    """A `Storage` in `directory` (the node's own: `ledger.db`, `spool/`, after a failed sync `broken`; where a database is
    broken, `quarantine/` and, until there is another that is whole, `put_aside.json`).

    `jobs` is where the database is used; without it, a thread of this storage.
    """

    log = Logger()

    def __init__(self, directory: Path | str, reactor: Reactor, jobs: Jobs | None = None) -> None:
        self._directory = Path(directory)
        self._reactor = reactor
        self._jobs = jobs or OwnThread(reactor, f"storage-{self._directory.name}")
        self._quarantine = Quarantine(self._directory)
        self._sentence: Sentence | None = None
        self._opened: SqliteState | None = None
        self._error: StorageError | None = None
        self._awaited: dict[int, list[Deferred[Capture]]] = {}
        self._spools = count(1)
        self._calls = 0
        self._quiet: IDelayedCall | None = None
        self._descriptor: int | None = None
        self._closed = False

    # Jobs

    def _run(self, job: Callable[[SqliteState], T]) -> Deferred[T]:
        """Run it on the storage's thread, unless something has broken before."""
        self._calls += 1
        if self._closed:
            return fail(StorageError(f"{self._directory} is closed"))

        def guarded() -> T:
            if self._error is not None:
                raise self._error
            if self._opened is None:
                raise StorageError(f"{self._directory} is not open")
            try:
                return job(self._opened)
            except BadSnapshot:
                raise
            except Rotten as error:
                self._error = error
                self._condemn(self._opened.uuid, error)
                raise
            except StorageError as error:
                self._error = error
                raise

        return self._jobs.run(guarded)

    def _condemn(self, uuid: str, error: Rotten) -> None:
        try:
            self._quarantine.condemn(uuid, str(error))
        except OSError as failure:
            self.log.error("{path} can not be put aside: {error}", path=str(self._directory), error=failure)

    def _write(self, state: SqliteState) -> None:
        """Make durable what waits. After any failure but a full disk nobody knows what is on the disk."""
        try:
            state.write()
        except StorageError:
            self._mark_broken()
            raise

    def _mark_broken(self) -> None:
        try:
            self._marker.touch()
            sync_directory(self._directory)
        except OSError as error:
            self.log.error("no marker at {path}: {error}", path=str(self._marker), error=error)

    @property
    def _marker(self) -> Path:
        return self._directory / "broken"

    # Opening and closing

    def open(self) -> Deferred[Recovered]:
        return self._jobs.run(self._open)

    def _open(self) -> Recovered:
        try:
            make_directory(self._directory)
            self._directory.chmod(0o700)
            spools = self._directory / "spool"
            spools.mkdir(mode=0o700, exist_ok=True)
            for left in spools.iterdir():
                left.unlink()
            self._sentence = self._quarantine.move()
            try:
                state, entries = self._open_database()
            except Rotten:
                self._sentence = self._quarantine.move()
                state, entries = self._open_database()
        except OSError as error:
            raise StorageError(f"{self._directory}: {error}") from error
        self._opened = state
        return self._recovered(state, entries)

    def _open_database(self) -> tuple[SqliteState, tuple[Entry, ...]]:
        """What is Rotten is condemned, and closed."""
        state: SqliteState | None = None
        try:
            state = SqliteState(open_database(self._directory / "ledger.db", lambda new: SqliteState(new).complete()))
            entries = state.load()
            if self._marker.exists():
                state.set_uuid(uuid.uuid4().hex)
                state.write()
                self._marker.unlink(missing_ok=True)
                sync_directory(self._directory)
        except BaseException as error:
            if state is not None:
                state.connection.close()
            if isinstance(error, Rotten):
                self._quarantine.condemn(state.uuid if state else "", str(error))
            raise
        return state, entries

    def refilled(self) -> Deferred[None]:
        def job(state: SqliteState) -> None:
            self._write(state)
            try:
                self._quarantine.refilled()
            except OSError as error:
                raise StorageError(f"{self._directory}: {error}") from error
            self._sentence = None

        return self._run(job)

    def renew_uuid(self) -> Deferred[str]:
        def job(state: SqliteState) -> str:
            state.set_uuid(uuid.uuid4().hex)
            self._write(state)
            return state.uuid

        return self._run(job)

    def close(self) -> Deferred[None]:
        self._closed = True
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None

        def job() -> None:
            state, self._opened = self._opened, None
            if state is None:
                return
            try:
                if self._error is None:
                    self._write(state)
            finally:
                state.connection.close()
                if self._descriptor is not None:
                    os.close(self._descriptor)

        done = self._jobs.run(job)
        self._jobs.stop()
        return done

    # Log and ledger

    def save(self, hard_state: HardState | None, entries: Sequence[Entry]) -> Deferred[None]:
        def job(state: SqliteState) -> None:
            before = state.hard_state
            if hard_state is not None:
                state.set_hard_state(hard_state)
            if entries:
                state.put_log(entries)
            try:
                self._write(state)
            except DiskFull:
                if hard_state is not None:
                    state.set_hard_state(before)
                raise

        return self._run(job)

    def flush(self) -> Deferred[None]:
        return self._run(self._write)

    def apply(self, entries: Sequence[Entry]) -> Deferred[list[Applied]]:
        if self._quiet is None and not self._closed:
            self._await_quiet()
        wanted = frozenset(self._awaited)

        def job(state: SqliteState) -> tuple[list[Applied], list[Capture]]:
            captures: list[Capture] = []

            def look() -> None:
                if state.head.applied in wanted:
                    captures.append(capture(state))

            return state.apply(entries, look), captures

        return self._run(job).addCallback(self._hand_over)

    def _hand_over(self, done: tuple[list[Applied], list[Capture]]) -> list[Applied]:
        applied, captures = done
        for captured in captures:
            for waiting in self._awaited.pop(captured.head.applied, ()):
                waiting.callback(captured)
        return applied

    def _await_quiet(self) -> None:
        self._quiet = self._reactor.callLater(FLUSH_AFTER, self._maybe_flush, self._calls)

    def _maybe_flush(self, calls: int) -> None:
        self._quiet = None
        if calls + 1 < self._calls:
            self._await_quiet()
        else:
            self.flush().addErrback(self._not_flushed)

    def _not_flushed(self, failure: Failure) -> None:
        """A broken disk is reported by the next call too; a full one is tried again with the next save."""
        self.log.error("what was applied is not durable yet: {error}", error=failure.value)

    def compact(self, index: int) -> Deferred[None]:
        return self._run(lambda state: state.compact(index))

    def read(self, query: Callable[[Reader], T]) -> Deferred[T]:
        return self._run(query)

    # Whole states

    def state_hash(self, index: int) -> Deferred[str]:
        return ensureDeferred(self._state_hash(index))

    async def _state_hash(self, index: int) -> str:
        """The wait begins before the question, so that no apply comes between the two."""
        reached: Deferred[Capture] = Deferred()
        self._awaited.setdefault(index, []).append(reached)

        def look(state: SqliteState) -> Capture | None:
            if state.head.applied > index:
                raise IndexPassed(f"{state.head.applied} is applied, {index} is over")
            return capture(state) if state.head.applied == index else None

        try:
            captured = await self._run(look) or await reached
        finally:
            self._stop_awaiting(index, reached)
        return await hash_state(captured, self._run, self._write)

    def _stop_awaiting(self, index: int, reached: Deferred[Capture]) -> None:
        waiting = self._awaited.get(index, [])
        if reached in waiting:
            waiting.remove(reached)
        if not waiting:
            self._awaited.pop(index, None)

    def spool(self, since: int) -> Deferred[tuple[SpoolInfo, Spool]]:
        return ensureDeferred(write_snapshot(since, self.new_spool, self._run, self._write))

    def scrub(self, pause: Callable[[], Deferred[None]]) -> Deferred[int]:
        return ensureDeferred(Scrub(self._run, self._write, self._forget_cached, pause).all())

    def _forget_cached(self) -> None:
        """Ask the kernel to read the file from the disk again. The descriptor stays open until the connection is closed:
        closing one takes away all locks that this process has on the file (POSIX), SQLite's too."""
        if self._descriptor is None:
            self._descriptor = os.open(self._directory / "ledger.db", os.O_RDONLY)
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def new_spool(self) -> Spool:
        return FileSpool(self._directory / "spool" / f"{next(self._spools)}.jsonl")

    def install(self, info: SpoolInfo, spool: Spool) -> Deferred[Recovered]:
        def job(state: SqliteState) -> Recovered:
            self._write(state)
            try:
                lay_snapshot(state, info, spool)
            except BadSnapshot:
                raise
            except StorageError:
                self._mark_broken()
                raise
            self._opened = installed = SqliteState(state.connection)
            return self._recovered(installed, installed.load())

        return self._run(job).addCallback(self._installed)

    def _installed(self, recovered: Recovered) -> Recovered:
        for index in [index for index in self._awaited if index <= recovered.applied]:
            for waiting in self._awaited.pop(index):
                waiting.errback(IndexPassed(f"a snapshot of {recovered.applied} was installed, {index} is over"))
        return recovered

    def _recovered(self, state: SqliteState, entries: tuple[Entry, ...]) -> Recovered:
        return Recovered(
            uuid=state.uuid,
            hard_state=state.hard_state,
            base_index=state.base_index,
            base_term=state.base_term,
            entries=entries,
            applied=state.head.applied,
            members=state.head.members,
            generation=state.head.generation,
            election=state.head.election,
            put_aside=str(self._sentence or ""),
        )
