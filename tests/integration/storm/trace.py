"""What `strace -f -ttt -T -y` wrote: the calls of a process, with the times at which they began and ended."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

_LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)")
_CALL = re.compile(r"(\w+)\((\d+)?(?:<(.*?)>)?")
_RESULT = re.compile(r".*= (-?\d+)[^=]*?(?: <(\d+\.\d+)>)?$")
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>")


@frozen
class Call:
    """A system call on a file descriptor. Times in seconds since 1970."""

    name: str
    file: str
    text: str
    begin: float
    end: float
    result: int

    @property
    def receives(self) -> bool:
        return self.name in ("recvfrom", "read") and self.result > 0

    @property
    def sends(self) -> bool:
        return self.name in ("sendto", "sendmsg", "write", "writev") and self.file.startswith(("socket:", "TCP"))


def read_trace(text: str) -> list[Call]:
    """The calls that have ended, in the order in which they were told."""
    calls: list[Call] = []
    unfinished: dict[str, tuple[float, str]] = {}
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        thread, at, rest = found[1], float(found[2]), found[3]
        if rest.endswith("<unfinished ...>"):
            unfinished[thread] = at, rest.removesuffix("<unfinished ...>")
            continue
        begin, end = at, None
        if resumed := _RESUMED.match(rest):
            if thread not in unfinished:
                continue
            begin, start = unfinished.pop(thread)
            end, rest = at, start + rest[resumed.end() :]
        call, result = _CALL.match(rest), _RESULT.fullmatch(rest)
        if call is None or result is None:
            continue
        took = float(result[2] or 0)
        calls.append(Call(call[1], call[3] or "", rest, begin, at + took if end is None else end, int(result[1])))
    return calls


def synced_before(calls: Sequence[Call], key: str, deadline: float) -> Call | None:
    """The first sync, ended before `deadline`, of the file that an order with this key had been written to."""
    written = next(
        (call for call in calls if call.name == "pwrite64" and "ledger.db" in call.file and key in call.text), None
    )
    if written is None:
        return None
    return next(
        (
            call
            for call in calls
            if call.name in ("fsync", "fdatasync")
            and (call.file, call.result) == (written.file, 0)
            and written.end <= call.begin
            and call.end <= deadline
        ),
        None,
    )
