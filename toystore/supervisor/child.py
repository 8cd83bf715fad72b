"""One process of the cluster, kept as it should be: up, or down on purpose."""

from __future__ import annotations

import enum
import os
import re
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import define, frozen
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile

STOP_SECONDS = 10.0
"""How long a process may take to end after SIGTERM, before SIGKILL."""

STEADY_SECONDS = 5.0
"""A process that was up this long starts its back-off anew."""

NO_LISTENING = ("Couldn't listen on ", "can not listen on ")
"""So begins the last word of a node that can not have its address: Twisted's words, and those of our daemon."""

LOG_BYTES = 10_000_000
OLD_LOGS = 4
TAIL_BYTES = 8192


class Condition(enum.Enum):
    RUNNING = "running"
    PAUSED = "paused"
    WAITING = "waiting"
    """It died and will be started again after its back-off."""
    STOPPED = "stopped"
    """On purpose; only `start` changes that."""


@frozen
class Exit:
    """How a process ended: by itself with `code`, or by a signal; `uptime` in seconds, `reason` its own last
    word."""

    code: int | None
    signal: int | None
    uptime: float
    reason: str

    @property
    def address_taken(self) -> bool:
        """Whether it ended because it could not listen where it should."""
        return bool(self.code) and self.reason.startswith(NO_LISTENING)

    def __str__(self) -> str:
        if self.signal is not None:
            return f"was ended by {signal.Signals(self.signal).name}"
        return f"ended with exit code {self.code}" + (f": {self.reason}" if self.code and self.reason else "")


@define
class BackOff:
    """Seconds to wait before a process is started again: `first`, doubled for each quick death, at most
    `longest`."""

    first: float = 0.1
    longest: float = 5.0
    _next: float = 0.0

    def after(self, uptime: float) -> float:
        delay = self.first if uptime >= STEADY_SECONDS else max(self._next, self.first)
        self._next = min(2 * delay, self.longest)
        return delay


