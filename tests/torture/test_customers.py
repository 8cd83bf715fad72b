"""What customers want, what they make of answers, and what they do next."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from toystore.torture.customers import MIX, Pulse, Reply, Taste, Told, Wish, judged

BUY = Wish("buy", {"key": "k", "lines": [["Tux", 2]]})
ORDER = {
    "number": 7,
    "side": "buy",
    "lines": [{"name": "Tux", "quantity": 2, "unit_price": 1599}],
    "total": 3198,
    "currency": "USD",
    "status": "placed",
    "at": 5,
}
PRODUCT = {"name": "Tux", "number": 1, "price": 1599, "currency": "USD", "quantity": 9, "topic": "", "version": 40}


def reply(status: int, data: Any = None, code: str = "", **headers: str) -> Reply:
    body = {"code": code} if code else {"data": data}
    found = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, {"toystore-index": "57", **found}, json.dumps(body).encode())


def test_a_placed_order_is_told_whole() -> None:
    told = judged(BUY, reply(201, ORDER))
    assert told.type == "ok"
    assert told.value == {
        "number": 7,
        "index": 57,
        "lines": [["Tux", 2, 1599]],
        "total": 3198,
        "at": 5,
        "replayed": False,
    }


def test_a_replay_is_marked() -> None:
    assert judged(BUY, reply(200, ORDER, idempotent_replayed="true")).value["replayed"] is True


def test_the_generation_is_told() -> None:
    told = judged(BUY, reply(201, ORDER, toystore_index="2:60"))
    assert (told.generation, told.value["index"]) == (2, 60)


@pytest.mark.parametrize(("status", "code"), [(409, "insufficient_stock"), (422, "key_reused"), (503, "unavailable")])
def test_a_refusal_says_that_it_was_not_done(status: int, code: str) -> None:
    assert judged(BUY, reply(status, code=code)) == Told("fail", error=code)


@pytest.mark.parametrize(("status", "code"), [(504, "outcome_unknown"), (500, "internal")])
def test_of_these_nobody_knows(status: int, code: str) -> None:
    assert judged(BUY, reply(status, code=code)) == Told("info", error=code)


def test_an_answer_that_can_not_be_read_is_not_believed() -> None:
    assert judged(BUY, Reply(201, {"toystore-index": "5"}, b"{")).type == "info"
    assert judged(BUY, Reply(201, {}, json.dumps({"data": ORDER}).encode())).type == "info"


def test_an_order_that_is_not_there_is_an_answer() -> None:
    assert judged(Wish("order", {"number": 9}), reply(404, code="unknown_order")) == Told("ok", {"status": "unknown"})


def test_a_read_of_an_order() -> None:
    told = judged(Wish("order", {"number": 7}), reply(200, ORDER, idempotency_key="k"))
    assert told.value["status"] == "placed"
    assert (told.value["side"], told.value["key"], told.value["index"]) == ("buy", "k", 57)


@pytest.mark.parametrize(("age", "expected"), [(None, None), ("4", 4), ("unknown", -1)])
def test_the_age_of_a_cached_read(age: str | None, expected: int | None) -> None:
    told = judged(Wish("product", {"name": "Tux"}), reply(200, PRODUCT, **({"toystore_age": age} if age else {})))
    assert told.value == {"name": "Tux", "quantity": 9, "version": 40, "index": 57, "age": expected}


def test_a_linearizable_read_asks_for_one() -> None:
    assert Wish("stock", {"name": "Tux"}).path == "/v1/products/Tux?consistency=linearizable"
    assert Wish("product", {"name": "Tux"}).path == "/v1/products/Tux"


def taste(seed: int = 1) -> Taste:
    return Taste("c", random.Random(seed), ["Tux", "Fox", "Lego"])


def test_a_client_does_some_of_everything_and_never_uses_a_key_twice() -> None:
    client = taste()
    wishes = []
    for number in range(2000):
        wish = client.next()
        wishes.append(wish)
        if wish.f in ("buy", "sell"):
            client.learn(wish, Told("ok", {"number": number}))
    assert {wish.f for wish in wishes} == set(MIX)
    keys = [wish.value["key"] for wish in wishes if wish.f in ("buy", "sell")]
    assert len(keys) == len(set(keys))


def test_who_does_not_know_asks_again_with_the_same_key() -> None:
    client = taste()
    client.learn(BUY, Told("info"))
    assert BUY in [client.next() for _ in range(30)]
    assert not client.unknown, "once, and then it is known or unknown anew"


def test_a_refused_order_is_not_asked_for_again() -> None:
    client = taste()
    client.learn(BUY, Told("fail", error="insufficient_stock"))
    assert not client.unknown


def test_the_pulse_tells_the_longest_time_without_success() -> None:
    pulse = Pulse()
    for began, now in ((0.0, 1.0), (1.0, 4.5), (5.0, 5.5)):
        pulse.note("c", BUY, Told("ok", {"number": 1}), began, now)
    pulse.note("c", BUY, Told("info", error="x"), 6.0, 30.0)
    pulse.note("c", Wish("product", {"name": "Tux"}), Told("ok"), 30.0, 31.0)
    assert pulse.longest_gap == 3.5
    assert pulse.served == {"c": 5.0}
    assert pulse.outcomes["buy", "ok"] == 3
