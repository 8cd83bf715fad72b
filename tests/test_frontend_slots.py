"""The record of what happened to the cache's slots, and how a front end tells of it."""

from __future__ import annotations

import pytest

from tests.support.front import Customer, Front
from toystore.frontend.cache import Emptied, Filled
from toystore.frontend.routes import MAX_EVENTS, FrontFacts, FrontRoutes
from toystore.frontend.slots import Noted, SlotRecord


def test_a_reader_gets_what_came_since_it_last_looked() -> None:
    record = SlotRecord()
    assert record.after(0, 10) == []
    record.note(Filled(0, "Tux", None), 1.5)
    record.note(Emptied(0, "Tux"), 2.5)
    assert record.after(0, 10) == [Noted(1, 1.5, Filled(0, "Tux", None)), Noted(2, 2.5, Emptied(0, "Tux"))]
    assert [noted.number for noted in record.after(1, 10)] == [2]
    assert [noted.number for noted in record.after(0, 1)] == [1]
    assert record.after(2, 10) == record.after(99, 10) == []


def test_the_oldest_are_forgotten_and_the_numbers_go_on() -> None:
    record = SlotRecord(kept=3)
    for slot in range(5):
        record.note(Emptied(slot, "Tux"), 0.0)
    assert [noted.number for noted in record.after(0, 10)] == [3, 4, 5]
    assert [noted.number for noted in record.after(3, 10)] == [4, 5]
    assert record.last == 5
    with pytest.raises(ValueError, match="room"):
        SlotRecord(kept=0)


@pytest.mark.row("K7", "B7")
def test_a_front_end_tells_what_replaced_what() -> None:
    record = SlotRecord()
    front = Front(cache_size=1)
    facts = FrontFacts("front-1", "toys", "raft", 1, ())
    customer = Customer(FrontRoutes(front.store, facts, record).resource(), front.clock)
    record.note(Filled(0, "Tux", None), 1.0)
    record.note(Filled(0, "Fox", "Tux"), 2.0)
    record.note(Emptied(0, "Fox"), 3.0)
    told = customer.get("/cache-events?after=1").json
    assert told == {
        "format": 1,
        "capacity": 1,
        "last": 3,
        "events": [
            {"number": 2, "at": 2.0, "slot": 0, "event": "filled", "name": "Fox", "replaced": "Tux"},
            {"number": 3, "at": 3.0, "slot": 0, "event": "emptied", "name": "Fox", "replaced": None},
        ],
    }
    for _ in range(MAX_EVENTS):
        record.note(Emptied(0, "Fox"), 4.0)
    assert len(customer.get("/cache-events").json["events"]) == MAX_EVENTS
    refused = customer.get("/cache-events?after=x")
    assert (refused.status, b"after must be a whole number" in refused.body) == (400, True)
