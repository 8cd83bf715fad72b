"""The page of a sweep: figures in words, pictures and tables, in one HTML file that needs nothing but what lies beside it.
Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Protocol

from toystore.shop.sweep import words
from toystore.shop.sweep.results import CacheStudy, Results
from toystore.shop.sweep.tables import on_off
from toystore.shop.sweep.timeline import replacements
from toystore.shop.tally import KINDS, Latency

MOST_PAIRS = 15
"""Replacements that are listed."""

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
th, td { padding: 0.15rem 0.7rem; text-align: right; border-bottom: 1px solid #eee; }
th { border-bottom: 2px solid #999; } .text { text-align: left; }
pre { background: #f4f4f4; padding: 0.7rem; overflow-x: auto; } .note { color: #555; font-size: 0.9rem; }
"""

LATENCY_HEADS = ("requests", "average", "p50", "p95", "p99", "longest")


class Drawn(Protocol):
    """A picture beside the page, and what is to be seen on it."""

    @property
    def file(self) -> str: ...

    @property
    def says(self) -> str: ...


def page(results: Results, pictures: Sequence[Drawn], files: Sequence[str]) -> str:
    """The whole document; `files` are those that the reader finds beside it."""
    plan, setting = results.plan, results.setting
    of = {picture.file: picture for picture in pictures}
    latencies = [picture for file, picture in of.items() if file.startswith("latency-")]
    study = results.study
    sections = [_section("The cache's benefit", words.benefit(results), latencies, _rounds(results))]
    if study is not None:
        contents = _those(of, "cache-contents.png")
        sections += [
            _section("Hits and misses", words.hit_or_miss(study), [], _exercises(study)),
            _section("What the cache held", words.contents(study), contents, _replacements(study)),
            _section("Write, then read", words.after_writes(study), [], _after_writes(study)),
        ]
    sections += [
        _section("Requests in bulk", words.in_bulk(results), [], _bulks(results)),
        _section("While the leader dies", words.failover(results), _those(of, "failover.png"), ""),
    ]
    shape = (
        f"{plan.clients} customers of the dialect {plan.dialect} at once, {plan.iterations} lookups each at every "
        f"probability of an order; three order replicas, two catalogs, a front end with a cache for {plan.cache_size} of "
        f"{setting.products} products, and one without."
    )
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
            f"<title>toystore sweep: {escape(plan.dialect)}</title><style>{STYLE}</style></head><body>",
            f"<h1>How fast is the store? The dialect {escape(plan.dialect)}</h1>",
            _paragraph(shape),
            _paragraph(words.verdict(results)),
            *sections,
            "<h2>How to repeat it</h2>",
            f"<pre>{escape(setting.command)}</pre>",
            _paragraph(
                f"Measured {setting.date} with toystore {setting.version} on {setting.machine}; store and customers shared "
                "this machine. Times are those that a customer waits, over a kept connection on the loopback. They differ "
                "from run to run, and with what else the machine does; what is asked for is chosen by the seed.",
            ),
            _paragraph(f"The figures are in {', '.join(files)}."),
            "</body></html>",
            "",
        ]
    )


def _those(pictures: dict[str, Drawn], file: str) -> list[Drawn]:
    return [pictures[file]] if file in pictures else []


def _section(title: str, sentences: Iterable[str], pictures: Iterable[Drawn], table: str) -> str:
    parts = [_paragraph(sentence) for sentence in sentences]
    parts += [f'<p><img src="{escape(picture.file)}" alt="{escape(picture.says)}"></p>' for picture in pictures]
    parts += [table] if table else []
    return "\n".join([f"<h2>{escape(title)}</h2>", *parts])


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]], texts: int, note: str = "") -> str:
    """The first `texts` columns are texts, the others numbers. Empty where there are no rows."""

    def cells(tag: str, row: Sequence[object]) -> str:
        kinds = [' class="text"' if n < texts else "" for n in range(len(row))]
        return "".join(f"<{tag}{kind}>{escape(str(cell))}</{tag}>" for kind, cell in zip(kinds, row, strict=True))

    body = [f"<tr>{cells('td', row)}</tr>" for row in rows]
    if not body:
        return ""
    below = f'<p class="note">{escape(note)}</p>' if note else ""
    return "\n".join([f"<table><tr>{cells('th', heads)}</tr>", *body, f"</table>{below}"])


def _figures(latency: Latency) -> tuple[str, ...]:
    times = (latency.avg, latency.p50, latency.p95, latency.p99, latency.max)
    return (str(latency.count), *(f"{milliseconds:.2f}" for milliseconds in times))


def _rounds(results: Results) -> str:
    def rows() -> Iterator[Sequence[object]]:
        for kind in KINDS:
            for found in sorted(results.rounds, key=lambda found: (not found.cache, found.probability)):
                latency = found.latency[kind]
                if latency is not None:
                    yield (kind, on_off(found.cache), f"{100 * found.probability:g} %", *_figures(latency))

    return _table(("request", "cache", "p", *LATENCY_HEADS), rows(), 2, "Times in milliseconds.")


def _exercises(study: CacheStudy) -> str:
    rows = [
        (what, *_figures(found.latency), found.counted.hits, found.counted.misses) for what, found in study.exercises.items()
    ]
    heads = ("lookup", *LATENCY_HEADS, "hits counted", "misses counted")
    return _table(heads, rows, 1, "Times in milliseconds, one customer.")


def _after_writes(study: CacheStudy) -> str:
    rows = [(step, *_figures(latency)) for step, latency in study.after_writes.items()]
    return _table(("request", *LATENCY_HEADS), rows, 1, "Times in milliseconds, one customer.")


def _replacements(study: CacheStudy) -> str:
    pairs = list(replacements(study.slots).items())
    rows = [(old, new, count) for (old, new), count in pairs[:MOST_PAIRS]]
    more = len(pairs) - len(rows)
    note = f"And {more} more pairs; cache-events.csv has every event." if more else "cache-events.csv has every event."
    return _table(("this product", "was replaced by", "times"), rows, 2, note)


def _bulks(results: Results) -> str:
    rows = [
        (b.kind, on_off(b.cache), b.catalogs, b.clients, *_figures(b.latency), f"{b.rate:.0f}")
        for b in sorted(results.bulks, key=lambda b: (KINDS.index(b.kind), not b.cache, b.catalogs, b.clients))
    ]
    heads = ("request", "cache", "catalogs", "customers", *LATENCY_HEADS, "per second")
    return _table(heads, rows, 2, "Times in milliseconds. One customer sends one request after the other.")
