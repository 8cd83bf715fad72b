"""Where the register of views keeps the latest one: a small file that is replaced as a whole; or memory, for tests."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TextIO
from zlib import crc32

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads

from toystore.consensus.views import View
from toystore.encoding import EncodingError, from_json, to_json
from toystore.storage.database import DataDirInUse
from toystore.storage.files import make_directory, sync_directory
from toystore.storage.interface import DiskFull, StorageError
from toystore.storage.thread import Jobs, OwnThread


class ViewStore(Protocol):
    def open(self) -> Deferred[View | None]:
        """The stored view, None where there never was one. StorageError where there is one that can not be read."""

    def save(self, view: View) -> Deferred[None]:
        """Make it durable. DiskFull: the one before is still there. StorageError: end."""

    def close(self) -> Deferred[None]: ...


class FileViewStore:
    """A `ViewStore` in `directory`: `views.json`, one line, `[view, crc32 of the JSON of the view]`."""

    def __init__(self, directory: Path, reactor: IReactorFromThreads, jobs: Jobs | None = None) -> None:
        self._directory = directory
        self._jobs = jobs or OwnThread(reactor, f"views-{directory.name}")
        self._lock: TextIO | None = None

    @property
    def _path(self) -> Path:
        return self._directory / "views.json"

    def open(self) -> Deferred[View | None]:
        return self._jobs.run(self._open)

    def _open(self) -> View | None:
        try:
            make_directory(self._directory)
            self._lock = (self._directory / "views.lock").open("a")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            data = self._path.read_bytes()
            sync_directory(self._directory)  # who renamed it may have been killed before; and what is told must be durable
        except BlockingIOError as error:
            raise DataDirInUse(f"{self._directory}: another process keeps the views there") from error
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{self._directory}: {error}") from error
        try:
            view, checksum = from_json(data, tuple[View, int])
        except EncodingError as error:
            raise StorageError(f"{self._path} is damaged ({error}); {_REMEDY}") from error
        if crc32(to_json(view)) != checksum:
            raise StorageError(f"{self._path} is damaged (its checksum is wrong); {_REMEDY}")
        return view

    def save(self, view: View) -> Deferred[None]:
        return self._jobs.run(lambda: self._save(view))

    def _save(self, view: View) -> None:
        new = self._path.with_suffix(".new")
        try:
            with new.open("wb") as file:
                file.write(to_json((view, crc32(to_json(view)))) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
            sync_directory(self._directory)
        except OSError as error:
            kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError
            raise kind(f"{self._path}: {error}") from error

    def close(self) -> Deferred[None]:
        closed = self._jobs.run(self._close)
        self._jobs.stop()
        return closed

    def _close(self) -> None:
        if self._lock is not None:
            self._lock.close()


_REMEDY = "move it away, and the register goes on once all replicas that were in sync have answered"


def _at_once(write: Callable[[], None], tell: Callable[[], None]) -> None:
    write()
    tell()


class MemoryViewStore:
    """A `ViewStore` whose `view` survives the process; `when(write, tell)` decides when a save is on the disk, and when
    the process hears of it."""

    def __init__(self, when: Callable[[Callable[[], None], Callable[[], None]], None] = _at_once) -> None:
        self.view: View | None = None
        self.failing: type[Exception] | None = None
        """What every save fails with."""
        self._when = when

    def open(self) -> Deferred[View | None]:
        return succeed(self.view)

    def save(self, view: View) -> Deferred[None]:
        if self.failing is not None:
            return fail(self.failing("the disk of the register fails"))
        saved: Deferred[None] = Deferred()

        def write() -> None:
            self.view = view

        self._when(write, lambda: saved.callback(None))
        return saved

    def close(self) -> Deferred[None]:
        return succeed(None)
