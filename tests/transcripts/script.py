"""A transcript as text: comments (`# Q1 ...`), commands (`$ curl ...`), and what each printed, indented beneath it.

What is another thing each time, such as dates and positions in the log, is shown as `*`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

INDENT = "    "

HEADERS = re.compile(r"^(Date|Toystore-Index|ETag): .*|^(Idempotency-Key): [0-9a-f]{24}$")
VALUES = re.compile(r'("(?:at|version|request_id)":)("[^"]*"|[0-9]+)|("leader":)(?:"127\.0\.0\.1:[0-9]+"|[1-9])')
ROW = re.compile(r"\b[A-Z][0-9]{1,2}\b")


def played(text: str, run: Callable[[str], str]) -> str:
    """The transcript with what its commands print now."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("# "):
            if lines and not lines[-1].startswith("# "):
                lines.append("")
            lines.append(line)
        elif line.startswith("$ "):
            lines.append(line)
            lines += [f"{INDENT}{printed}".rstrip() for printed in masked(run(line.removeprefix("$ ")).splitlines())]
    return "\n".join(lines) + "\n"


def rows_in(text: str) -> set[str]:
    """The ids of the rows that the comments name."""
    comments = [line for line in text.splitlines() if line.startswith("# ")]
    return {row for comment in comments for row in ROW.findall(comment)}


def masked(lines: Iterable[str]) -> list[str]:
    """Without what is another thing each time; the length of an answer of which a part is hidden is hidden too."""
    shown: list[str] = []
    length = None
    for line in lines:
        if line.startswith("HTTP/"):
            length = None
        elif line.startswith("Content-Length: "):
            length = len(shown)
        hidden = VALUES.sub(lambda found: f"{found[1] or found[3]}*", line)
        if hidden != line and length is not None:
            shown[length] = "Content-Length: *"
        shown.append(HEADERS.sub(lambda found: f"{found[1] or found[2]}: *", hidden))
    return shown
