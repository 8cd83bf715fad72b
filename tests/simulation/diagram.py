"""Draws a run: one column a node, time downward, what was said and done before a promise was broken.

::

               front-1   order-1   order-2   order-3
      1.0105      ■         │         ║         │       stores v4(order-2, e2, sync 1+2+3)
      1.0105      │─────────────────────────────▶       Ping v4(order-2, e2, sync 1+2+3)

A line that is double is that of a leader, a broken one is of a process that is down. What arrives at once is one row, what
is late has a row when it leaves and one when it arrives. Rows are chosen first (`rows`), then written as text or as SVG.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from attrs import frozen

from tests.simulation.tape import Event, Noted, Sent, Tape

PROMPT = 0.005
"""Seconds within which a message arrives at once."""
COLUMN, MARGIN = 10, 11
"""Characters for a node, and for the time."""

UP, LEADS, DOWN = "│", "║", "┊"
END = "VIOLATION"
SIGNS = (
    ("fault:", "⚡"), (END, "✗"), ("leads in", "★"), ("leads no more", "☆"), ("dies", "✝"), ("stops", "✝"),
    ("is up", "○"), ("has saved", "■"), ("stores", "■"), ("commits", "✓"), ("drops", "⌫"), ("installs", "▣"),
    ("takes a new", "◇"),
)  # fmt: skip
LEGEND = (
    "║ leads  ┊ is down  ■ on disk  ✓ committed  ★ ☆ leads, no more  ✝ ○ dies, is up  ⚡ fault  ╌▷ late, arrives ▶  ✗ lost"
)
USUAL = ("applies",)
"""Beginnings of notes that say nothing new."""


@frozen
class Row:
    """An arrow `goes` from `node` to `to`, or something happens at `node` ("" for all). `lines` are of all columns."""

    at: float
    lines: Mapping[str, str]
    text: str
    node: str = ""
    to: str = ""
    sign: str = "●"
    goes: str = ""
    """"": at once; "late": it leaves; "arrives"; "lost"."""
    skipped: bool = False
    """Something between it and the row before is left out."""


def rows(tape: Tape, nodes: Sequence[str] = (), last: float | None = None, count: int = 44) -> list[Row]:
    """The last `count` rows, and no more than the last so many seconds, of what matters; of these nodes only."""
    nodes = nodes or tape.nodes
    chosen: list[Row] = []
    skipped = False
    for row, usual in _all_rows(tape):
        concerned = row.node in nodes and (not row.to or row.to in nodes) if row.node else True
        if concerned and not usual:
            chosen.append(row if not skipped else _skipping(row))
            skipped = False
        else:
            skipped = True
    end = chosen[-1].at if chosen else 0.0
    return [row for row in chosen if last is None or row.at >= end - last][-count:]


def _skipping(row: Row) -> Row:
    return Row(row.at, row.lines, row.text, row.node, row.to, row.sign, row.goes, skipped=True)


def _all_rows(tape: Tape) -> Iterator[tuple[Row, bool]]:
    """Each with whether it says nothing new."""
    lines = dict.fromkeys(tape.nodes, UP)
    for at, arrives, event in _in_order(tape.events):
        if isinstance(event, Noted):
            _follow(lines, event)
            yield _noted(event, dict(lines)), event.text.startswith(USUAL)
        elif event.sender in lines and event.to in lines:
            row = _sent(at, event, arrives, dict(lines))
            yield row, event.usual or (row.goes == "lost" and not arrives and event.text.startswith(("hears", "Heartbeat")))


def _in_order(events: Sequence[Event]) -> list[tuple[float, bool, Event]]:
    """Each when it happened; messages that are late, and second copies, once more when they arrive."""
    found = [(event.at, False, event) for event in events]
    for event in events:
        if isinstance(event, Sent):
            late = event.delays if _is_late(event) else event.delays[1:]
            found += [(event.at + delay, True, event) for delay in late]
    return sorted(found, key=lambda item: (round(item[0], 6), isinstance(item[2], Noted) and item[2].text.startswith(END)))


def _is_late(event: Sent) -> bool:
    return bool(event.delays) and min(event.delays) > PROMPT


def _follow(lines: dict[str, str], event: Noted) -> None:
    """Who is up, who leads."""
    if event.node not in lines:
        return
    if event.text.startswith("leads in"):
        lines[event.node] = LEADS
    elif event.text.startswith(("leads no more", "is up")):
        lines[event.node] = UP
    elif event.text.startswith("dies") or event.text == "stops":
        lines[event.node] = DOWN


def _noted(event: Noted, lines: Mapping[str, str]) -> Row:
    sign = next((sign for begins, sign in SIGNS if event.text.startswith(begins)), "●")
    node, text = event.node, event.text.strip().splitlines()[0]
    if text.startswith("fault:"):
        aimed = text.partition(" at ")[2].split(" ")[0].rstrip(",")
        text = "fault: " + text.partition(" s  ")[2]
        node = aimed if aimed in lines else ""
    return Row(event.at, lines, f"{node} {text}" if node and event.node else text, node, sign=sign)


def _sent(at: float, event: Sent, arrives: bool, lines: Mapping[str, str]) -> Row:
    if arrives:
        after = f", sent {at - event.at:.3f} s ago"
        dead = lines[event.to] == DOWN
        return Row(
            at, lines, event.text + after + (" (nobody there)" if dead else ""), event.sender, event.to, goes="arrives"
        )
    if not event.delays:
        return Row(at, lines, f"{event.text} (lost)", event.sender, event.to, goes="lost")
    if _is_late(event):
        return Row(at, lines, f"{event.text} (late)", event.sender, event.to, goes="late")
    if lines[event.to] == DOWN:
        return Row(at, lines, f"{event.text} (nobody there)", event.sender, event.to, goes="lost")
    return Row(at, lines, event.text, event.sender, event.to)


# Text -----------------------------------------------------------------------------------------------------------------


def text(tape: Tape, chosen: Sequence[Row], nodes: Sequence[str] = (), width: int = 150) -> str:
    """No line is longer than `width` characters."""
    names = [node for node in tape.nodes if node in (nodes or tape.nodes)]
    head = " " * MARGIN + "".join(f"{name:^{COLUMN}}" for name in names)
    lines = [head.rstrip()]
    before = None
    for row in chosen:
        if row.skipped and before is not None and row.at - before > 0.02:
            lines.append(f"{'⋮':>{MARGIN - 2}}  " + "".join(f"{row.lines[name]:^{COLUMN}}" for name in names).rstrip())
        before = row.at
        line = f"{row.at:9.4f}  {_columns(row, names)}  {row.text}"
        lines.append(line if len(line) <= width else line[: width - 1] + "…")
    return "\n".join([*lines, "", LEGEND]) + "\n"


def _columns(row: Row, names: Sequence[str]) -> str:
    cells = [" "] * (COLUMN * len(names))
    places = {name: COLUMN * number + (COLUMN - 1) // 2 for number, name in enumerate(names)}
    for name, place in places.items():
        cells[place] = row.lines[name]
    if row.to:
        _arrow(cells, places[row.node], places[row.to], row.goes)
    elif row.node in places:
        cells[places[row.node]] = row.sign
    elif row.sign != "●":
        cells = ["━" if cell == " " else cell for cell in cells]
    return "".join(cells)


def _arrow(cells: list[str], start: int, end: int, goes: str) -> None:
    step = 1 if end > start else -1
    between = list(range(start + step, end, step))
    stroke = "╌" if goes in ("late", "arrives") else "─"
    if goes == "lost":
        between = between[: max(2, len(between) - COLUMN // 2)]
    for place in between:
        cells[place] = stroke
    heads = {"late": "▷◁", "lost": "✗✗"}.get(goes, "▶◀")
    cells[between[-1]] = heads[0] if step > 0 else heads[1]


# SVG ------------------------------------------------------------------------------------------------------------------

STEP, SPACE, LEFT, TOP = 18, 90, 80, 30
"""Pixels: from row to row, from node to node, for the time, for the names."""
STROKES = {UP: "#888", LEADS: "#000", DOWN: "none"}


def svg(tape: Tape, chosen: Sequence[Row], nodes: Sequence[str] = ()) -> str:
    names = [node for node in tape.nodes if node in (nodes or tape.nodes)]
    places = {name: LEFT + SPACE * number + SPACE // 2 for number, name in enumerate(names)}
    right = LEFT + SPACE * len(names)
    width, height = right + 7 * max([len(row.text) for row in chosen], default=0), TOP + STEP * (len(chosen) + 1)
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="monospace" font-size="11">',
        '<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z"/></marker></defs>',
        *(f'<text x="{place}" y="{TOP - 14}" text-anchor="middle">{escape(name)}</text>' for name, place in places.items()),
    ]
    for number, row in enumerate(chosen):
        y = TOP + STEP * number
        for name, place in places.items():
            line = f'stroke="{STROKES[row.lines[name]]}" stroke-width="{3 if row.lines[name] == LEADS else 1}"'
            drawn.append(f'<path d="M{place} {y - STEP // 2}v{STEP}" {line}/>')
        drawn.append(f'<text x="4" y="{y + 4}">{row.at:.4f}</text><text x="{right}" y="{y + 4}">{escape(row.text)}</text>')
        drawn += _drawn(row, places, y)
    return "\n".join([*drawn, "</svg>"]) + "\n"


def _drawn(row: Row, places: Mapping[str, int], y: int) -> Iterator[str]:
    if row.to:
        start, end = places[row.node], places[row.to]
        dashes = ' stroke-dasharray="4 3"' if row.goes in ("late", "arrives") else ""
        if row.goes == "lost":
            end = (start + end) // 2
            yield f'<text x="{end}" y="{y + 4}" text-anchor="middle" fill="#b00">✗</text>'
        marker = "" if row.goes in ("lost", "late") else ' marker-end="url(#a)"'
        yield f'<path d="M{start} {y}H{end}" stroke="#000"{dashes}{marker}/>'
    elif row.node in places:
        yield f'<text x="{places[row.node]}" y="{y + 5}" text-anchor="middle" font-size="14">{row.sign}</text>'
