"""The catalogue of what can go wrong. Each function makes it so, and gives back what ends it.

**What a disk may forget.** The promises hold while a majority keeps its disks. So at most one voter at a time is without
what it once had on disk (wiped, or under a new uuid after a sync that failed), from then until the entry that names it
anew is applied and synced there; learners are wiped at any time. Nothing is wiped before all voters hold the founding
entry. A disk that *lies* (a voter comes back, under its old uuid, with less than it acknowledged) can be told by nobody but
a leader that had the acknowledgement. Were it to vote first, acknowledged orders could be lost and nobody could know:
no majority protects against that. It is simulated where it can be noticed: the leader stays, and for a while nothing
else goes wrong.

Where leaders are appointed, all of this holds with "in sync" in the place of a majority: a disk is lost only while everyone
is in sync and no change of that is under way; the register's, while all replicas remember its latest view, or all of them
the one before, so that nobody has heard of the latest yet. A disk that lies is not simulated there: if the only one in sync
lies, nobody can know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from itertools import product
from typing import TYPE_CHECKING

from tests.simulation.cluster import REGISTRAR, Process
from tests.simulation.mischief import ALL, LEADER, End, fault
from tests.simulation.network import Trouble
from tests.simulation.plan import ANYONE, Fault
from toystore.consensus.messages import Append, Heartbeat, Message, Ping, Reply, Vote, VoteReply

if TYPE_CHECKING:
    from tests.simulation.stage import Stage

QUIET = 2.0
"""Seconds without other faults around a lie."""

TERM = 1.5
"""Seconds that a process has to stop when it is told to."""


def target(world: Stage, wrong: Fault) -> Process | None:
    """The process that it is about; None where there is none now."""
    if wrong.who == LEADER:
        return world.leader()
    return world.processes.get(wrong.who)


# Links --------------------------------------------------------------------------------------------------------------


def _trouble(world: Stage, pairs: Iterable[tuple[str, str]], only: tuple[type[Message], ...] = (), **what: float) -> End:
    trouble = Trouble(only=only, **what)
    for sender, to in pairs:
        world.links.trouble(sender, to, trouble)
    return lambda: world.links.end(trouble)


def _between(world: Stage, wrong: Fault) -> list[tuple[str, str]]:
    """The links from `who` to `whom`; none where there is no leader, and one is meant."""
    who, whom = _named(world, wrong.who), [_named(world, to) for to in wrong.whom or (ANYONE,)]
    return [(who, to) for to in whom if who is not None and to is not None]


KINDS: dict[str, tuple[type[Message], ...]] = {
    "of any kind": (),
    "appends": (Append,),
    "heartbeats": (Heartbeat,),
    "replies": (Reply,),
    "votes": (Vote, VoteReply),
    "pings": (Ping,),
}


@fault("drop", *KINDS)
def drop(world: Stage, wrong: Fault) -> End:
    return _trouble(world, _between(world, wrong), KINDS[wrong.way], drop=wrong.share)


@fault("duplicate")
def duplicate(world: Stage, wrong: Fault) -> End:
    return _trouble(world, _between(world, wrong), duplicate=wrong.share, lateness=wrong.by)


@fault("reorder")
def reorder(world: Stage, wrong: Fault) -> End:
    return _trouble(world, _between(world, wrong), reorder=wrong.share, lateness=wrong.by)


@fault("delay", "of any kind", "replies")
def delay(world: Stage, wrong: Fault) -> End:
    return _trouble(world, _between(world, wrong), KINDS[wrong.way], delay=wrong.by)


@fault("echo")
def echo(world: Stage, wrong: Fault) -> End:
    """Everything comes once more, later."""
    return _trouble(world, _between(world, wrong), echo=wrong.by)


@fault("clog")
def clog(world: Stage, wrong: Fault) -> End:
    """Nothing arrives until the end; then all of it."""
    return _trouble(world, _between(world, wrong), clogged_until=world.timeline.now + wrong.seconds)


@fault("half-open")
def half_open(world: Stage, wrong: Fault) -> End:
    """Whoever dies there dies like a machine without power: nobody is told, connections stay as they are."""
    return _trouble(world, [(wrong.who, ANYONE), (ANYONE, wrong.who)], silent=True)


# Partitions


@fault("cut", "register", election="appointed")
@fault("cut", "one", "in", "out", "pair", "halves", "ring", "clients")
def cut(world: Stage, wrong: Fault) -> End | bool:
    """`who` from all replicas (both ways, or only what comes in or goes out), from one other, or with `whom` from all the
    rest; everyone from all but two neighbours; `who` from its clients; `who` from the one that appoints."""
    node = _named(world, wrong.who)
    if node is None:
        return False
    return _trouble(world, list(_cut_pairs(world, wrong.way, node, wrong.whom)), cut=True)


def _named(world: Stage, who: str) -> str | None:
    leader = world.leader()
    return (leader.id if leader is not None else None) if who == LEADER else who


def _cut_pairs(world: Stage, way: str, node: str, whom: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    replicas = [*world.processes, *([REGISTRAR] if world.registrar is not None else [])]
    if way == "ring":
        names = list(world.processes)
        for place, name in enumerate(names):
            neighbours = {names[place - 1], names[(place + 1) % len(names)], name}
            yield from ((name, other) for other in names if other not in neighbours)
        return
    if way == "halves":
        camp = {node, *whom}
        others = [other for other in (*replicas, *world.front_ends) if other not in camp]
    elif way == "pair":
        camp, others = {node}, list(whom)
    elif way == "clients":
        camp, others = {node}, world.front_ends
    elif way == "register":
        camp, others = {node}, [REGISTRAR]
    else:
        camp, others = {node}, [other for other in replicas if other != node]
    for inside, outside in product(sorted(camp), others):
        if way != "out":
            yield outside, inside
        if way != "in":
            yield inside, outside


# Processes ------------------------------------------------------------------------------------------------------------


@fault("crash", "loses", "keeps", "keeps a part", "tears")
def crash(world: Stage, wrong: Fault) -> bool | None:
    """SIGKILL, or no power: what was being written is lost, is there, or is there in part (`share`); or its last write is
    torn, which the next open takes for none."""
    process = target(world, wrong)
    if process is None or not process.up:
        return False
    world.kill(process, _kept(wrong, process), wrong.way)
    world.clock.callLater(wrong.seconds, world.start, process)
    return None


def _kept(wrong: Fault, process: Process) -> int:
    """How many of the calls that its disk has not answered yet have been carried out."""
    waiting = process.disk.waiting
    match wrong.way:
        case "keeps":
            return waiting
        case "keeps a part":
            return round(wrong.share * waiting)
        case "tears":
            return max(0, waiting - 1)
        case _:
            return 0


@fault("restart of all", "loses", "keeps")
def restart_all(world: Stage, wrong: Fault) -> None:
    """The lights go out; they are back one after the other."""
    for place, process in enumerate(world.processes.values()):
        if process.up:
            world.kill(process, _kept(wrong, process), "with all others")
        world.clock.callLater(wrong.seconds * (1 + (place * wrong.share) % 1), world.start, process)


@fault("rolling restart")
def rolling_restart(world: Stage, wrong: Fault) -> None:
    """One after the other is told to stop, and started again."""
    for place, process in enumerate(world.processes.values()):
        world.clock.callLater(place * (wrong.seconds + TERM), _stop, world, process, wrong.seconds)


@fault("stop")
def stop(world: Stage, wrong: Fault) -> bool | None:
    process = target(world, wrong)
    return None if process is not None and _stop(world, process, wrong.seconds) else False


def _stop(world: Stage, process: Process, seconds: float) -> bool:
    able = process.up and not process.clock.paused and not world.mischief.over
    if able:
        world.stop(process, TERM)
        world.clock.callLater(TERM + seconds, world.start, process)
    return able


@fault("pause")
def pause(world: Stage, wrong: Fault) -> End | bool:
    process = target(world, wrong)
    if process is None or not process.up or process.clock.paused:
        return False
    process.clock.pause()
    return process.clock.resume


@fault("transfer")
def transfer(world: Stage, wrong: Fault) -> bool | None:
    """The leader hands over to `who`, as an operator may ask."""
    leader = world.leader()
    if leader is None or leader.clock.paused:
        return False
    given = leader.node.transfer(wrong.who if wrong.who in world.config.voters and wrong.who != leader.id else None)
    leader.act()
    return None if given is not None else False


# The register of views


@fault("register dies", "loses", "keeps", election="appointed")
def register_dies(world: Stage, wrong: Fault) -> bool | None:
    """A view that was being written is on its disk, or is not."""
    registrar = world.registrar
    if registrar is None or not registrar.up:
        return False
    registrar.kill(wrong.way == "keeps")
    world.clock.callLater(wrong.seconds, world.start_register)
    return None


@fault("register pauses", election="appointed")
def register_pauses(world: Stage, wrong: Fault) -> End | bool:
    registrar = world.registrar
    if registrar is None or not registrar.up or registrar.clock.paused:
        return False
    registrar.clock.pause()
    return registrar.clock.resume


@fault("register is lost", election="appointed")
def register_is_lost(world: Stage, wrong: Fault) -> bool | None:
    registrar = world.registrar
    if registrar is None or not registrar.up or not (world.all_remember() or world.nobody_knows_yet()):
        return False
    registrar.lose()
    world.rules.register_lost()
    world.tally["registers lost"] += 1
    world.clock.callLater(wrong.seconds, world.start_register)
    return None


# Disks ----------------------------------------------------------------------------------------------------------------


@fault("slow disk")
def slow_disk(world: Stage, wrong: Fault) -> End:
    """Some writes take `by` seconds longer."""
    return world.slow_writes(wrong.who, wrong.share, wrong.by)


@fault("slow apply")
def slow_apply(world: Stage, wrong: Fault) -> End:
    """The ledger falls behind the log."""
    return world.slow_applies(wrong.who, wrong.by)


@fault("stall")
def stall(world: Stage, wrong: Fault) -> End | bool:
    """Syncs do not end."""
    process = target(world, wrong)
    if process is None or not process.up or process.disk.stalled:
        return False
    process.disk.stall()
    return process.release


@fault("full disk")
def full_disk(world: Stage, wrong: Fault) -> End | bool:
    process = target(world, wrong)
    if process is None or process.disk.full:
        return False
    process.disk.full = True

    def room() -> None:
        process.disk.full = False

    return room


@fault("failed sync")
def failed_sync(world: Stage, wrong: Fault) -> bool | None:
    process = target(world, wrong)
    if process is None or not process.up or not world.may_forget():
        return False
    world.failing_disk = process
    process.disk.fail_next_save()
    return None


@fault("rot")
def rot(world: Stage, wrong: Fault) -> bool | None:
    """A bit flips in one of the rows on its disk; nobody knows until that is read."""
    process = target(world, wrong)
    if process is None or not process.up or not world.may_forget():
        return False
    rows = process.disk.rows()
    world.failing_disk = process
    world.forgetful[process.id] = process.disk.uuid
    process.disk.rot(*rows[int(wrong.share * len(rows))])
    return None


@fault("wipe")
def wipe(world: Stage, wrong: Fault) -> bool | None:
    process = target(world, wrong)
    if process is None or not process.up or not world.may_forget():
        return False
    world.kill(process, 0, "its disk is wiped")
    world.forgetful[process.id] = process.disk.uuid
    process.disk.wipe()
    world.tally["wipes"] += 1
    world.clock.callLater(wrong.seconds, world.start, process)
    return None


@fault("lie", election="raft")
def lie(world: Stage, wrong: Fault) -> bool | None:
    """The disk goes back to what it held `seconds` ago, under the same uuid."""
    process = target(world, wrong)
    if process is None or not process.up or process.leads or not world.all_is_well():
        return False
    world.mischief.quiet_until = world.timeline.now + wrong.seconds + QUIET
    hard_state, state = process.disk.hard_state, deepcopy(process.disk.state)
    leader, uuid = world.leader(), process.disk.uuid

    def forget() -> None:
        if process.up and world.leader() is leader and not world.mischief.over:
            world.kill(process, 0, f"its disk is back where it was {wrong.seconds:.3f} s ago")
            process.disk.hard_state, process.disk.state = hard_state, state
            state.undo_unsynced()
            world.forgetful[process.id] = uuid
            world.tally["lies"] += 1
            world.start(process)
            acknowledged = world.acknowledged.get((process.id, uuid), 0)
            if acknowledged > state.last_index():
                world.clock.callLater(QUIET, noticed, acknowledged)

    def noticed(acknowledged: int) -> None:
        if world.leader() is leader and process.up and process.disk.uuid == uuid:
            world.violate(f"{process.id} had acknowledged {acknowledged}, came back with less, and nobody has noticed")

    world.clock.callLater(wrong.seconds, forget)
    world.clock.callLater(wrong.seconds + QUIET, world.forgetful.pop, process.id, None)
    return None


@fault("compact")
def compact(world: Stage, wrong: Fault) -> bool | None:
    """The log is cut down to what is not applied, so that whoever lacks any of it needs a snapshot."""
    process = target(world, wrong)
    if process is None or not process.up or process.clock.paused:
        return False
    log = process.node.log
    if log.applied <= log.base_index:
        return False
    log.compact(log.applied)
    process.compact_disk(log.applied)
    return None


# Clocks ---------------------------------------------------------------------------------------------------------------


@fault("wall clock jumps", "forward", "back")
def wall_clock(world: Stage, wrong: Fault) -> End:
    """By `by` seconds; it is set right at the end."""
    nodes = list(world.processes) if wrong.who == ALL else [wrong.who]
    by = wrong.by if wrong.way == "forward" else -wrong.by
    for node in nodes:
        world.skew[node] = world.skew.get(node, 0.0) + by

    def right() -> None:
        for node in nodes:
            world.skew[node] -= by

    return right


@fault("clock runs", "fast", "slow")
def clock_rate(world: Stage, wrong: Fault) -> End | bool:
    """The monotonic clock, by a share of `by`."""
    process = target(world, wrong)
    if process is None:
        return False
    process.set_rate(1 + wrong.by if wrong.way == "fast" else 1 - wrong.by)
    return lambda: process.set_rate(1.0)
