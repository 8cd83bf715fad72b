"""What a node is told at its start: the cluster it belongs to, its times in ticks, its limits."""

from __future__ import annotations

from functools import cached_property

from attrs import Factory, frozen

from toystore.consensus.messages import NodeId


@frozen
class Limits:
    """What bounds memory and messages; sizes in bytes of entry data plus a small overhead each."""

    append_entries: int = 1024
    append_bytes: int = 256 * 1024
    window: int = 4
    """Appends in flight to one follower; also how many may wait for an earlier one to arrive."""
    uncommitted_bytes: int = 8 * 1024 * 1024
    replies: int = 256
    """How many messages may wait for a save; the oldest give way, as though the network had lost them."""
    apply_entries: int = 1024


@frozen
class NodeConfig:
    """`voters` and `learners` name all nodes of the cluster, in the order of their ids. Times in ticks."""

    id: NodeId
    voters: tuple[NodeId, ...]
    learners: tuple[NodeId, ...] = ()
    election: str = "raft"
    election_ticks: tuple[int, int] = (30, 60)
    heartbeat_ticks: int = 5
    resend_ticks: int = 20
    hand_over_ticks: int | None = None
    """With `leader_preference = "highest"`: how long a higher id must be healthy."""
    register: NodeId | None = None
    """Where leaders are appointed: the node that keeps the register of views."""
    suspect_ticks: int = 100
    """Where leaders are appointed: after how much silence a replica is dropped or replaced."""
    limits: Limits = Factory(Limits)

    @cached_property
    def other_voters(self) -> tuple[NodeId, ...]:
        return tuple(voter for voter in self.voters if voter != self.id)

    @cached_property
    def peers(self) -> tuple[NodeId, ...]:
        """Whom this node would lead."""
        return tuple(node for node in (*self.voters, *self.learners) if node != self.id)

    def rank(self, voter: NodeId) -> int:
        return self.voters.index(voter)
