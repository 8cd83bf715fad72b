"""What consensus keeps and says: log entries, what must be durable, and the messages between nodes.

A node is known by its name (`order-1`, `catalog-2`). Every message carries its sender, its receiver and the sender's
term. Requests ask for a reply; a reply carries the storage uuid of its sender, so that a disk that forgot can be told
from the one that answered before (design: "a disk that forgot").

| message | from -> to | reply |
|---|---|---|
| PreVote, Vote | candidate -> voter | VoteReply |
| Append | leader -> follower, learner | AppendReply |
| Heartbeat | leader -> follower, learner | HeartbeatReply |
| TimeoutNow | leader -> follower | none (a Vote follows) |
| Ping | register of views -> voter | Standing |
| Ask | leader -> register of views | none (a Ping with the view that came of it follows) |

The last two are of the appointed election; the epoch of its views plays the part of the term.

Snapshots travel beside these (replication/snapshots.py); once installed, an AppendReply says so.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from attrs import field, frozen

from toystore.consensus.views import NO_CLAIM, Claim, View
from toystore.consensus.views import NodeId as NodeId


class Kind(enum.IntEnum):
    """What a log entry holds."""

    NOOP = 0
    COMMAND = 1
    MEMBERS = 2


@frozen
class Entry:
    """One log entry; `index` counts from 1. `data` is opaque to the core, but for MEMBERS."""

    index: int
    term: int
    kind: Kind
    data: bytes


@frozen
class Member:
    """A voter as the log knows it: the uuid of its storage, and the index of the entry that named it."""

    uuid: str
    index: int


Members = Mapping[NodeId, Member]


@frozen
class HardState:
    """What a node must never forget (Raft figure 2, "persistent state on all servers"). Where leaders are appointed: the
    highest `view` that it was told, and the highest claim of a register that it has promised to follow."""

    term: int = 0
    vote: NodeId | None = None
    view: View | None = None
    promised: Claim = NO_CLAIM


@frozen
class SnapshotMeta:
    """The point a snapshot stands for: the last entry it includes, and the members and the generation as of it."""

    index: int
    term: int
    members: Members
    generation: int = 0


@frozen
class Message:
    sender: NodeId
    to: NodeId
    term: int


@frozen
class Request(Message):
    """A message that the receiver answers."""


@frozen
class Reply(Message):
    uuid: str


@frozen
class PreVote(Request):
    """Would you vote for me in `term`? Nobody's term changes by asking (thesis 9.6)."""

    last_index: int
    last_term: int
    empty: bool
    """The candidate has an empty log."""
    founding: tuple[tuple[NodeId, str], ...] = ()
    """The first members, where the candidate's log still knows of no others."""


@frozen
class Vote(PreVote):
    """Raft figure 2, RequestVote. `transfer`: the leader asked for this election (thesis 3.10)."""

    transfer: bool = False
    empties: tuple[NodeId, ...] = ()
    """The replicas known by the candidate to be empty."""


@frozen
class VoteReply(Reply):
    granted: bool
    pre: bool
    empty: bool


@frozen
class Append(Request):
    """Raft figure 2, AppendEntries. `seq` orders what this leader sent; `acked` is how far the receiver has
    acknowledged to this leader under the uuid `acked_uuid`."""

    seq: int
    prev_index: int
    prev_term: int
    commit: int
    entries: tuple[Entry, ...] = field(repr=lambda es: f"{es[0].index}..{es[-1].index}" if es else "none")
    acked: int = 0
    acked_uuid: str = ""
    quorum_age: int = 0
    """Ticks since a quorum last confirmed this leader."""
    generation: int = 0
    known: int = 0
    """All that was acknowledged to anyone before is up to here."""


@frozen
class AppendReply(Reply):
    """`match`: everything up to here is on my disk and agrees with what was sent. Where `rejected`, `match` is the
    `prev_index` that did not fit, and my last entry that may fit has `hint_index` and `hint_term` (Raft 5.3)."""

    seq: int
    match: int
    applied: int
    rejected: bool = False
    hint_index: int = 0
    hint_term: int = 0
    generation: int = 0
    """Of the replier's state; a leader of a later one sends it a whole new state."""


@frozen
class Heartbeat(Request):
    """An Append without a place in the log: confirms the leader, moves the commit index, carries read contexts."""

    seq: int
    commit: int
    acked: int = 0
    acked_uuid: str = ""
    quorum_age: int = 0
    generation: int = 0
    known: int = 0


@frozen
class HeartbeatReply(Reply):
    seq: int
    applied: int
    generation: int = 0


@frozen
class TimeoutNow(Message):
    """Start an election at once (thesis 3.10)."""


@frozen
class Ping(Request):
    """How do you stand? It tells the stored view of the register, None while there is none; its claim, where it takes
    the views over from another register; and who does not answer it."""

    seq: int
    view: View | None
    claim: Claim = NO_CLAIM
    silent: tuple[NodeId, ...] = ()


@frozen
class Standing(Reply):
    """`view` is the highest on the replier's disk. It `leads` the epoch of that view, or is about to; it is `fit` to:
    its loop turns, it can write, and no write is overdue."""

    seq: int
    view: View | None
    leads: bool
    fit: bool
    empty: bool
    """It has an empty log, and never had another as far as it knows."""
    promised: Claim = NO_CLAIM


@frozen
class Ask(Request):
    """The leader of view `version` asks for the next: this leader, these in sync."""

    version: int
    leader: NodeId
    in_sync: Mapping[NodeId, str]
