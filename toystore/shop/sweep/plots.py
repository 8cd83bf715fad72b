"""The pictures of a sweep, drawn with matplotlib (the extra `bench`) from measured values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import frozen
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, PercentFormatter

from toystore.shop.sweep.results import Failover, Results, Round, SlotStory
from toystore.shop.sweep.timeline import CHANGED, REPLACED, Stay, stays
from toystore.shop.sweep.words import a
from toystore.shop.tally import KINDS

WIDE, HIGH = 8.0, 4.2
"""Inches."""
DPI = 110
LONGEST_NAME = 24
"""Characters, in a legend."""
MOMENT = 0.001
"""Seconds that a picture shows at least."""
SHORTEST_NAME = 6
ACROSS = 90
"""Characters: what is left of a name on a bar, and how many small ones there is room for across the picture."""
CACHE_COLOURS = {True: "#1f6fb4", False: "#d9630a"}
CACHE_NAMES = {True: "cache on", False: "cache off"}
KIND_COLOURS = dict(zip(KINDS, ("#1f6fb4", "#c0392b", "#2e8b57"), strict=True))
OUTCOME_MARKERS = {True: ".", False: "x"}


@frozen
class Picture:
    """A file in the directory of the report; `says` is what is to be seen, for those who can not see it."""

    file: str
    says: str


def draw_all(results: Results, directory: Path) -> list[Picture]:
    """One of each kind of request, of the cache's contents and of the failover, where they were measured."""
    pictures = []
    for kind in KINDS:
        if any(found.latency[kind] is not None for found in results.rounds):
            picture = Picture(
                f"latency-{kind.replace(' ', '-')}.png", f"latency of {a(kind)}, by the probability of an order"
            )
            _save(draw_latency(results.rounds, kind), directory / picture.file)
            pictures.append(picture)
    if results.study is not None and results.study.slots.events:
        picture = Picture("cache-contents.png", "which product sat in which slot of the cache, over time")
        _save(draw_slots(results.study.slots), directory / picture.file)
        pictures.append(picture)
    picture = Picture("failover.png", "latency of each request while the leader dies and another takes over")
    _save(draw_failover(results.failover), directory / picture.file)
    return [*pictures, picture]


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=DPI)


def _panel(title: str, high: float = HIGH) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDE, high), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def draw_latency(rounds: Sequence[Round], kind: str) -> Figure:
    """Average and 95th percentile by the probability of an order."""
    figure, axes = _panel(f"Latency of {a(kind)}")
    for cache in dict.fromkeys(found.cache for found in rounds):
        of_kind = [(found.probability, found.latency[kind]) for found in rounds if found.cache is cache]
        known = sorted((p, latency) for p, latency in of_kind if latency is not None)
        places = [p for p, _ in known]
        colour, name = CACHE_COLOURS[cache], CACHE_NAMES[cache]
        axes.plot(places, [latency.avg for _, latency in known], "o-", color=colour, label=f"{name}: average")
        axes.plot(places, [latency.p95 for _, latency in known], "^:", color=colour, alpha=0.7, label=f"{name}: p95")
    axes.set_xlabel("probability of an order after a lookup")
    axes.set_ylabel("milliseconds")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.set_xticks(sorted({found.probability for found in rounds}))
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    return figure


def draw_slots(story: SlotStory) -> Figure:
    """A bar for each stay of a product in a slot; how it ended is at the right end of the bar."""
    found = stays(story)
    end = max(MOMENT, *(stay.end for stay in found))
    figure, axes = _panel(
        "What the cache held   (black: replaced by another product; white: left, as it had changed)",
        max(2.6, 1.5 + 0.5 * story.capacity),
    )
    names = list(dict.fromkeys(stay.name for stay in found))
    palette = colormaps["tab20"]
    colours = {name: palette(n % 20) for n, name in enumerate(sorted(names))}
    for stay in found:
        axes.barh(stay.slot, stay.end - stay.begin, left=stay.begin, height=0.72, color=colours[stay.name])
        _mark_end(axes, stay)
        room = int((stay.end - stay.begin) / end * ACROSS) - 2
        if room >= min(len(stay.name), SHORTEST_NAME):
            middle = (stay.begin + stay.end) / 2
            axes.text(middle, stay.slot, shortened(stay.name, room), ha="center", va="center", fontsize=7)
    axes.set_yticks(range(story.capacity), [f"slot {slot}" for slot in range(story.capacity)])
    axes.invert_yaxis()
    axes.set_xlim(0, end)
    axes.set_xlabel("seconds")
    handles = [Patch(color=colours[name], label=shortened(name)) for name in sorted(names)]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
    return figure


def _mark_end(axes: Axes, stay: Stay) -> None:
    if stay.ended is None:
        return
    colour = {REPLACED: "black", CHANGED: "white"}[stay.ended]
    axes.plot([stay.end, stay.end], [stay.slot - 0.36, stay.slot + 0.36], color=colour, linewidth=1.6)


def shortened(name: str, longest: int = LONGEST_NAME) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def draw_failover(failover: Failover) -> Figure:
    """A point for each request, where it was sent and how long it took."""
    figure, axes = _panel(f"Latency while {failover.leader} dies")
    for kind, colour in KIND_COLOURS.items():
        for answered, marker in OUTCOME_MARKERS.items():
            points = [
                (answer.at - failover.began, 1000 * answer.seconds)
                for answer in failover.answers
                if answer.kind == kind and (answer.outcome in ("2xx", "4xx")) is answered
            ]
            if points:
                label = kind if answered else f"{kind} that failed"
                axes.plot(*zip(*points, strict=True), marker, color=colour, markersize=4, alpha=0.7, label=label)
    for at, done in ((failover.killed, "killed"), (failover.started, "started again")):
        axes.axvline(at - failover.began, color="black", linestyle="--", linewidth=1)
        place = (at - failover.began, 1.0)
        axes.annotate(f" {failover.leader} {done}", place, xycoords=("data", "axes fraction"), va="top", fontsize=9)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if failover.longest is not None:
        axes.set_ylim(top=3000 * failover.longest.seconds)  # room for the words at the lines
    axes.set_xlabel("seconds at which the request was sent")
    axes.set_ylabel("milliseconds (logarithmic)")
    axes.grid(axis="y", alpha=0.3)
    if failover.answers:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    return figure
