"""Results for people: tables as reStructuredText, to be pasted into a page as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from benchmarks.contender import Case
from benchmarks.machine import CommitTime
from benchmarks.rounds import Run, Summary

NONE = "-"
Summaries = Mapping[tuple[Case, str], Summary | None]


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A simple table; all columns but the first are numbers and stand to the right."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip()

    return "\n".join([rule, line(headings), rule, *map(line, rows), rule])


def comparison(summaries: Summaries) -> str:
    """Ours beside the peer, where there is one: a line for each case."""
    labels = list(dict.fromkeys(label for _, label in summaries))
    headings = ["case"]
    for label in labels:
        headings += [f"{label} /s", "lowest-highest", "p50 ms", "p99 ms"]
    if len(labels) == 2:
        headings.append(f"{labels[0]}/{labels[1]}")
    rows = []
    for case in dict.fromkeys(case for case, _ in summaries):
        found = [summaries[case, label] for label in labels]
        row = [case.name]
        for summary in found:
            row += _cells(summary)
        if len(found) == 2:
            ours, peer = found
            row.append(f"{ours.rate / peer.rate:.2f}" if ours and peer else NONE)
        rows.append(row)
    return table(headings, rows)


def _cells(summary: Summary | None) -> list[str]:
    if summary is None:
        return ["invalid", NONE, NONE, NONE]
    spread = f"{summary.lowest:,.0f}-{summary.highest:,.0f}"
    return [f"{summary.rate:,.0f}", spread, f"{summary.p50:.2f}", f"{summary.p99:.2f}"]


def work(summaries: Summaries, label: str) -> str:
    """Microseconds of processor time that each of a contender's processes spends on a buy."""
    found = {case: s for (case, whose), s in summaries.items() if whose == label and case.kind == "buy" and s is not None}
    names = list(dict.fromkeys(name for summary in found.values() for name in summary.cpu))
    rows = [
        [case.name, *(f"{s.cpu[name]:.0f}" if name in s.cpu else NONE for name in names), f"{sum(s.cpu.values()):.0f}"]
        for case, s in found.items()
    ]
    return table([f"{label}, µs a buy", *names, "all"], rows)


def commits(before: Mapping[str, CommitTime], after: Mapping[str, CommitTime]) -> str:
    """The disk, before the first round and after the last."""
    rows = [
        [name, *(f"{value:.2f}" for when in (before, after) for value in (when[name].p50, when[name].p99))]
        for name in before
    ]
    return table(["commit time, ms", "p50 before", "p99 before", "p50 after", "p99 after"], rows)


def notes(runs: Sequence[Run]) -> str:
    """A line for each run that was not valid, or in which something happened."""
    told = (
        (("INVALID", run, what) for run in runs for what in run.faults),
        (("note", run, what) for run in runs for what in run.remarks),
    )
    return "\n".join(f"{kind}: round {run.round}, {run.case.name}, {run.label}: {what}" for kind, run, what in chain(*told))
