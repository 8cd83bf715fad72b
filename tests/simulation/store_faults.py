"""What can go wrong between catalogs, front ends and customers, where the whole store is simulated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.catalogs import Stream
from tests.simulation.front_ends import FrontEnd
from tests.simulation.mischief import End, fault
from tests.simulation.plan import ANYONE, Fault

if TYPE_CHECKING:
    from tests.simulation.world import World


def _streams(world: World, wrong: Fault) -> list[Stream]:
    """Of the front end or the catalog that it is about, or all."""
    if world.store is None:
        return []
    return list(world.store.streams) if wrong.who == ANYONE else world.store.streams_of(wrong.who)


def _front(world: World, wrong: Fault) -> FrontEnd | None:
    return None if world.store is None else world.store.fronts.get(wrong.who)


@fault("feed breaks", whole=True)
def feed_breaks(world: World, wrong: Fault) -> bool | None:
    """The connection is reset, and another one may follow at once."""
    streams = _streams(world, wrong)
    for stream in streams:
        stream.reset()
    return None if streams else False


@fault("feed is cut", whole=True)
def feed_is_cut(world: World, wrong: Fault) -> End | bool:
    """The connection is reset; for a while the front end gets nothing from that catalog, and another may."""
    streams = _streams(world, wrong)
    pairs = [(stream.process.id, stream.front.id) for stream in streams]
    if not pairs:
        return False
    end = world.links.cut_all(pairs)
    for stream in streams:
        stream.reset()
    return end


@fault("feed is silent", whole=True)
def feed_is_silent(world: World, wrong: Fault) -> bool | None:
    """Half-open from now on: nothing is delivered any more, and nobody is told."""
    streams = _streams(world, wrong)
    for stream in streams:
        stream.deaf = True
    return None if streams else False


@fault("feed unread", whole=True)
def feed_unread(world: World, wrong: Fault) -> End | bool:
    """The front end has no time to read; its other connections go on."""
    streams = _streams(world, wrong)
    for stream in streams:
        stream.unread = True

    def read() -> None:
        for stream in streams:
            stream.unread = False

    return read if streams else False


@fault("late answers", whole=True)
def late_answers(world: World, wrong: Fault) -> End | bool:
    """A share of the answers of a catalog come late, later than what it pushes."""
    store = world.store
    if store is None:
        return False
    late = (wrong.who, wrong.share, wrong.by)
    store.late.append(late)
    return lambda: store.late.remove(late) if late in store.late else None


@fault("front end dies", whole=True)
def front_end_dies(world: World, wrong: Fault) -> bool | None:
    front = _front(world, wrong)
    if front is None or not front.up or world.store is None:
        return False
    world.tally["front ends lost"] += 1
    front.kill()
    world.clock.callLater(wrong.seconds, world.store.start_front, front)
    return None


@fault("front end pauses", whole=True)
def front_end_pauses(world: World, wrong: Fault) -> End | bool:
    front = _front(world, wrong)
    if front is None or not front.up or front.clock.paused:
        return False
    front.clock.pause()
    return front.clock.resume
