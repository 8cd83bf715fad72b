"""The log of one node: the kept tail of it, what of it is on disk, committed and applied.

The tail is bounded (the replicator calls `compact`), so that it lives in memory whole; a follower that needs more gets
a snapshot. Invariant: base_index <= applied <= commit <= last_index, applied <= saved <= last_index.
"""

from __future__ import annotations

from collections.abc import Sequence

from toystore.consensus.messages import Entry

OVERHEAD = 48
"""Bytes counted for an entry beside its data."""


def size_of(entry: Entry) -> int:
    """Bytes, as the limits count them."""
    return len(entry.data) + OVERHEAD


class Log:
    def __init__(self, base_index: int = 0, base_term: int = 0, entries: Sequence[Entry] = (), applied: int = 0) -> None:
        self.base_index = base_index
        self.base_term = base_term
        self._entries = list(entries)
        self.size = sum(map(size_of, self._entries))
        self.saved = self.last_index
        self.commit = self.applied = applied
        assert base_index <= applied <= self.last_index, (base_index, applied, self.last_index)

    @property
    def last_index(self) -> int:
        return self.base_index + len(self._entries)

    @property
    def last_term(self) -> int:
        return self._entries[-1].term if self._entries else self.base_term

    @property
    def empty(self) -> bool:
        """Nothing was ever in it."""
        return self.last_index == 0

    def term_at(self, index: int) -> int | None:
        """The term of the entry there; None where it is not kept (any more)."""
        if index == self.base_index:
            return self.base_term
        if self.base_index < index <= self.last_index:
            return self._entries[index - self.base_index - 1].term
        return None

    def entry(self, index: int) -> Entry:
        assert self.base_index < index <= self.last_index, (self.base_index, index, self.last_index)
        return self._entries[index - self.base_index - 1]

    def slice(self, first: int, last: int, max_entries: int, max_bytes: int) -> tuple[Entry, ...]:
        """The entries from `first` to `last`, both included, within the limits; at least one if there is any."""
        assert first > self.base_index, (first, self.base_index)
        start = first - self.base_index - 1
        chosen = self._entries[start : min(last - self.base_index, start + max_entries)]
        size = 0
        for count, entry in enumerate(chosen):
            size += size_of(entry)
            if size > max_bytes and count:
                return tuple(chosen[:count])
        return tuple(chosen)

    def up_to_date(self, last_index: int, last_term: int) -> bool:
        """Is a log that ends there at least as up to date as this one? (Raft 5.4.1)"""
        return (last_term, last_index) >= (self.last_term, self.last_index)

    def append(self, entries: Sequence[Entry]) -> int:
        """Add entries that follow one another; where one conflicts with an entry that is here (same index, other term),
        that one and all after it go (Raft 5.3). Gives the index of the first that was new, or 0 if none was."""
        for position, entry in enumerate(entries):
            term = self.term_at(entry.index)
            if term == entry.term or entry.index <= self.base_index:
                continue
            if term is not None:
                self._truncate(entry.index)
            new = entries[position:]
            assert new[0].index == self.last_index + 1, (new[0].index, self.last_index)
            self._entries += new
            self.size += sum(map(size_of, new))
            return entry.index
        return 0

    def _truncate(self, index: int) -> None:
        assert index > self.commit, f"entry {index} conflicts, and {self.commit} are committed"
        keep = index - self.base_index - 1
        self.size -= sum(map(size_of, self._entries[keep:]))
        del self._entries[keep:]
        self.saved = min(self.saved, index - 1)

    def commit_to(self, index: int) -> tuple[Entry, ...]:
        """Raise the commit index; gives the entries that became committed."""
        if index <= self.commit:
            return ()
        assert index <= self.last_index, f"committed {index}, and the log ends at {self.last_index}"
        newly = tuple(self._entries[self.commit - self.base_index : index - self.base_index])
        self.commit = index
        return newly

    def may_agree(self, index: int, term: int) -> tuple[int, int]:
        """The last (index, term) at or before `index` whose term is not above `term`: the furthest point at which a log
        that has `term` at `index` may agree with this one. (The back-off of Raft 5.3, a term at a time.)"""
        index = min(index, self.last_index)
        while index > self.base_index:
            here = self.term_at(index)
            assert here is not None
            if here <= term:
                return index, here
            index -= 1
        return self.base_index, self.base_term

    def compact(self, index: int) -> None:
        """Forget entries up to and with `index`, which must have been applied."""
        assert index <= self.applied, (index, self.applied)
        if index <= self.base_index:
            return
        count = index - self.base_index
        term = self.term_at(index)
        assert term is not None
        self.size -= sum(map(size_of, self._entries[:count]))
        del self._entries[:count]
        self.base_index, self.base_term = index, term

    def restore(self, index: int, term: int, other: bool = False) -> None:
        """Start again after a snapshot that ends at `index`. What is committed beyond it will be learned again. `other`: it
        is of another history, which takes the place of this one."""
        assert other or index > self.applied, (index, self.applied)
        self._entries.clear()
        self.size = 0
        self.base_index, self.base_term = index, term
        self.saved = self.commit = self.applied = index
