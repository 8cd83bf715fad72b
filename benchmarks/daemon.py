"""A process that is started for a benchmark and ended with it."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

POLL_SECONDS = 0.1
STOP_SECONDS = 20


class DidNotStart(Exception):
    """The process ended, or was not ready in time; the message holds its last words."""


class Daemon:
    """`with Daemon(...) as daemon`: runs within the block. What it says goes to `log`; `user` is whom it runs as, where
    that is not us; `ending` is the signal that ends it in order."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        surroundings: Mapping[str, str] | None = None,
        user: str | None = None,
        ending: int = signal.SIGTERM,
    ) -> None:
        self._command = command
        self._log = log
        self._surroundings = {**os.environ, **(surroundings or {})}
        self._user = user
        self._ending = ending

    def __enter__(self) -> Daemon:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._surroundings,
                cwd=self._log.parent,
                start_new_session=True,  # a Ctrl-C ends us, and we end it
                **as_user(self._user),
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.send_signal(self._ending)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Raises DidNotStart."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self._process.poll() is not None:
                raise DidNotStart(f"it ended with {self._process.returncode}: {self.said()[-2000:]}")
            if time.monotonic() > deadline:
                raise DidNotStart(f"it was not ready after {seconds:.0f} s: {self.said()[-2000:]}")
            time.sleep(POLL_SECONDS)

    def said(self) -> str:
        """All that it has printed."""
        return self._log.read_text(errors="replace")


def end_in_order_on_sigterm() -> None:
    """SIGTERM ends this process as an exit does, so that no daemon stays behind."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def as_user(user: str | None) -> dict[str, Any]:
    """What to tell subprocess so that a command runs as this user and with no group of ours."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def ask(url: str, seconds: float = 15) -> Any:
    """The decoded JSON that GET answers. Raises OSError where that is no success."""
    with urllib.request.urlopen(url, timeout=seconds) as response:
        return json.load(response)


def answers(url: str) -> bool:
    """Whether GET succeeds."""
    try:
        ask(url, 2)
    except OSError:
        return False
    return True
