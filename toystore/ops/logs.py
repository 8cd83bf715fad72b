"""What a role tells on stderr: one line an event.

The level is that of `TOYSTORE_LOG` (debug, info, warn, error, critical), else info. `TOYSTORE_LOG_FORMAT=json` gives
JSON.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from twisted.logger import (
    FilteringLogObserver,
    ILogFilterPredicate,
    ILogObserver,
    InvalidLogLevelError,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    PredicateResult,
    eventAsJSON,
    formatEvent,
)
from zope.interface import implementer

QUIET = ("twisted.web.client", "twisted.web.server", "twisted.internet.protocol", "toystore.web.site.LimitedSite")
"""Their news about factories that start and stop tell an operator nothing."""


@implementer(ILogObserver)
class LineObserver:
    """`2026-11-20T22:00:00.123Z order-1 info toystore.replication: text`, and the traceback of a failure below it."""

    def __init__(self, node: str, out: TextIO) -> None:
        self._node, self._out = node, out

    def __call__(self, event: LogEvent) -> None:
        at = datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        level = event.get("log_level", LogLevel.info).name
        text = formatEvent(event) or str(event.get("log_text", ""))
        failure = event.get("log_failure")
        if failure is not None:
            text = f"{text}\n{failure.getTraceback()}".rstrip()
        self._out.write(f"{at} {self._node} {level} {event.get('log_namespace', '-')}: {text}\n")
        self._out.flush()


@implementer(ILogObserver)
class JsonObserver:
    """One JSON object a line."""

    def __init__(self, node: str, out: TextIO) -> None:
        self._node, self._out = node, out

    def __call__(self, event: LogEvent) -> None:
        self._out.write(eventAsJSON({**event, "node": self._node}) + "\n")
        self._out.flush()


@implementer(ILogFilterPredicate)
class Quiet:
    """Drops what Twisted says below a warning about its own factories."""

    def __call__(self, event: LogEvent) -> Any:
        namespace = event.get("log_namespace") or ""
        dull = namespace.startswith(QUIET) and event.get("log_level", LogLevel.info) < LogLevel.warn
        return PredicateResult.no if dull else PredicateResult.maybe


def log_observer(node: str, level: str | None = None) -> ILogObserver:
    """Writes the events of this process to stderr, from `level` (default: TOYSTORE_LOG, else info) up.

    Raises ValueError for an unknown level.
    """
    wanted = level or os.environ.get("TOYSTORE_LOG") or "info"
    try:
        least = LogLevel.levelWithName(wanted)
    except InvalidLogLevelError as error:
        known = ", ".join(known.name for known in LogLevel.iterconstants())
        raise ValueError(f"TOYSTORE_LOG is {wanted!r}; it must be one of {known}") from error
    json = os.environ.get("TOYSTORE_LOG_FORMAT") == "json"
    observer = JsonObserver(node, sys.stderr) if json else LineObserver(node, sys.stderr)
    return FilteringLogObserver(observer, [Quiet(), LogLevelFilterPredicate(least)])
