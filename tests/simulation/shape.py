"""What a cluster of a run is like, as far as its config goes: small limits, so that all of them are met."""

from __future__ import annotations

from random import Random

from toystore.consensus.node import Limits, NodeConfig
from toystore.replication.replicator import Pace


def drawn_config(random: Random, election: str) -> NodeConfig:
    limits = Limits(
        append_entries=random.choice((2, 8, 64)),
        append_bytes=random.choice((500, 4_000, 100_000)),
        window=random.choice((1, 2, 4)),
        uncommitted_bytes=random.choice((2_000, 20_000, 1_000_000)),
        apply_entries=random.choice((1, 7, 1024)),
    )
    return NodeConfig(
        "", (), election_ticks=random.choice(((8, 12), (12, 24), (15, 30))), heartbeat_ticks=3, resend_ticks=8,
        hand_over_ticks=random.choice((None, None, 60)), limits=limits, election=election, suspect_ticks=30,
    )  # fmt: skip


def drawn_pace(random: Random) -> Pace:
    return Pace(
        tick=0.02, retry_full=0.2, keep_entries=random.choice((4, 16, 64)), keep_bytes=1_000_000,
        snapshot_chunk=random.choice((700, 4_000, 100_000)),
    )  # fmt: skip
