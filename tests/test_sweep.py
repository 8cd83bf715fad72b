"""The pure parts of a sweep: its plan, the timeline of the cache, its CSV files, its words and its page."""

from __future__ import annotations

import csv
from html.parser import HTMLParser
from pathlib import Path

import pytest
from attrs import evolve
from click.testing import CliRunner

from tests.support.sweeps import FAILOVER, STORY, emptied, filled, make_results
from toystore.cli import main
from toystore.commands import sweep
from toystore.shop.sweep import words
from toystore.shop.sweep.page import page
from toystore.shop.sweep.plan import Plan, parse_caches, parse_probabilities
from toystore.shop.sweep.plots import Picture
from toystore.shop.sweep.results import Results, SlotStory
from toystore.shop.sweep.tables import csv_files
from toystore.shop.sweep.timeline import CHANGED, REPLACED, Stay, replacements, stays

# The plan


@pytest.mark.row("B5")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0:0.8:0.2", (0.0, 0.2, 0.4, 0.6, 0.8)),
        ("0:1:0.3", (0.0, 0.3, 0.6, 0.9)),
        ("0.5:0.5:1", (0.5,)),
        ("0.4", (0.4,)),
        ("0,0.4,1", (0.0, 0.4, 1.0)),
    ],
)
def test_probabilities_are_read(text: str, expected: tuple[float, ...]) -> None:
    assert parse_probabilities(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("much", "'much' is not FIRST:LAST:STEP such as 0:0.8:0.2"),
        ("", "is not FIRST:LAST:STEP"),
        ("0:1", "is not FIRST:LAST:STEP"),
        ("0:1,2", "is not FIRST:LAST:STEP"),
        ("0:1:0", "the step must be above 0"),
        ("0.8:0:0.2", "the first must not be above the last"),
        ("0:nan:0.1", "the step must be above 0"),
        ("0:1:0.001", "1001 probabilities; at most 101"),
        ("0:2:1", "a probability is from 0 to 1"),
        ("nan", "a probability is from 0 to 1"),
        ("0.1,0.10", "twice"),
    ],
)
def test_what_is_no_probability_is_told(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_probabilities(text)


def test_caches_are_read() -> None:
    assert (parse_caches("on,off"), parse_caches("off")) == ((True, False), (False,))
    for wrong in ("", "on,on", "maybe"):
        with pytest.raises(ValueError, match="is not on, off, or on,off"):
            parse_caches(wrong)


@pytest.mark.row("K7")
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--cache-size", "10"], "--cache-size 10: it must be below 10, the products there are, so that some are replaced"),
        (["--p", "0:2:1"], "a probability is from 0 to 1"),
        (["--cache", "maybe"], "'maybe' is not on, off, or on,off"),
        (["--out", "/dev/null/there"], "--out /dev/null/there: Not a directory"),
    ],
)
def test_wrong_usage_of_the_command_is_told(options: list[str], says: str) -> None:
    done = CliRunner().invoke(main, ["sweep", "--dialect", "toys", "--out", "/nowhere", *options])
    assert done.exit_code == 2
    assert says in done.output


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sweep.importlib.util, "find_spec", lambda name: None)
    done = CliRunner().invoke(main, ["sweep", "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "pip install 'toystore[bench]'" in done.output
    assert not (tmp_path / "out").exists()


def test_the_command_that_repeats_it_reads_as_the_same_plan() -> None:
    plan = Plan("bazaar", (0.0, 0.2), (False,), 3, 7, 20, 4, 9)
    assert sweep.as_command(plan, Path("a b")) == (
        "toystore sweep --dialect bazaar --clients 3 --p 0,0.2 --cache off --cache-size 4 --iterations 7 --requests 20 "
        "--seed 9 --out 'a b'"
    )


# The cache over time


@pytest.mark.row("B7", "K7")
def test_what_sat_in_which_slot_and_what_ended_it() -> None:
    assert stays(STORY) == [
        Stay(0, "Tux", 0.0, 1.0, REPLACED),
        Stay(0, "Lego", 1.0, 4.0, REPLACED),
        Stay(0, "Fox", 4.0, 4.0, None),
        Stay(1, "Fox", 0.0, 2.0, CHANGED),
        Stay(1, "Tux", 3.0, 4.0, None),
    ]
    assert replacements(STORY) == {("Tux", "Lego"): 1, ("Lego", "Fox"): 1}
    assert stays(SlotStory(1, {0: "Tux"}, ())) == [Stay(0, "Tux", 0.0, 0.0, None)]


def test_the_most_frequent_replacement_comes_first() -> None:
    events = [filled(1, 0.0, 0, "a", "b"), filled(2, 0.0, 0, "b", "a"), filled(3, 0.0, 0, "a", "b"), emptied(4, 0.0, 0, "a")]
    assert list(replacements(SlotStory(1, {}, events)).items()) == [(("b", "a"), 2), (("a", "b"), 1)]


# The files


def rows(results: Results, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(csv_files(results)[name].splitlines()))


@pytest.mark.row("B5")
def test_the_latency_of_every_combination_is_a_row() -> None:
    found = rows(make_results(), "latency.csv")
    assert len(found) == 2 * 2 * 3
    assert {(row["cache"], row["cache_size"]) for row in found} == {("on", "5"), ("off", "0")}
    first, none = found[0], found[1]
    assert (first["p"], first["kind"], first["count"], first["avg_ms"], first["p99_ms"]) == (
        "0.0",
        "lookup",
        "10",
        "1.0",
        "3.0",
    )
    assert (first["hits"], first["misses"]) == ("6", "4")
    assert (none["kind"], none["count"], none["avg_ms"]) == ("buy", "0", "")


@pytest.mark.row("B6", "B7", "K8")
def test_the_other_files() -> None:
    results = make_results()
    bulk = rows(results, "bulk.csv")
    assert len(bulk) == 2 * 2 * 3 * 2
    assert {(row["catalogs"], row["clients"]) for row in bulk} == {("1", "1"), ("1", "5"), ("2", "1"), ("2", "5")}
    assert [row["request"] for row in rows(results, "cache.csv")][:2] == ["hit", "miss"]
    events = rows(results, "cache-events.csv")
    assert (events[0]["event"], events[0]["name"]) == ("there at first", "Tux")
    assert events[2] == {
        "number": "9", "seconds": "1.000000", "slot": "0", "event": "filled", "name": "Lego", "replaced": "Tux",
    }  # fmt: skip
    assert [(row["seconds"], row["what"]) for row in rows(results, "failover.csv")] == [
        ("0.500000", "lookup"),
        ("1.000000", "buy"),
        ("2.000000", "order-3 is killed"),
        ("2.100000", "buy"),
        ("2.200000", "buy"),
        ("3.000000", "lookup"),
        ("5.000000", "order-3 is started"),
    ]
    assert set(csv_files(make_results(study=None))) == {"latency.csv", "bulk.csv", "failover.csv"}


# The words


@pytest.mark.row("B5")
def test_the_benefit_of_the_cache_in_words() -> None:
    assert list(words.benefit(make_results())) == [
        "On average over all probabilities, a lookup took 1.00 ms with the cache and 4.00 ms without it, 75.0 % less.",
        "On average over all probabilities, a buy took 6.00 ms with the cache and 6.00 ms without it, 0.0 % less.",
        "On average over all probabilities, an order query took 5.00 ms with the cache and 5.00 ms without it, 0.0 % less.",
        "Only lookups go through the cache. What differs for the others is chance, or what lookups left to them.",
        "With room for 5 of 10 products, 12 of 20 lookups were hits (60.0 %).",
    ]


def test_with_one_setting_of_the_cache_nothing_is_compared() -> None:
    results = make_results(plan=evolve(make_results().plan, caches=(False,)))
    said = list(words.benefit(evolve(results, rounds=[found for found in results.rounds if not found.cache])))
    assert said[0] == "On average over all probabilities, a lookup took 4.00 ms without the cache."
    assert len(said) == 3
    assert not any("less" in sentence for sentence in said)


@pytest.mark.row("K8")
def test_hits_and_misses_in_words() -> None:
    study = make_results().study
    assert study is not None
    first, counted = words.hit_or_miss(study)
    assert first == "A hit took 0.27 ms and a miss 1.57 ms on average. Percent speed up: 82.80"
    assert "counted 10 hits and 0 misses" in counted
    assert "0 hits and 10 misses" in counted


@pytest.mark.row("B6")
def test_writes_followed_by_reads_in_words() -> None:
    study = make_results().study
    assert study is not None
    own, other = words.after_writes(study)
    assert own.startswith("A write took 8.00 ms, and reading what was written, through the same front end, 0.50 ms")
    assert other.endswith("took 2.50 ms, the second one 0.50 ms. The miss penalty is 2.00 ms.")


@pytest.mark.row("B6")
def test_requests_in_bulk_in_words() -> None:
    said = list(words.in_bulk(make_results()))
    assert said[0] == (
        "One after the other, with 2 catalogs, a lookup took 2.00 ms with the cache and 3.00 ms without it, 33.3 % less."
    )
    assert "Order queries without the cache, 2 catalogs: 100 a second by 5 customers at once, 20 a second by one." in said
    assert said[-1].startswith(
        "Lookups without the cache by 5 customers at once: 100 a second from a store with one catalog, 100 from one with 2."
    )


@pytest.mark.row("B7")
def test_a_failover_in_words() -> None:
    first, second = words.failover(make_results())
    assert first == (
        "order-3 was killed 2.0 s after the customers came, and started again 3.0 s later; order-2 leads since."
    )
    assert second == (
        "Of 5 requests 1 failed. The longest wait was 400 ms, of a buy that was sent 0.10 s after the kill. "
        "The longest time without a new order was 1490 ms."
    )
    nobody = make_results(failover=evolve(FAILOVER, successor=None, answers=()))
    (only,) = words.failover(nobody)
    assert only.endswith("no other leader was seen.")


# The page


class Reader(HTMLParser):
    """Checks that elements are closed in their order; keeps the text and the pictures."""

    EMPTY = {"meta", "img", "!doctype"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.pictures.append(dict(attrs))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read_page(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


@pytest.mark.row("B5", "B7")
def test_the_page_holds_words_pictures_and_tables_and_says_how_to_repeat_it() -> None:
    results = make_results(wrong=("order 7 was promised, and asking for it gives 404",))
    pictures = [
        Picture("latency-lookup.png", "lookups"),
        Picture("cache-contents.png", "slots"),
        Picture("failover.png", "f"),
    ]
    text = page(results, pictures, ["latency.csv"])
    reader = read_page(text)
    assert [picture["src"] for picture in reader.pictures] == [picture.file for picture in pictures]
    assert all(picture["alt"] for picture in reader.pictures)
    said = [*words.benefit(results), *words.in_bulk(results), *words.failover(results), words.verdict(results)]
    for sentence in said:
        assert sentence in reader.text
    assert "1 orders were NOT as they were promised" in reader.text
    assert "toystore sweep --p 0,0.4" in reader.text
    assert "2 cores <ours>" in reader.text, "and it is escaped"
    assert "latency.csv" in reader.text
    assert "//" not in text, "it asks nobody for anything"


def test_a_page_without_the_cache_has_nothing_of_it() -> None:
    reader = read_page(page(make_results(study=None), [], []))
    assert "Hits and misses" not in reader.text
    assert "While the leader dies" in reader.text
