"""Debian's wrk as the load: what it is told to send, and what it says it saw."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from attrs import asdict, field, frozen

SCRIPT = Path(__file__).with_name("in_turn.lua")
REPORT = "report "
PATIENCE_SECONDS = 15
"""How long wrk waits for an answer before it counts an error: longer than any deadline of ours."""
MISSING = "wrk is not installed (Debian: apt-get install wrk)"
SPARE_SECONDS = 30
"""What wrk may take beyond the time it was given, before it is stopped."""


class Unusable(Exception):
    """wrk is missing, or ended without a report."""


@frozen
class Volley:
    """One request for each name, in turn. `path` and `body` are formats with one %s; an empty body is none.
    `pause`: milliseconds that each connection rests before a request."""

    method: str
    path: str
    names: tuple[str, ...]
    body: str = ""
    pause: int = 0


@frozen
class Errors:
    """How many requests failed, by kind; `status` counts answers of 400 and above."""

    connect: int = 0
    read: int = 0
    write: int = 0
    status: int = 0
    timeout: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{count} {kind}" for kind, count in asdict(self).items() if count) or "none"


@frozen
class Report:
    """One run of wrk; latencies in milliseconds, as wrk gives them: a stall counts for the requests that it held back."""

    requests: int
    seconds: float
    p50: float
    p99: float
    longest: float
    errors: Errors = field(factory=Errors)

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def parse_report(said: str) -> Report:
    """The report in what wrk printed. Raises Unusable."""
    lines = [line for line in said.splitlines() if line.startswith(REPORT)]
    if not lines:
        raise Unusable(f"wrk gave no report: {said.strip() or 'it said nothing'}")
    found = json.loads(lines[-1].removeprefix(REPORT))
    errors = Errors(**{kind: found[kind] for kind in ("connect", "read", "write", "status", "timeout")})
    p50, p99, longest = (found[name] / 1000 for name in ("p50", "p99", "max"))
    return Report(found["requests"], found["microseconds"] / 1e6, p50, p99, longest, errors)


def start(url: str, volley: Volley, connections: int, seconds: int) -> subprocess.Popen[str]:
    """Send the volley over and over for a while, from one thread. Raises Unusable where there is no wrk."""
    options = ["-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", f"{PATIENCE_SECONDS}s"]
    what = [volley.method, volley.path, volley.body, str(volley.pause), *volley.names]
    try:
        return subprocess.Popen(
            ["wrk", *options, "-s", str(SCRIPT), url, "--", *what],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except FileNotFoundError as error:
        raise Unusable(MISSING) from error


def finish(process: subprocess.Popen[str], seconds: int) -> Report:
    """Wait for its end; `seconds` as given to `start`. Raises Unusable."""
    try:
        said, _ = process.communicate(timeout=seconds + SPARE_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise Unusable(f"wrk has not ended {SPARE_SECONDS} s after its time") from error
    finally:
        process.kill()
    return parse_report(said)


def version() -> str:
    """Raises Unusable."""
    try:
        said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError as error:
        raise Unusable(MISSING) from error
    return said.split()[1] if said.startswith("wrk ") else "unknown"


def fire(url: str, volley: Volley, connections: int, seconds: int) -> Report:
    """`start` and `finish`. Raises Unusable."""
    return finish(start(url, volley, connections, seconds), seconds)