class NodeLog:
    """What a process writes, kept in `<directory>/log` and, of the current run, the last few KiB in memory.

    At most `OLD_LOGS` older files of `LOG_BYTES` are kept beside it. What a full disk refuses is lost, and
    said so.
    """

    _log = Logger()

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = str(directory)
        self._file = LogFile("log", self._directory, rotateLength=LOG_BYTES, maxRotatedFiles=OLD_LOGS, defaultMode=0o600)
        self._tail = b""

    def begin(self) -> None:
        """A new run begins."""
        self._tail = b""

    def write(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            self._log.error(
                "Lost {size} bytes of the log in {directory}: {error}",
                size=len(data),
                directory=self._directory,
                error=error,
            )

    def last_word(self) -> str:
        """Why the run ended, as far as it said: a sentence that says so, or else its last line."""
        text = self._tail.decode("utf-8", "replace")
        sentences = re.findall(rf"(?:{'|'.join(NO_LISTENING)}|can not (?:start:|trust) ).*", text)
        if sentences:
            return str(sentences[-1]).rstrip(". ")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def close(self) -> None:
        self._file.close()


def signal_group(process: int, number: int) -> None:
    """Send a signal to the process group that `process` leads, or, before it has its own, to the process."""
    try:
        os.killpg(process, number)
    except ProcessLookupError:
        os.kill(process, number)


def leads(leader: int, process: int) -> bool:
    """Whether `process` is `leader`, or in the group that it leads, as a node is under a prefix that forks."""
    try:
        return process == leader or os.getpgid(process) == leader
    except (OSError, OverflowError):
        return False


class _Run(ProcessProtocol):
    """One run of the process: its output goes to the log; `over` is told when it has ended and all is
    read."""

    def __init__(self, log: NodeLog, over: Callable[[Failure], None]) -> None:
        self._log = log
        self._over = over

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N802, N803
        self._log.write(data)

    def processEnded(self, reason: Failure) -> None:  # noqa: N802
        self._over(reason)


class Child:
    """Starts a process, and starts it again when it dies, unless it was stopped or killed through this
    object.

    `command` is the whole argument list. `died(child, exit, delay)` is called for every death that
    was not asked for; the process is started again after it, unless it returns False.
    """

    def __init__(
        self,
        reactor: Any,
        name: str,
        command: Sequence[str],
        environment: dict[str, str],
        log: NodeLog,
        died: Callable[[Child, Exit, float], bool],
        send: Callable[[int, int], None] = signal_group,
    ) -> None:
        self.name = name
        self.condition = Condition.STOPPED
        self.runs = 0
        self._reactor = reactor
        self._command = command
        self._environment = environment
        self._log = log
        self._died = died
        self._send = send
        self._back_off = BackOff()
        self._process: Any = None
        self._began = 0.0
        self._again: Any = None
        self._ended: list[Deferred[None]] = []

    @property
    def pid(self) -> int | None:
        """Of the process that was started (under a prefix: of the prefix), None where there is none."""
        pid: int | None = self._process.pid if self._process is not None else None
        return pid

    def has_process(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        """Have it up from now on. Nothing happens where it is."""
        if self.has_process():
            return
        self._forget_restart()
        self._log.begin()
        self._began = self._reactor.seconds()
        self.runs += 1
        self.condition = Condition.RUNNING
        self._process = self._reactor.spawnProcess(
            _Run(self._log, self._over),
            self._command[0],
            self._command,
            env=self._environment,
            childFDs={0: "w", 1: "r", 2: "r"},
        )

    def stop(self) -> Deferred[None]:
        """Have it down: SIGTERM, and SIGKILL after `STOP_SECONDS`. Fires once it has ended."""
        ended = self._down()
        if self.pid is not None:
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)
            last_resort = self._reactor.callLater(STOP_SECONDS, self._signal, signal.SIGKILL)
            ended.addBoth(_cancel(last_resort))
        return ended

    def kill(self) -> Deferred[None]:
        """Have it down at once, by SIGKILL. Fires once it has ended."""
        ended = self._down()
        self._signal(signal.SIGKILL)
        return ended

    def pause(self) -> None:
        """Stop it where it stands (SIGSTOP)."""
        self._signal(signal.SIGSTOP)
        self.condition = Condition.PAUSED

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self._signal(signal.SIGCONT)
        self.condition = Condition.RUNNING

    def _down(self) -> Deferred[None]:
        self._forget_restart()
        self.condition = Condition.STOPPED
        ended: Deferred[None] = Deferred()
        if self._process is None:
            ended.callback(None)
        else:
            self._ended.append(ended)
        return ended

    def _forget_restart(self) -> None:
        if self._again is not None and self._again.active():
            self._again.cancel()
        self._again = None

    def _signal(self, number: int) -> None:
        if self.pid is not None:
            self._send(self.pid, number)

    def _over(self, reason: Failure) -> None:
        self._process = None
        if self.condition is not Condition.STOPPED:
            self._restart(self._exit(reason))
        ended, self._ended = self._ended, []
        for waiter in ended:
            waiter.callback(None)

    def _exit(self, reason: Failure) -> Exit:
        uptime = self._reactor.seconds() - self._began
        if reason.check(ProcessDone):
            return Exit(0, None, uptime, "")
        end: Any = reason.value
        return Exit(end.exitCode, end.signal, uptime, self._log.last_word())

    def _restart(self, end: Exit) -> None:
        delay = self._back_off.after(end.uptime)
        if self._died(self, end, delay):
            self.condition = Condition.WAITING
            self._again = self._reactor.callLater(delay, self.start)
        else:
            self.condition = Condition.STOPPED


def _cancel(call: Any) -> Callable[[Any], Any]:
    def cancel(result: Any) -> Any:
        if call.active():
            call.cancel()
        return result

    return cancel
