"""The network of a torture: one process that has the other end of each member's TUN device, and forwards IP packets.

    python -m toystore.torture.switch SEED '{"order-1": ["10.77.0.1", 7], ...}'

The argument names address and file descriptor of each member. Each line of stdin is a new weather (`weather.to_list`)
and is acknowledged by a line on stdout; the process ends with stdin, and writes what it did as its last line. It knows no
more than IP addresses: no ARP, no broadcasts, nothing of the host's network.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import select
import socket
import sys
import time
from collections.abc import Mapping
from itertools import count

from attrs import asdict, define, field

from toystore.torture.weather import CLEAR, Pair, Weather, fate, from_list

MTU = 1500
BATCH = 64
"""Packets read from one member before the others have their turn."""
MOST_WAITING = 20_000
"""Delayed packets; more are lost, as in any queue."""
SOURCE, TARGET = slice(12, 16), slice(16, 20)
"""Where the addresses are in an IPv4 header (RFC 791, section 3.1)."""


@define
class Counts:
    """Packets. `strays` were for nobody here; `refused` by a device that is down."""

    forwarded: int = 0
    lost: int = 0
    delayed: int = 0
    duplicated: int = 0
    strays: int = 0
    refused: int = 0


@define
class Switch:
    """`ports`: address and file descriptor of each member. `now` is seconds of the monotonic clock."""

    ports: Mapping[str, tuple[str, int]]
    rng: random.Random
    counts: Counts = field(factory=Counts)
    _weather: Weather = field(factory=dict)
    _fd_of: dict[bytes, int] = field(factory=dict)
    _pair_of: dict[bytes, Pair] = field(factory=dict)
    _waiting: list[tuple[float, int, int, bytes]] = field(factory=list)
    _serial: count[int] = field(factory=count)

    def __attrs_post_init__(self) -> None:
        names = {socket.inet_aton(address): (name, fd) for name, (address, fd) in self.ports.items()}
        self._fd_of = {address: fd for address, (_, fd) in names.items()}
        self._pair_of = {one + two: (names[one][0], names[two][0]) for one in names for two in names}

    def set_weather(self, weather: Weather) -> None:
        self._weather = weather

    def take(self, packet: bytes, now: float) -> None:
        """A packet has come from a member."""
        pair = self._pair_of.get(packet[12:20])
        if pair is None or packet[0] >> 4 != 4:
            self.counts.strays += 1
            return
        fd = self._fd_of[packet[TARGET]]
        conditions = self._weather.get(pair, CLEAR)
        if conditions is CLEAR:
            self._give(fd, packet)
            return
        copies = fate(conditions, self.rng)
        self.counts.lost += not copies
        self.counts.duplicated += len(copies) > 1
        for seconds in copies:
            if not seconds:
                self._give(fd, packet)
            elif len(self._waiting) < MOST_WAITING:
                self.counts.delayed += 1
                heapq.heappush(self._waiting, (now + seconds, next(self._serial), fd, packet))
            else:
                self.counts.lost += 1

    def due(self, now: float) -> float | None:
        """Deliver what has been delayed until now; seconds until the next is due, None where none waits."""
        while self._waiting and self._waiting[0][0] <= now:
            _, _, fd, packet = heapq.heappop(self._waiting)
            self._give(fd, packet)
        return self._waiting[0][0] - now if self._waiting else None

    def _give(self, fd: int, packet: bytes) -> None:
        try:
            os.write(fd, packet)
        except OSError:  # the device is down, or its queue is full: what a wire does then, too
            self.counts.refused += 1
        else:
            self.counts.forwarded += 1


def main(arguments: list[str]) -> None:
    """Forwards until stdin ends."""
    seed, ports = int(arguments[0]), {name: (address, fd) for name, (address, fd) in json.loads(arguments[1]).items()}
    switch = Switch(ports, random.Random(seed))
    poll = select.epoll()
    for _, fd in ports.values():
        os.set_blocking(fd, False)
        poll.register(fd, select.EPOLLIN)
    orders = _Orders(switch)
    poll.register(0, select.EPOLLIN)
    while orders.go_on:
        wait = switch.due(time.monotonic())
        for fd, _ in poll.poll(-1 if wait is None else wait):
            if fd == 0:
                orders.read()
            else:
                _drain(switch, fd)
    print(json.dumps(asdict(switch.counts)), flush=True)  # noqa: T201  # the answer to whoever closed stdin


def _drain(switch: Switch, fd: int) -> None:
    now = time.monotonic()
    for _ in range(BATCH):
        try:
            packet = os.read(fd, 2 * MTU)
        except OSError:  # nothing more, or the device is down
            return
        switch.take(packet, now)


class _Orders:
    """Lines of stdin, which may come in pieces."""

    def __init__(self, switch: Switch) -> None:
        self.go_on = True
        self._switch = switch
        self._rest = b""

    def read(self) -> None:
        data = os.read(0, 1 << 16)
        self.go_on = bool(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._switch.set_weather(from_list(json.loads(line)))
            print("ok", flush=True)  # noqa: T201  # acknowledged to whoever changed it


if __name__ == "__main__":
    main(sys.argv[1:])
