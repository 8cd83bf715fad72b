"""The disk of a replica as the core may count on it: what was saved is there after a crash, and nothing else is."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import Factory, define

from toystore.consensus.messages import Entry, HardState, Kind, Member, NodeId, SnapshotMeta
from toystore.consensus.node import renamed


@define
class Disk:
    """What one replica has saved. `applied` and `members` are durable with the next save (storage/interface.py)."""

    uuid: str
    hard_state: HardState = Factory(HardState)
    base: tuple[int, int] = (0, 0)
    entries: list[Entry] = Factory(list)
    applied: int = 0
    members: dict[NodeId, Member] = Factory(dict)
    durable: tuple[int, dict[NodeId, Member]] = Factory(lambda: (0, {}))
    refilling: bool = False
    """What was here before was put aside as broken."""

    @property
    def last(self) -> int:
        return self.base[0] + len(self.entries)

    def term_at(self, index: int) -> int | None:
        if index == self.base[0]:
            return self.base[1]
        return self.entries[index - self.base[0] - 1].term if self.base[0] < index <= self.last else None

    def save(self, hard_state: HardState | None, entries: Sequence[Entry]) -> None:
        if hard_state is not None:
            self.hard_state = hard_state
        if entries:
            first = entries[0].index
            assert self.base[0] < first <= self.last + 1, "a gap on the disk"
            self.entries[first - self.base[0] - 1 :] = entries
        self.durable = (self.applied, self.members)

    def apply(self, entry: Entry) -> None:
        assert entry.index == self.applied + 1, "applied out of order"
        assert self.entries[entry.index - self.base[0] - 1] == entry, "applied what the disk does not hold"
        self.applied = entry.index
        if entry.kind is Kind.MEMBERS:
            self.members = dict(renamed(self.members, entry))

    def lose_unsynced(self) -> None:
        self.applied, self.members = self.durable

    def compact(self, index: int) -> None:
        term = self.term_at(index)
        assert term is not None
        assert index <= self.applied
        del self.entries[: index - self.base[0]]
        self.base = (index, term)
        self.durable = (self.applied, self.members)

    def install(self, meta: SnapshotMeta) -> None:
        self.base, self.entries, self.applied = (meta.index, meta.term), [], meta.index
        self.members = dict(meta.members)
        self.durable = (self.applied, self.members)
