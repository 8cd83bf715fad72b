"""What a replica tells of itself."""

from __future__ import annotations

from toystore.consensus.node import Node, Role
from toystore.replication.interface import ReplicaStatus, Scrubbed


def status_of(
    node: Node, generation: int, applied: tuple[int, bytes], age: float | None, put_aside: str, scrubbed: Scrubbed
) -> ReplicaStatus:
    """`applied` is index and digest, read together; `age` in seconds, as `Replica.leader_age`."""
    hears = hears_leader(node)
    index, digest = applied
    return ReplicaStatus(
        node=node.id,
        state=Role.CANDIDATE.value if node.campaigning else node.role.value,
        leader=node.leader,
        term=node.hard_state.term,
        last_index=node.log.last_index,
        commit_index=node.log.commit,
        applied_index=index,
        digest=digest.hex(),
        lag=max(0, node.log.commit - index),
        in_sync=hears and (node.role is Role.LEARNER or node.named),
        generation=generation,
        uuid=node.uuid,
        leader_age=age,
        reasons=tuple(_reasons(node, hears, put_aside)),
        put_aside=put_aside,
        scrubbed=scrubbed,
    )


def hears_leader(node: Node) -> bool:
    """One that enough others have confirmed."""
    return node.leader is not None and node.quorum_age is not None and node.quorum_age < node.config.election_ticks[0]


def whole_again(node: Node) -> bool:
    """A replica that had to be filled has all that its leader had committed, and counts."""
    counts = node.role is Role.LEARNER or node.named
    return counts and hears_leader(node) and 0 < node.log.commit == node.log.applied


def _reasons(node: Node, hears: bool, put_aside: str) -> list[str]:
    """Why it can not do its job."""
    reasons = []
    if put_aside:
        reasons.append(f"{put_aside}; it waits for a copy from the others")
    if not hears:
        reasons.append("no leader" if node.leadership is None else "it leads, and those it waits for do not answer")
    elif node.leadership is not None and not node.leadership.serves:
        reasons.append("a new leader has not committed yet")
    if node.role is not Role.LEARNER and not node.named:
        appointed = node.config.election == "appointed"
        reasons.append("it is not in sync yet" if appointed else "its storage is not named by the log yet")
    if not node.writable:
        reasons.append("the disk is full")
    return reasons
