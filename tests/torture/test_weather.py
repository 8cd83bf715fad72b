"""What becomes of a packet: the rules, and the switch that follows them."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator

import pytest

from toystore.torture.network import split
from toystore.torture.switch import Switch
from toystore.torture.weather import (
    CLEAR,
    CUT,
    Conditions,
    Weather,
    between,
    fate,
    from_list,
    one_way,
    ring,
    to_list,
    together,
)

MEMBERS = ["a", "b", "c", "d", "e"]


def rng() -> random.Random:
    return random.Random(1)


def test_in_clear_weather_a_packet_arrives_once_and_at_once() -> None:
    assert fate(CLEAR, rng()) == (0.0,)


def test_nothing_passes_a_cut() -> None:
    assert fate(CUT, rng()) == ()


def test_some_are_lost_and_some_come_twice() -> None:
    dice = rng()
    fates = [fate(Conditions(loss=0.25, duplicate=0.5), dice) for _ in range(2000)]
    lost, twice = sum(not found for found in fates), sum(len(found) == 2 for found in fates)
    assert 400 < lost < 600
    assert 650 < twice < 850


def test_jitter_is_drawn_for_each() -> None:
    dice = rng()
    delays = [delay for _ in range(100) for delay in fate(Conditions(delay=0.1, jitter=0.05), dice)]
    assert all(0.1 <= delay <= 0.15 for delay in delays)
    assert len(set(delays)) > 90


def test_two_faults_on_one_way_are_both_felt() -> None:
    slow, bad = Conditions(delay=0.1, loss=0.1), Conditions(delay=0.2, loss=0.05, duplicate=0.3)
    weather = together([{("a", "b"): slow}, {("a", "b"): bad, ("b", "a"): CUT}])
    assert weather["b", "a"].cut
    both = weather["a", "b"]
    assert (round(both.delay, 6), both.loss, both.duplicate, both.cut) == (0.3, 0.1, 0.3, False)


def test_a_cut_one_way_leaves_the_way_back() -> None:
    assert one_way(["a"], ["b"]) == {("a", "b"): CUT}
    assert set(between(["a"], ["b", "c"])) == {("a", "b"), ("b", "a"), ("a", "c"), ("c", "a")}


def test_in_a_ring_each_reaches_two() -> None:
    cut = ring(MEMBERS)
    for member in MEMBERS:
        assert sum((member, other) not in cut for other in MEMBERS if other != member) == 2


@pytest.mark.parametrize(("shape", "sides"), [("halves", 2), ("one", 1)])
def test_a_split_cuts_every_way_between_its_sides_and_none_within(shape: str, sides: int) -> None:
    weather, text = split(shape, MEMBERS)
    some = set(MEMBERS[:sides])
    expected = {(a, b) for a in MEMBERS for b in MEMBERS if a != b and (a in some) != (b in some)}
    assert set(weather) == expected
    assert "|" in text


def test_a_ring_of_three_is_a_line() -> None:
    weather, _ = split("ring", ["a", "b", "c"])
    assert set(weather) == {("a", "c"), ("c", "a")}


def test_weather_goes_over_the_wire() -> None:
    weather: Weather = {("a", "b"): Conditions(loss=0.5, delay=0.1), ("b", "a"): CUT}
    assert from_list(to_list(weather)) == weather


# The switch -------------------------------------------------------------------------------------------------------


def packet(source: str, target: str, tail: bytes = b"hello") -> bytes:
    """An IPv4 header without its sum, which nobody here looks at."""
    return bytes([0x45]) + bytes(11) + socket.inet_aton(source) + socket.inet_aton(target) + tail


class Wires:
    """A switch whose devices are socket pairs: `read` is what a member receives."""

    def __init__(self) -> None:
        self._pairs = {name: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for name in ("a", "b")}
        for mine, other in self._pairs.values():
            mine.setblocking(False)
            other.setblocking(False)
        ports = {name: (f"10.0.0.{n}", self._pairs[name][0].fileno()) for n, name in enumerate(("a", "b"), 1)}
        self.switch = Switch(ports, random.Random(1))

    def read(self, name: str) -> list[bytes]:
        found = []
        while True:
            try:
                found.append(os.read(self._pairs[name][1].fileno(), 2000))
            except BlockingIOError:
                return found

    def close(self) -> None:
        for pair in self._pairs.values():
            for end in pair:
                end.close()


@pytest.fixture
def wires() -> Iterator[Wires]:
    wires = Wires()
    yield wires
    wires.close()


AB, BA = packet("10.0.0.1", "10.0.0.2"), packet("10.0.0.2", "10.0.0.1")


def test_a_packet_is_given_to_whom_it_is_for(wires: Wires) -> None:
    wires.switch.take(AB, 0.0)
    assert wires.read("b") == [AB]
    assert wires.read("a") == []


def test_what_is_for_nobody_is_dropped(wires: Wires) -> None:
    for stray in (packet("10.0.0.1", "10.0.0.9"), b"\x60" + AB[1:], b"", b"\x45"):
        wires.switch.take(stray, 0.0)
    assert wires.switch.counts.strays == 4
    assert wires.read("b") == []


def test_the_switch_cuts_one_way(wires: Wires) -> None:
    wires.switch.set_weather(one_way(["a"], ["b"]))
    wires.switch.take(AB, 0.0)
    wires.switch.take(BA, 0.0)
    assert (wires.read("a"), wires.read("b")) == ([BA], [])
    assert wires.switch.counts.lost == 1


def test_a_late_packet_comes_when_it_is_due(wires: Wires) -> None:
    wires.switch.set_weather({("a", "b"): Conditions(delay=0.5)})
    wires.switch.take(AB, 10.0)
    assert wires.switch.due(10.0) == pytest.approx(0.5)
    assert wires.read("b") == []
    assert wires.switch.due(10.5) is None
    assert wires.read("b") == [AB]


def test_packets_overtake_one_another(wires: Wires) -> None:
    wires.switch.set_weather({("a", "b"): Conditions(jitter=1.0)})
    sent = [packet("10.0.0.1", "10.0.0.2", bytes([number])) for number in range(50)]
    for each in sent:
        wires.switch.take(each, 0.0)
    wires.switch.due(2.0)
    arrived = wires.read("b")
    assert sorted(arrived) == sorted(sent)
    assert arrived != sent


def test_a_device_that_is_down_refuses(wires: Wires) -> None:
    wires.close()
    wires.switch.take(AB, 0.0)
    assert wires.switch.counts.refused == 1
