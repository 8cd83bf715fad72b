"""The kinds of faults there are: what they are called, how long they last, and what is drawn for each. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from typing import Any

from attrs import frozen

Draw = Mapping[str, Any]
"""What is special about one fault: which shape, how strong."""

COMPILER = "a C compiler"
"""What a fault needs that a library of ours does inside the node (`shim.c`)."""

ANY, ORDER, LEADER = "any", "order", "leader"
"""Whom a fault is aimed at: any node; an order replica; the one that leads when it begins."""


def nothing(_: random.Random) -> Draw:
    return {}


def a_split(rng: random.Random) -> Draw:
    """`members` first to last; where a split takes only the order replicas, the front ends reach all of them."""
    return {"shape": rng.choice(("halves", "one", "ring")), "everyone": rng.random() < 0.5}


def a_route(rng: random.Random) -> Draw:
    """`unreachable` tells the sender so, `blackhole` and `dropped` swallow: in its kernel, or on the way."""
    return {"how": rng.choice(("unreachable", "blackhole", "dropped"))}


def a_bad_link(rng: random.Random) -> Draw:
    """Seconds and shares; for all links or for those of one node."""
    return {
        "loss": rng.choice((0.0, 0.02, 0.1, 0.3)),
        "delay": rng.choice((0.0, 0.005, 0.03, 0.15)),
        "jitter": rng.choice((0.002, 0.02, 0.1)),
        "duplicate": rng.choice((0.0, 0.05)),
        "everywhere": rng.random() < 0.25,
    }


def a_slow_disk(rng: random.Random) -> Draw:
    return {"milliseconds": rng.choice((20, 80, 250, 900, 3000))}


def a_jump(rng: random.Random) -> Draw:
    """Seconds that the wall clock is off, up to an hour either way."""
    return {"offset": rng.choice((-3600, 3600, rng.randint(-3600, 3600)))}


@frozen
class Kind:
    """`what` is for people; it lasts `shortest` to `longest` seconds; `weight`: how many there are in a deck from which
    kinds are drawn; `needs` names what the machine must have (one of `Shims.available`), "" for nothing."""

    name: str
    what: str
    shortest: float
    longest: float
    weight: int = 1
    aim: str = ANY
    draw: Callable[[random.Random], Draw] = nothing
    needs: str = ""


KINDS: tuple[Kind, ...] = (
    Kind("kill", "SIGKILL of a node, started again after a while", 0.1, 6.0, 3),
    Kind("kill-leader", "SIGKILL of the leader", 0.1, 6.0, 2, LEADER),
    Kind("kill-elected", "SIGKILL of the leader, and of the next as soon as it leads", 0.1, 6.0, 1, LEADER),
    Kind("pause", "SIGSTOP of a node, SIGCONT after a while", 0.05, 15.0, 3),
    Kind("pause-leader", "SIGSTOP of the leader, which wakes up and may think that it still leads", 0.3, 8.0, 2, LEADER),
    Kind("stop", "SIGTERM of a node, started again after a while", 0.1, 5.0, 1),
    Kind("hand-over", "SIGTERM of the leader, which hands over first", 0.1, 4.0, 1, LEADER),
    Kind("restart-all", "SIGKILL of all nodes at one moment", 0.1, 2.0, 1),
    Kind("rolling", "SIGTERM of one order replica after the other, each started before the next", 0.1, 0.2, 1),
    Kind("link-down", "the network device of a node goes down", 0.2, 12.0, 2),
    Kind("one-way", "no route from a node to another, while the way back is open", 0.5, 12.0, 3, ANY, a_route),
    Kind("split", "partition: two halves, one alone, or a ring in which each reaches two", 0.5, 12.0, 3, ANY, a_split),
    Kind("bad-link", "packets are lost, delayed, overtaken and duplicated", 1.0, 12.0, 3, ANY, a_bad_link),
    Kind("full-disk", "the file system of an order replica has no byte left", 1.0, 10.0, 2, ORDER),
    Kind("slow-disk", "each sync of an order replica takes up to 3 s", 1.0, 10.0, 2, ORDER, a_slow_disk, COMPILER),
    Kind("clock", "the wall clock of a node jumps by up to an hour, and back", 0.5, 15.0, 2, ANY, a_jump, COMPILER),
    Kind("wipe", "an order replica loses its disk, where the others hold all that it had", 0.1, 3.0, 1, ORDER),
)

BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}


class UnknownKind(ValueError):
    """There is no such kind; the message names those there are."""


def chosen(only: Collection[str], without: Collection[str], available: Collection[str]) -> tuple[list[Kind], list[Kind]]:
    """The kinds of a run, and those that were wished for but need what this machine does not have (`available` is what it
    has). Raises UnknownKind, also where none is left."""
    for name in (*only, *without):
        if name not in BY_NAME:
            raise UnknownKind(f"there is no fault {name!r}; there are {', '.join(BY_NAME)}")
    wanted = [kind for kind in KINDS if (not only or kind.name in only) and kind.name not in without]
    possible = [kind for kind in wanted if not kind.needs or kind.needs in available]
    if not possible:
        raise UnknownKind("no kind of fault is left")
    return possible, [kind for kind in wanted if kind not in possible]
