"""What a leader knows of one follower or learner (thesis 10.2; the states are those of etcd's raft)."""

from __future__ import annotations

import enum
from collections import deque

from attrs import Factory, define


class Flow(enum.Enum):
    PROBE = "probe"
    """Looking for the place where the logs agree: one append at a time."""
    REPLICATE = "replicate"
    """Appends are sent ahead of their acknowledgements, within the window."""
    SNAPSHOT = "snapshot"
    """What it needs is no longer in the log; nothing is sent until a snapshot has arrived."""


@define
class Progress:
    """Invariant: 0 <= match < next. Ticks are those of the leader."""

    match: int
    """Known to be on its disk and to agree with the leader's log."""
    next: int
    """The first entry to send."""
    now: int
    """The tick of the last contact: it has acknowledged this leader."""
    uuid: str = ""
    """The storage that `match` is about; "" before it has answered."""
    flow: Flow = Flow.PROBE
    seq: int = 0
    """The highest request of this leader that it has answered."""
    applied: int = 0
    inflight: deque[int] = Factory(deque)
    """The last index of each append sent and not acknowledged."""
    told: int = 0
    """The commit index last sent to it."""
    sent: int = -(10**9)
    """The tick of the last message to it."""
    stuck_since: int = 0
    """The tick since which something is in flight without progress."""
    healthy_since: int | None = None
    """The tick since which it is in contact and has all that is committed."""
    gone: bool = False
    """Nobody listens at its address: its process has ended."""
    generation: int | None = None
    """That of its state; None before it has answered."""

    def accept(self, match: int, now: int) -> bool:
        """It has everything up to `match`; is that news?"""
        news = match > self.match
        if news:
            self.match = match
            self.stuck_since = now
        self.next = max(self.next, match + 1)
        while self.inflight and self.inflight[0] <= match:
            self.inflight.popleft()
        if self.flow is Flow.PROBE and match >= self.next - 1:
            self.flow = Flow.REPLICATE
            self.inflight.clear()
        return news

    def probe(self, next_index: int) -> None:
        """Look for the place where the logs agree, from `next_index` on."""
        self.flow = Flow.PROBE
        self.next = max(self.match + 1, next_index)
        self.inflight.clear()

    def forget(self, uuid: str, next_index: int, now: int) -> None:
        """It answers from another storage: nothing that was known holds."""
        self.uuid, self.match, self.applied = uuid, 0, 0
        self.healthy_since, self.stuck_since = None, now
        self.probe(next_index)

    def may_send(self, window: int) -> bool:
        match self.flow:
            case Flow.PROBE:
                return not self.inflight
            case Flow.REPLICATE:
                return len(self.inflight) < window
            case Flow.SNAPSHOT:
                return False

    def sending(self, last: int, now: int) -> None:
        """An append that ends at `last` leaves."""
        if not self.inflight:
            self.stuck_since = now
        self.inflight.append(last)
        if self.flow is Flow.REPLICATE:
            self.next = last + 1
