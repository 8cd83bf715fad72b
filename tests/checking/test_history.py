"""The file of a history, and what becomes of its events."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from tests.checking.stories import Story
from toystore.checking.events import BadHistory, Event
from toystore.checking.history import HistoryWriter, read_events
from toystore.checking.operations import NEVER, recording


def written(*events: tuple[Any, ...], **more: Any) -> bytes:
    file = io.BytesIO()
    writer = HistoryWriter(file)
    for event in events:
        writer.record(*event, **more)
    return file.getvalue()


BUY = {"key": "k1", "lines": [["Tux", 2], ["Fox", 1], ["Tux", 1]]}
DONE = {"number": 0, "index": 57, "lines": [["Tux", 3, 10], ["Fox", 1, 5]], "total": 35, "replayed": False, "at": 7}


def test_a_line_has_what_jepsen_would_look_for() -> None:
    data = written((5, 3, "invoke", "buy", BUY), front="front-1")
    assert json.loads(data) == {
        "index": 0, "time": 5, "process": 3, "type": "invoke", "f": "buy", "value": BUY, "front": "front-1",
    }  # fmt: skip
    assert data.endswith(b"\n")


def test_what_is_written_is_read() -> None:
    events = [(5, 3, "invoke", "buy", BUY), (9, 3, "ok", "buy", DONE), (9, "nemesis", "info", "kill")]
    found = list(read_events(io.BytesIO(written(*events, front="front-1", generation=2, error="x"))))
    assert found == [
        Event(0, 5, 3, "invoke", "buy", BUY, "front-1", 2, "x"),
        Event(1, 9, 3, "ok", "buy", DONE, "front-1", 2, "x"),
        Event(2, 9, "nemesis", "info", "kill", {}, "front-1", 2, "x"),
    ]


def test_a_file_that_is_cut_off_anywhere_has_the_lines_before() -> None:
    data = written((5, 3, "invoke", "buy", BUY), (9, 3, "ok", "buy", DONE))
    whole = data.index(b"\n")
    for length in range(len(data)):
        count = len(list(read_events(io.BytesIO(data[:length]))))
        assert count == (length >= whole) + (length >= len(data) - 1)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b'{"index":0,"ti\n', "line 2"),
        (b'{"index":1,"time":"now","process":1,"type":"ok","f":"buy"}\n', "line 2.*time"),
        (b'{"index":2,"time":1,"process":1,"type":"ok","f":"buy"}\n', "line 2 has the index 2"),
        (b'{"index":1,"time":1,"process":1,"type":"okay","f":"buy"}\n', "line 2: the type is 'okay'"),
        (b"\xff\n", "line 2"),
    ],
)
def test_a_bad_line_is_named(bad: bytes, why: str) -> None:
    with pytest.raises(BadHistory, match=why):
        list(read_events(io.BytesIO(written((5, 3, "invoke", "buy", BUY)) + bad)))


def test_an_order_and_its_answer_become_one_operation() -> None:
    events = read_events(io.BytesIO(written((5, 3, "invoke", "buy", BUY), (9, 3, "ok", "buy", DONE), front="front-1")))
    (placing,) = recording(events).placings
    assert (placing.event, placing.process, placing.front, placing.invoked, placing.ended) == (0, 3, "front-1", 5, 9)
    assert (placing.outcome, placing.number, placing.index, placing.total, placing.at) == ("ok", 0, 57, 35, 7)
    assert placing.lines == (("Tux", 3), ("Fox", 1))
    assert placing.priced == (("Tux", 3, 10), ("Fox", 1, 5))


def test_what_nobody_knows_the_end_of_has_none() -> None:
    events = read_events(
        io.BytesIO(written((5, 1, "invoke", "buy", BUY), (9, 1, "info", "buy"), (7, 2, "invoke", "sell", BUY)))
    )
    known = recording(events)
    assert [(placing.outcome, placing.ended) for placing in known.placings] == [("info", NEVER), ("info", NEVER)]


def test_other_operations_and_reads_without_an_answer_are_counted() -> None:
    story = Story().tell("list", (1, 2), {}, "ok").tell("stock", (1, 2), {"name": "Tux"}, "fail", error="unavailable")
    known = story.tell("order", (1, 2), {"number": 1}, "info").ended("front-1", 3).recording()
    assert known.count == 3
    assert dict(known.passed_over) == {"list": 1, "stock without an answer": 1, "order without an answer": 1}
    assert known.faults == 1
    assert known.endings == {"front-1": [3_000_000_000]}


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([(1, 3, "ok", "buy", DONE)], "event 0.*ends nothing"),
        ([(1, 3, "invoke", "buy", BUY), (2, 3, "ok", "sell", DONE)], "event 1.*ends nothing"),
        ([(2, 3, "invoke", "buy", BUY), (1, 3, "ok", "buy", DONE)], "ends it before"),
        ([(1, 3, "invoke", "buy", BUY), (2, 3, "invoke", "buy", BUY)], "before the end of event 0"),
        ([(1, 3, "invoke", "buy", BUY), (2, 3, "info", "buy"), (3, 3, "invoke", "buy", BUY)], "new number"),
        ([(1, "me", "invoke", "buy", BUY)], "process is 'me'"),
        ([(1, 3, "invoke", "buy", BUY), (2, 3, "ok", "buy", {"number": 1})], "missing"),
        ([(1, 3, "invoke", "buy", BUY), (2, 3, "ok", "buy", {**DONE, "number": "1"})], "number is '1'"),
        ([(1, 3, "invoke", "buy", {"key": "k"}), (2, 3, "info", "buy")], "'lines' is missing"),
        ([(1, 3, "invoke", "buy", {"key": 1, "lines": []}), (2, 3, "info", "buy")], "key is 1"),
    ],
)
def test_events_that_do_not_fit_together(events: list[tuple[Any, ...]], why: str) -> None:
    with pytest.raises(BadHistory, match=why):
        recording(read_events(io.BytesIO(written(*events))))


def test_an_operation_says_where_it_is_found() -> None:
    (placing,) = Story().bought("k", 0, 9, (1.5, 2)).recording().placings
    assert str(placing) == (
        "the buy with key 'k', answered as order 0 (event 0, client 1 through front-1, from 1.500000 s to 2.000000 s)"
    )
