"""What a node is, and what it wants done: the values that come out of `Node`."""

from __future__ import annotations

import enum

from attrs import frozen

from toystore.consensus.messages import Entry, HardState, Message, NodeId


class Role(enum.Enum):
    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"
    LEARNER = "learner"


@frozen
class Ready:
    """What must happen now. `reply` may leave once `hard_state` and `entries` are on disk (at once if there is neither).

    `apply` is committed and on this node's disk. `reads` are confirmed at an applied index of at least the number given;
    `lost_reads` never will be. `snapshots` are peers that need one, with the index each has applied. `forgot`: this disk
    has less than it acknowledged and needs a new uuid; the node takes part in nothing until `renewed`.
    """

    send: tuple[Message, ...] = ()
    hard_state: HardState | None = None
    entries: tuple[Entry, ...] = ()
    reply: tuple[Message, ...] = ()
    apply: tuple[Entry, ...] = ()
    reads: tuple[tuple[int, int], ...] = ()
    lost_reads: tuple[int, ...] = ()
    snapshots: tuple[tuple[NodeId, int], ...] = ()
    forgot: bool = False

    @property
    def must_save(self) -> bool:
        return self.hard_state is not None or bool(self.entries)

    @property
    def nothing(self) -> bool:
        return self is NOTHING or self == NOTHING


NOTHING = Ready()
