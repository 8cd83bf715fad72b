"""Whether a cluster can have its addresses, and ports for one that is started only to be tried."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path

from attrs import frozen
from twisted.internet.abstract import isIPv6Address

from toystore.ops.addresses import Listen, parse_listen
from toystore.ops.config import Config, FrontNode

TAKEN = "is taken"

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


# Those of a cluster that is to be started ---------------------------------------------------------------------------


@frozen
class Unavailable:
    """An address that a node can not listen at, and why: `TAKEN`, or that it can not be used at all."""

    node: str
    address: str
    reason: str


def unavailable(config: Config, without: Collection[str] = ()) -> list[Unavailable]:
    """What stands in the way of starting all nodes but `without`, the public listeners of front ends included."""
    found = ((name, parse_listen(endpoint)) for name, endpoint in _endpoints(config) if name not in without)
    reasons = ((name, listen, why_not(listen)) for name, listen in found)
    return [Unavailable(name, _in_words(listen), reason) for name, listen, reason in reasons if reason is not None]


def _endpoints(config: Config) -> Iterator[tuple[str, str]]:
    for node in config.nodes:
        yield node.name, node.listen
        if isinstance(node, FrontNode):
            for public in node.publics:
                yield node.name, public.listen


def _in_words(listen: Listen) -> str:
    if listen.path:
        return listen.path
    host = listen.interface or "*"
    return f"[{host}]:{listen.port}" if ":" in host else f"{host}:{listen.port}"


def why_not(listen: Listen) -> str | None:
    """Why no node could listen there now, None where one could. Nobody sees the look; only a server at a path sees a
    connection that comes and goes."""
    try:
        (_look_at_path if listen.path else _look_at_port)(listen)
    except OSError as error:
        return TAKEN if error.errno == errno.EADDRINUSE else f"can not be used: {error.strerror}"
    return None


def _look_at_port(listen: Listen) -> None:
    """Bind as Twisted does: with SO_REUSEADDR, so that connections of a store that has just ended are no hindrance. Raises
    OSError."""
    six = listen.kind == "tcp6" or isIPv6Address(listen.interface)
    with socket.socket(socket.AF_INET6 if six else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((listen.interface, listen.port))


def _look_at_path(listen: Listen) -> None:
    """Connect, for to bind would leave a socket there. One that nobody answers at is a dead one, which Twisted removes.
    Raises OSError."""
    path = Path(listen.path)
    path.parent.stat()
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(listen.path)
        except BlockingIOError:
            pass  # a server whose queue is full
        except (FileNotFoundError, ConnectionRefusedError):
            if path.exists() and not path.is_socket():
                raise OSError(errno.EEXIST, "a file that is no socket is there") from None
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
