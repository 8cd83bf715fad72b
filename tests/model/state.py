"""What the model tells apart: the register, the replicas, and what was ever sent.

Ids and uuids are small numbers: replica 0, 1, ..; uuid 0 is the first disk of a replica, each wipe counts one up. Every
message ever sent may be delivered never, once or again, in any order: that is loss, delay, repetition and partition. So
what was sent is kept as sets, in the shortest form that allows the same deliveries:

- a Ping carries a view: `told` is every view that any Ping has carried;
- an Ask: `asks`;
- Appends of one epoch are slices of one log that only grows, the leader's: its log now, or the log that it had when its
  office ended (`ended`). Where the follower's log agrees with the slice's predecessor, taking the slice is the same as
  taking everything up to its end; where it does not, nothing is taken;
- an AppendReply speaks of (replica, uuid, epoch), and the highest one sent allows all that lower ones do: `Office.acks`,
  kept with the leader that it is for. That the leader has heard it is not a step of its own: hearing has no effect but
  to allow what needs it, so that the model lets the leader hear everything sent at the moment when it needs it. It may
  as well not yet have heard it: then that step does not happen yet.

A replica that is down is one to which nothing is delivered, so that crash and restart are one step (`Rules.crash`). The
register's process has no memory that matters: it may suspect anyone at any time, and what it has heard may be old.
The commit index of a follower is not kept: `committed` is what any leader ever committed, and to lose any of that from a
disk is an error whoever knew of it.
"""

from __future__ import annotations

from typing import NamedTuple

Id = int
Uuid = int
Members = tuple[tuple[Id, Uuid], ...]
"""Who is meant under which uuid, by id."""


class Entry(NamedTuple):
    """`command` 0 is a no-op; commands are numbered from 1, each is proposed once."""

    epoch: int
    command: int


Log = tuple[Entry, ...]


class Committed(NamedTuple):
    """An entry that is committed, and the lowest epoch whose leader committed it (a ghost)."""

    entry: Entry
    at: int


class View(NamedTuple):
    register: int
    generation: int
    version: int
    epoch: int
    leader: Id
    in_sync: Members

    @property
    def place(self) -> tuple[int, int]:
        """What V1 compares."""
        return self.generation, self.version


class Ask(NamedTuple):
    version: int
    epoch: int
    sender: Id
    leader: Id
    in_sync: Members


class Read(NamedTuple):
    """A read that waits: `shows` is the index it will show, `due` what was committed by anyone when it came (a ghost)."""

    shows: int
    due: int
    answered: Members


class Office(NamedTuple):
    """The memory of a process that leads; the epoch is the replica's term.

    `synced`: so much of its log is surely on its own disk. Whether more is, is decided when it matters: at a crash, or
    when an entry is committed. `acks`: (id, uuid, index) of what was acknowledged to it in this epoch.
    """

    synced: int
    commit: int = 0
    acks: tuple[tuple[Id, Uuid, int], ...] = ()
    asked: Ask | None = None
    read: Read | None = None


class Replica(NamedTuple):
    """`office` is memory, and so is what its log has beyond `office.synced`; all else is on disk. `promised`: the
    register that it last answered as one that takes over."""

    uuid: Uuid = 0
    term: int = 0
    view: View | None = None
    log: Log = ()
    office: Office | None = None
    promised: int = -1

    @property
    def disk(self) -> Log:
        """What of the log would surely survive a crash."""
        return self.log if self.office is None else self.log[: self.office.synced]


class Heard(NamedTuple):
    """What a new register has heard of a replica."""

    uuid: Uuid
    view: View | None
    empty: bool


class Register(NamedTuple):
    """`stored` is None at a register that has not yet taken over; `heard` is used only until then."""

    id: int
    stored: View | None
    heard: tuple[Heard | None, ...]


class Ended(NamedTuple):
    """An office that is over: its Appends may still be under way."""

    epoch: int
    leader: Id
    log: Log


class Spent(NamedTuple):
    """How much of what is bounded has been used."""

    commands: int = 0
    wipes: int = 0
    reads: int = 0


class State(NamedTuple):
    register: Register
    replicas: tuple[Replica, ...]
    told: tuple[View, ...] = ()
    asks: tuple[Ask, ...] = ()
    ended: tuple[Ended, ...] = ()
    committed: tuple[Committed, ...] = ()
    spent: Spent = Spent()

    def with_replica(self, who: Id, replica: Replica) -> State:
        return self._replace(replicas=(*self.replicas[:who], replica, *self.replicas[who + 1 :]))


def beginning(replicas: int) -> State:
    """Empty disks, and a register that knows nobody."""
    return State(Register(0, None, (None,) * replicas), (Replica(),) * replicas)


def agreed(ours: Log, theirs: Log) -> int:
    """How many entries agree by index and epoch: all that Raft's check looks at (Raft 5.3)."""
    count = 0
    for mine, other in zip(ours, theirs, strict=False):
        if mine.epoch != other.epoch:
            break
        count += 1
    return count


def common(ours: Log, theirs: Log) -> int:
    """How many entries are truly the same."""
    count = 0
    for mine, other in zip(ours, theirs, strict=False):
        if mine != other:
            break
        count += 1
    return count
