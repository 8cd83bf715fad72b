"""Ports for a cluster that is started only to be tried."""

from __future__ import annotations

import os
import socket
import time
from contextlib import ExitStack
from pathlib import Path

RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""Where Linux says which ports it gives to outgoing connections."""

OUTGOING_FROM = 32_768
"""The first of these where the system does not say."""

HIGHEST = 65_000


class NoFreePorts(OSError):
    """There are not so many."""


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nothing uses now. They lie below the range of outgoing connections, as far as there is
    room, so that none of those takes one in the meantime. Raises NoFreePorts."""
    start = 10_000 + (os.getpid() * 97 + time.monotonic_ns() // 1000) % max(1, _first_outgoing() - 12_000)
    found: list[int] = []
    with ExitStack() as held:
        for port in range(start, HIGHEST):
            if len(found) == count:
                return found
            probe = held.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
    raise NoFreePorts(f"no {count} free ports from {start} on")


def _first_outgoing() -> int:
    try:
        return int(RANGE_FILE.read_text().split()[0])
    except OSError:
        return OUTGOING_FROM
