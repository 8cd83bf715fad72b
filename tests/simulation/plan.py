"""A run as data: what the cluster is like, and what goes wrong when. A plan repeats a run to the last message.

`swarm.draw` makes one from a seed; `shrink` takes faults away from one that fails; `corpus/` keeps those that failed
once. A plan, not a seed, is what keeps its meaning while the code changes.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

import msgspec
from attrs import evolve, field, frozen

from toystore.consensus.settings import Limits, NodeConfig
from toystore.replication.replicator import Pace

ANYONE = "*"


@frozen
class Fault:
    """One thing that goes wrong. `kind` and `way` are of the catalogue in `faults`.

    It is armed `at` so many seconds, and strikes at once; or, where a `moment` is named (see `mischief`), `by` seconds after
    the next time that this comes at `who`. `who` is a node, a role ("leader"), or anyone; `whom` are the nodes at the other
    end, where there is one. It lasts `seconds`; `share` is of messages, writes or calls, `by` is a delay, or a rate.
    """

    kind: str
    way: str = ""
    at: float = 0.0
    who: str = ANYONE
    whom: tuple[str, ...] = ()
    moment: str = ""
    seconds: float = 0.0
    share: float = 0.0
    by: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.kind}: {self.way}" if self.way else self.kind

    def __str__(self) -> str:
        whom = f" {'and' if self.kind == 'cut' else '>'} {', '.join(self.whom)}" if self.whom else ""
        moment = f", when {self.moment}" if self.moment else ""
        strength = "".join(f", {name} {value:g}" for name, value in (("share", self.share), ("by", self.by)) if value)
        return f"{self.at:6.2f} s  {self.name} at {self.who}{whom}{moment} for {self.seconds:.3f} s{strength}"


@frozen
class Shape:
    """The cluster of a run. Small limits, so that all of them are met. `fronts` have a cache of `cache_size` products
    each, where the whole stack is simulated; else they are clients of the leader alone. `feed_waiting` lines at most wait
    for a front end that does not read; every `restock` seconds (0: never) catalogs refill what is sold out."""

    voters: int = 3
    learners: int = 1
    fronts: int = 2
    rate: float = 8.0
    """Actions of one customer a second."""
    reads: float = 0.2
    """The share of them that are linearizable reads."""
    stock: int = 60
    """Units of each product, at the beginning."""
    cache_size: int = 3
    max_floors: int = 4
    feed_waiting: int = 64
    restock: float = 0.0
    tick: float = 0.05
    election_ticks: tuple[int, int] = (8, 14)
    heartbeat_ticks: int = 2
    resend_ticks: int = 4
    suspect_ticks: int = 16
    hand_over_ticks: int | None = None
    keep_entries: int = 16
    scrub_every: float = 0.0
    """Seconds; 0 is never."""
    snapshot_chunk: int = 4_000
    limits: Limits = field(factory=Limits)

    def config(self, election: str) -> NodeConfig:
        return NodeConfig(
            "", (), election=election, election_ticks=self.election_ticks, heartbeat_ticks=self.heartbeat_ticks,
            resend_ticks=self.resend_ticks, suspect_ticks=self.suspect_ticks, hand_over_ticks=self.hand_over_ticks,
            limits=self.limits,
        )  # fmt: skip

    def pace(self) -> Pace:
        return Pace(
            tick=self.tick, retry_full=0.2, keep_entries=self.keep_entries, keep_bytes=1_000_000,
            snapshot_chunk=self.snapshot_chunk, scrub_every=self.scrub_every,
        )  # fmt: skip


@frozen
class Plan:
    """`seed` is that of the streams from which delays and the doings of customers are drawn; `seconds` is for how long
    things go wrong. `whole`: with catalogs that answer, and front ends with their caches and feeds."""

    seed: int
    election: str = "raft"
    whole: bool = False
    seconds: float = 27.0
    shape: Shape = field(factory=Shape)
    faults: tuple[Fault, ...] = ()

    def stream(self, name: str) -> Random:
        """The random numbers of one link, disk or client: what is drawn elsewhere does not change them."""
        return Random(f"{self.seed}/{name}")

    def without(self, *kinds: str) -> Plan:
        return evolve(self, faults=tuple(fault for fault in self.faults if fault.kind not in kinds))

    def to_json(self) -> str:
        """With a line for each fault, to be read and edited; what is as by default is left out."""
        head = {name: value for name, value in _told(self, Plan).items() if name not in ("faults", "shape")}
        head["shape"] = _told(self.shape, Shape)
        lines = ",\n    ".join(json.dumps(_told(fault, Fault)) for fault in self.faults)
        return json.dumps(head)[:-1] + ', "faults": [\n    ' + lines + "\n]}\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Plan:
        """Raises ValueError."""
        return msgspec.json.decode(text, type=cls, strict=True)


def _told(value: Any, cls: type[Any]) -> dict[str, Any]:
    fields = msgspec.to_builtins(value)
    usual = msgspec.to_builtins(cls(kind="") if cls is Fault else cls(seed=-1) if cls is Plan else cls())
    return {name: fields[name] for name in fields if fields[name] != usual[name]}
