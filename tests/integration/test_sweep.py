"""A small sweep, from the start of its stores to the page."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.integration.clusters import run_toystore
from tests.test_sweep import read_page

OPTIONS = "--dialect bazaar --p 0,0.9 --clients 2 --iterations 8 --requests 15 --cache-size 4"


@pytest.mark.long
@pytest.mark.row("B5", "B6", "B7", "K7", "K8")
def test_a_sweep_from_end_to_end(tmp_path: Path) -> None:
    out = tmp_path / "report"
    done = run_toystore("sweep", *OPTIONS.split(), "--out", str(out), seconds=240)
    assert done.code == 0, done

    def rows(name: str) -> list[dict[str, str]]:
        with (out / name).open(newline="") as file:
            return list(csv.DictReader(file))

    latency = {(row["cache"], row["p"], row["kind"]): row for row in rows("latency.csv")}
    assert len(latency) == 2 * 2 * 3
    for (cache, p, kind), row in latency.items():
        count = int(row["count"])
        assert count == 16 if kind == "lookup" else (count > 0) is (p == "0.9"), (cache, p, kind)
        assert not count or 0 < float(row["p50_ms"]) <= float(row["p95_ms"]) <= float(row["max_ms"])
        assert cache == "on" or row["hits"] == "0"

    bulk = rows("bulk.csv")
    assert len(bulk) == 2 * 2 * 2 * 3
    assert {row["count"] for row in bulk} == {"15"}
    assert [row["request"] for row in rows("cache.csv")][:2] == ["hit", "miss"]
    assert any(row["replaced"] for row in rows("cache-events.csv"))
    assert {row["slot"] for row in rows("cache-events.csv")} == {"0", "1", "2", "3"}
    around = [row["what"] for row in rows("failover.csv")]
    killed = next(n for n, what in enumerate(around) if what.endswith("is killed"))
    assert 0 < killed < len(around) - 1, "customers came before and after"

    page = read_page((out / "index.html").read_text())
    assert len(page.pictures) == 5
    for picture in page.pictures:
        assert (out / str(picture["src"])).read_bytes().startswith(b"\x89PNG")
    assert "Percent speed up: " in page.text
    assert "the front end counted 15 hits and 0 misses" in page.text
    assert "0 hits and 15 misses" in page.text
    assert "were asked for, and were as promised." in page.text
    assert "toystore sweep --dialect bazaar --clients 2 --p 0,0.9 --cache on,off --cache-size 4" in page.text
