"""Run a coroutine on the reactor to its end, for one command."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, NoReturn

import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)
from twisted.python.failure import Failure

YES, NO, USAGE, UNSURE = 0, 1, 2, 3
"""The exit codes: yes, no, wrong usage or config, could not tell."""

ECHO_SECONDS = 1.0
"""A second signal within this time is the echo of the first (timeout(1) sends it twice)."""


class CommandFailed(click.ClickException):
    """Ends the command with a message and one of the exit codes above."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]


def run(main: Callable[[Any], Coroutine[Any, Any, int]]) -> NoReturn:
    """Run `main(reactor)` and leave with the exit code that it gives.

    SIGINT and SIGTERM cancel it: what it awaits raises CancelledError, and it may put things in order before
    it ends. If it ends by that error, the exit code is 3. A CommandFailed is shown as a message, without a
    traceback.
    """
    from twisted.internet import reactor as installed

    reactor: Any = installed
    reactor.seconds = time.monotonic  # before the first timer: they must not jump with the wall clock
    _log_warnings()
    results: list[int | Failure] = []

    def begin() -> None:
        running = Deferred.fromCoroutine(main(reactor))
        _cancel_on_signals(reactor, running)
        running.addBoth(results.append)
        running.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    sys.exit(_exit_code(results[0]))


def _exit_code(result: int | Failure) -> int:
    if isinstance(result, int):
        return result
    if result.check(CancelledError):
        click.echo("interrupted", err=True)
        return UNSURE
    if isinstance(result.value, click.ClickException):
        result.value.show()
        return result.value.exit_code
    result.raiseException()
    raise AssertionError("a failure always raises")


def _cancel_on_signals(reactor: Any, running: Deferred[int]) -> None:
    last = -ECHO_SECONDS

    def cancel(number: int, frame: FrameType | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= ECHO_SECONDS:
            last = now
            reactor.callFromThread(running.cancel)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, cancel)


def _log_warnings() -> None:
    """Warnings and errors of the libraries go to stderr, the rest nowhere."""
    observer = FilteringLogObserver(
        textFileLogObserver(sys.stderr), [LogLevelFilterPredicate(defaultLogLevel=LogLevel.warn)]
    )
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
