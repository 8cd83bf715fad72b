"""One replica of the ledger as the routes above it see it: submit commands, query, follow changes, status.

Nothing above this interface knows how the ledger is replicated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred

from toystore.model import Outcome, Position, Request
from toystore.storage.interface import Applied, Reader

T = TypeVar("T")


class NotLeader(Exception):
    """This replica does not lead; nothing was done. `leader` is the node to ask, None where it is not known."""

    def __init__(self, leader: str | None) -> None:
        super().__init__(f"not the leader; the leader is {leader or 'not known'}")
        self.leader = leader


@frozen
class Answer:
    """What came of a request, and the log entry that carried it out just now (not the first time, for a repeated
    request id), with the generation of the ledger that has it."""

    index: int
    term: int
    outcome: Outcome
    generation: int = 0


@frozen
class TurnedAway:
    """The request was not accepted and never will be by this attempt: too much is waiting, or the disk is full."""

    reason: str


@frozen
class Unsure:
    """The request was accepted, and then leadership was lost: it may be carried out or not. Sending it again, under the
    same request id, is safe."""

    reason: str


Result = Answer | TurnedAway | Unsure


@frozen
class Scrubbed:
    """Scrubs of the storage: `passes` ended in this process; the last read `rows` rows and ended at `ended_at`
    (milliseconds since 1970), in `seconds`. None where there was none yet."""

    passes: int = 0
    rows: int | None = None
    seconds: float | None = None
    ended_at: int | None = None


@frozen
class ReplicaStatus:
    """`state` is leader, follower, candidate or learner. `applied_index` and `digest` (hexadecimal) are read together.

    `lag` is in entries, behind the highest commit index this replica knows; `leader_age` as
    `Replica.leader_age`. `in_sync` says whether this replica counts: its storage
    is the one that the log names, and it has heard the leader. `reasons` are why it is not ready, empty if it is.
    `put_aside` says why and where its database was put aside, as long as it waits to be filled again; `scrubbed` how its
    storage was last read anew.
    """

    node: str
    state: str
    leader: str | None
    term: int
    last_index: int
    commit_index: int
    applied_index: int
    digest: str
    lag: int
    in_sync: bool
    generation: int
    uuid: str
    leader_age: float | None
    reasons: tuple[str, ...]
    put_aside: str = ""
    scrubbed: Scrubbed = Scrubbed()


class Replica(Protocol):
    def submit(self, requests: Sequence[Request]) -> Deferred[list[Result]]:
        """One result for each request, in their order, once all are known. Fails with NotLeader where this replica does
        not lead at the time of the call (with no requests too: a cheap way to ask who leads)."""

    def term(self) -> int: ...

    def read(self, query: Callable[[Reader], T]) -> Deferred[tuple[T, Position]]:
        """The result on what is applied here, and the position of that state."""

    def read_linearizable(self, query: Callable[[Reader], T]) -> Deferred[tuple[T, Position]]:
        """The same, but no older than what was acknowledged before the call (Raft 8, read index). Only the leader can:
        NotLeader elsewhere, and where leadership is lost meanwhile."""

    def wait_for(self, position: Position) -> Deferred[None]:
        """Fires once this replica has applied up to `position`. The caller cancels it, or adds a timeout."""

    def position(self) -> Position:
        """What is applied here."""

    def leader_age(self) -> float | None:
        """For how many seconds what is applied here may have lacked something acknowledged: since a leader that a majority
        had confirmed was heard of, and all that was committed by then is applied. None for ever. 0 at the leader."""

    def follow(self, listener: Callable[[Sequence[Applied]], None], reset: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` with what is applied from now on, in order, and `reset` after a snapshot was installed instead.
        The result ends it."""

    def state_hash(self, index: int) -> Deferred[str]:
        """As `Storage.state_hash`."""

    def status(self) -> Deferred[ReplicaStatus]: ...
