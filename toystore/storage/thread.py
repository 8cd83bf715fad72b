"""The one thread of a storage: jobs in the order they were given, answers on the reactor's thread."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

T = TypeVar("T")


class Jobs(Protocol):
    """Where jobs run, one after the other."""

    def run(self, job: Callable[[], T]) -> Deferred[T]: ...

    def stop(self) -> None:
        """No job follows."""


class OwnThread:
    """A thread that ends with `stop`, after the jobs before it. It does not keep a process alive."""

    def __init__(self, reactor: IReactorFromThreads, name: str) -> None:
        self._reactor = reactor
        self._jobs: SimpleQueue[tuple[Callable[[], Any], Deferred[Any]] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def run(self, job: Callable[[], T]) -> Deferred[T]:
        answer: Deferred[T] = Deferred()
        self._jobs.put((job, answer))
        return answer

    def stop(self) -> None:
        self._jobs.put(None)

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, answer = item
            try:
                result = job()
            except BaseException:
                self._reactor.callFromThread(answer.errback, Failure())
            else:
                self._reactor.callFromThread(answer.callback, result)


class Inline:
    """Runs each job before `run` returns: for tests, and for tools that have no reactor."""

    def run(self, job: Callable[[], T]) -> Deferred[T]:
        return execute(job)

    def stop(self) -> None:
        pass
