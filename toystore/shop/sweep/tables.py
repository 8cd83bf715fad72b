"""The figures of a sweep as CSV files, by name. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from attrs import astuple

from toystore.shop.sweep.results import Failover, Results, SlotStory
from toystore.shop.tally import FIGURES, Latency

MILLISECONDS = tuple(name if name == "count" else f"{name}_ms" for name in FIGURES)
Row = Sequence[object]


def csv_files(results: Results) -> Mapping[str, str]:
    """Their text by file name; a file is there only where it was measured."""
    files = {
        "latency.csv": _csv(
            (
                "dialect",
                "cache",
                "cache_size",
                "p",
                "clients",
                "iterations",
                "seed",
                "hits",
                "misses",
                "kind",
                *MILLISECONDS,
            ),
            _rounds(results),
        ),
        "bulk.csv": _csv(
            ("cache", "catalogs", "clients", "kind", "seconds", *MILLISECONDS),
            (
                (on_off(b.cache), b.catalogs, b.clients, b.kind, f"{b.seconds:.6f}", *astuple(b.latency))
                for b in results.bulks
            ),
        ),
        "failover.csv": _csv(("seconds", "what", "outcome", "ms"), _failover(results.failover)),
    }
    if results.study is not None:
        study = results.study
        rows: list[Row] = [(what, *astuple(found.latency)) for what, found in study.exercises.items()]
        rows += [(step, *astuple(latency)) for step, latency in study.after_writes.items()]
        files["cache.csv"] = _csv(("request", *MILLISECONDS), rows)
        files["cache-events.csv"] = _csv(("number", "seconds", "slot", "event", "name", "replaced"), _events(study.slots))
    return files


def on_off(cache: bool) -> str:
    return "on" if cache else "off"


def _rounds(results: Results) -> Iterable[Row]:
    plan = results.plan
    for found in results.rounds:
        size = plan.cache_size if found.cache else 0
        about = (plan.dialect, on_off(found.cache), size, found.probability, plan.clients, plan.iterations, plan.seed)
        for kind, latency in found.latency.items():
            yield (*about, found.counted.hits, found.counted.misses, kind, *_figures(latency))


def _figures(latency: Latency | None) -> Row:
    return astuple(latency) if latency is not None else (0, *[""] * (len(FIGURES) - 1))


def _failover(failover: Failover) -> Iterable[Row]:
    """By time; what was done to the leader stands among the requests."""
    requests: list[tuple[float, Row]] = [
        (answer.at, (answer.kind, answer.outcome, f"{1000 * answer.seconds:.3f}")) for answer in failover.answers
    ]
    requests.append((failover.killed, (f"{failover.leader} is killed", "", "")))
    requests.append((failover.started, (f"{failover.leader} is started", "", "")))
    for at, rest in sorted(requests, key=lambda request: request[0]):
        yield (f"{at - failover.began:.6f}", *rest)


def _events(story: SlotStory) -> Iterable[Row]:
    zero = story.events[0].at if story.events else 0.0
    for slot, name in sorted(story.first.items()):
        yield (0, f"{0:.6f}", slot, "there at first", name, "")
    for event in story.events:
        yield (event.number, f"{event.at - zero:.6f}", event.slot, event.event, event.name, event.replaced or "")


def _csv(header: Row, rows: Iterable[Row]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()
