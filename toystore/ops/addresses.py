"""The two addresses of a node: where it listens (a Twisted endpoint) and where others find it (a URL)."""

from __future__ import annotations

import re
from typing import cast
from urllib.parse import urlsplit

from attrs import frozen
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorCore

_ENDPOINT = "a Twisted endpoint such as 'tcp:12502:interface=127.0.0.1' or 'unix:/run/toystore.sock'"
_URL = "a URL such as 'http://127.0.0.1:12502': http or https, a host, a port and no path"
BACKLOG = 1024
"""Connections that may wait to be accepted. Twisted's 50 are gone when a few hundred customers come at one moment, and the
kernel resets the others."""
_EVERYWHERE = ("", "0.0.0.0", "::")


@frozen
class Listen:
    """What a listening endpoint takes up: a port of an interface, or a path. Port 0 takes any free port."""

    kind: str
    port: int = 0
    interface: str = ""
    path: str = ""

    def clashes(self, other: Listen) -> bool:
        """Whether both can not be had on one machine."""
        if self.path or other.path:
            return self.path == other.path
        if self.port != other.port or not self.port:
            return False
        return self.interface == other.interface or bool({self.interface, other.interface} & {*_EVERYWHERE})


def parse_listen(text: str) -> Listen:
    """Read a `tcp:`, `tcp6:` or `unix:` endpoint. Raises ValueError, saying what was expected."""
    kind, *rest = (part.replace("\\:", ":") for part in re.split(r"(?<!\\):", text))
    words = [word for word in rest if "=" not in word]
    named = dict(word.split("=", 1) for word in rest if "=" in word)
    address = words[0] if words else named.get("address" if kind == "unix" else "port", "")
    if kind not in ("tcp", "tcp6", "unix"):
        raise ValueError(_ENDPOINT)
    try:
        # Only parses and keeps its arguments: the reactor is not asked for anything before `listen`.
        serverFromString(cast(IReactorCore, None), text)
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError(_ENDPOINT) from error
    if kind == "unix" and address:
        return Listen(kind, path=address)
    if not re.fullmatch("[0-9]{1,5}", address) or int(address) > 65535:
        raise ValueError(_ENDPOINT)
    return Listen(kind, int(address), named.get("interface", ""))


def listen(found: object) -> str:
    """The endpoint, as it is, once it is known to be one. Raises ValueError, saying what was expected."""
    if not isinstance(found, str):
        raise ValueError(_ENDPOINT)
    parse_listen(found)
    return found


def with_backlog(endpoint: str) -> str:
    """The endpoint with room for `BACKLOG` waiting connections, unless it says how many."""
    return endpoint if ":backlog=" in endpoint else f"{endpoint}:backlog={BACKLOG}"


def url(found: object) -> str:
    """The URL of a node, without a slash at its end. Raises ValueError, saying what was expected."""
    if not isinstance(found, str) or not found.isprintable() or " " in found:
        raise ValueError(_URL)
    try:
        parts = urlsplit(found)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and bool(parts.port)
    except ValueError as error:
        raise ValueError(_URL) from error
    if not whole or parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(_URL)
    return f"{parts.scheme}://{parts.netloc}"


def host_of(address: str) -> str:
    """The host in a URL that `url` has read."""
    return urlsplit(address).hostname or ""


def host_and_port(address: str) -> str:
    """`127.0.0.1:12502`, of a URL that `url` has read."""
    return urlsplit(address).netloc
