"""What to run for each node of a cluster: a twistd, under a prefix where one is asked for, on a leash."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

import toystore
from toystore.ops.config import Config

LEASH = str(Path(__file__).with_name("leash.py"))
TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile=")
"""The twistd of this interpreter, also where its script is not installed."""


@frozen
class Node:
    """One process of the cluster. `role` is order, catalog or front; `url` is where its `/livez` and
    `/readyz` are."""

    name: str
    role: str
    id: int
    url: str


Command = Callable[[Node], list[str]]
"""What runs a node, without prefix and leash."""


class UnknownNode(Exception):
    """The cluster has no node of this name."""


def nodes_of(config: Config) -> list[Node]:
    """All nodes of the cluster, those that others wait for first."""
    return [
        Node(part.name, role, part.id, part.url)
        for role, parts in (("order", config.orders), ("catalog", config.catalogs), ("front", config.fronts))
        for part in parts
    ]


def check_names(names: Iterable[str], nodes: Iterable[Node]) -> None:
    """Raises UnknownNode, naming those there are, unless each of `names` is a node."""
    known = [node.name for node in nodes]
    for name in names:
        if name not in known:
            raise UnknownNode(f"there is no node {name!r}; this cluster has {', '.join(known)}")


def twistd_command(config_file: Path, data_dir: Path, bootstrap: Sequence[str] = ()) -> Command:
    """The real roles: `twistd -n toystore-order --config FILE --id N --data-dir DIR`. `bootstrap`: the order replicas that
    a cluster which has just been made begins with (none: it has not)."""

    def command(node: Node) -> list[str]:
        where = ("--config", str(config_file), "--id", str(node.id), "--data-dir", str(data_dir))
        options = ("--bootstrap", ",".join(bootstrap)) if bootstrap and node.role == "front" else ()
        return [*TWISTD, f"toystore-{node.role}", *where, *options]

    return command


@frozen
class Prefixes:
    """Commands to run nodes under, such as `strace -f -o /tmp/trace`: one for all, and some for single nodes
    instead."""

    every: tuple[str, ...] = ()
    single: Mapping[str, tuple[str, ...]] = field(factory=dict)

    @classmethod
    def parse(cls, texts: Iterable[str], names: Iterable[str]) -> Prefixes:
        """Each text is `COMMAND`, or `NODE=COMMAND` where NODE is one of `names`. Raises ValueError on bad
        quoting."""
        every: tuple[str, ...] = ()
        single: dict[str, tuple[str, ...]] = {}
        known = set(names)
        for text in texts:
            node, equals, command = text.partition("=")
            if equals and node in known:
                single[node] = tuple(shlex.split(command))
            else:
                every = tuple(shlex.split(text))
        return cls(every, single)

    def of(self, name: str) -> tuple[str, ...]:
        return self.single.get(name, self.every)


def leashed(command: list[str], prefix: tuple[str, ...], parent: int) -> list[str]:
    """`command` under `prefix`, bound to live no longer than the process `parent`."""
    leash = [sys.executable, "-I", "-S", LEASH]
    inner = [*prefix, *leash, "0", *command] if prefix else command
    return [*leash, str(parent), *inner]


def environment() -> dict[str, str]:
    """That of this process, and the place where this package and its twistd plugins are on the import
    path."""
    home = str(Path(toystore.__file__).resolve().parent.parent)
    path = os.pathsep.join(part for part in (home, os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
