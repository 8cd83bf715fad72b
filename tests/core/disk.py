"""A disk for the core alone: the log, the term, and of the ledger no more than how far it is applied.

As `storage.memory`, it carries out its calls in order; saves take time, stall, fail, and are lost or kept by a crash. What
is applied or cut off the log is durable with the next save.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from attrs import define, field, frozen

from tests.core.timeline import Life
from tests.simulation.checkers import Violation
from toystore.consensus.log import Log
from toystore.consensus.membership import decode_generation
from toystore.consensus.messages import Entry, HardState, Kind, Members, SnapshotMeta
from toystore.consensus.node import renamed


class Full(Exception):
    """There is no room."""


class SyncFailed(Exception):
    """Nothing is known of what was written: the process ends, and takes a new uuid."""


@frozen
class Head:
    """What applying has led to; `digest` is of all entries so far."""

    applied: int = 0
    digest: int = 0
    members: Members = field(factory=dict)
    generation: int = 0


@define
class State:
    """The log, and what is applied of it."""

    base_index: int = 0
    base_term: int = 0
    entries: list[Entry] = field(factory=list)
    head: Head = field(factory=Head)
    synced_head: Head = field(factory=Head)
    _cut: list[tuple[int, int, list[Entry]]] = field(factory=list)
    """What was cut off since the last sync, with the base before."""

    def __deepcopy__(self, _: dict[int, Any]) -> State:
        cut = list(self._cut)
        return State(self.base_index, self.base_term, list(self.entries), self.head, self.synced_head, cut)

    def last_index(self) -> int:
        return self.base_index + len(self.entries)

    def term_at(self, index: int) -> int | None:
        if self.base_index < index <= self.last_index():
            return self.entries[index - self.base_index - 1].term
        return self.base_term if index == self.base_index else None

    def replace(self, entries: Sequence[Entry]) -> None:
        first = entries[0].index
        if not self.head.applied < first <= self.last_index() + 1:
            raise Violation(f"entry {first} is saved over a log to {self.last_index()}, applied {self.head.applied}")
        self.entries[first - self.base_index - 1 :] = entries

    def apply(self, entries: Sequence[Entry]) -> list[tuple[int, int]]:
        """The digest at each index."""
        digests, head = [], self.head
        for entry in entries:
            place = entry.index - self.base_index - 1
            held = self.entries[place] if place < len(self.entries) else None
            if entry.index != head.applied + 1 or held != entry:
                raise Violation(f"{entry} is applied after {head.applied}; the disk has {held} there")
            members, generation = head.members, head.generation
            if entry.kind is Kind.MEMBERS:
                members, generation = renamed(members, entry), max(generation, decode_generation(entry.data))
            head = Head(entry.index, zlib.crc32(entry.data, head.digest + entry.term), members, generation)
            digests.append((entry.index, head.digest))
        self.head = head
        return digests

    def compact(self, index: int) -> None:
        if self.base_index < index <= self.head.applied:
            count = index - self.base_index
            self._cut.append((self.base_index, self.base_term, self.entries[:count]))
            self.base_term = self.entries[count - 1].term
            self.base_index = index
            del self.entries[:count]

    def install(self, meta: SnapshotMeta, digest: int) -> None:
        self.base_index, self.base_term, self.entries = meta.index, meta.term, []
        self.head = Head(meta.index, digest, meta.members, meta.generation)
        self.sync()

    def sync(self) -> None:
        self.synced_head = self.head
        self._cut.clear()

    def undo_unsynced(self) -> None:
        while self._cut:
            self.base_index, self.base_term, dropped = self._cut.pop()
            self.entries[:0] = dropped
        self.head = self.synced_head


@frozen
class _Call:
    save: bool
    job: Callable[[], Any]
    answer: Callable[[Any], None] | None


class Disk:
    """What survives a process. `save_seconds` is how long the next save takes, `other_seconds` what else it is asked."""

    def __init__(self, uuids: Iterator[str], save_seconds: Callable[[], float], other_seconds: Callable[[], float]) -> None:
        self._uuids, self._save_seconds, self._other_seconds = uuids, save_seconds, other_seconds
        self._failing = False
        self._calls: deque[_Call] = deque()
        self._busy = False
        self._life: Life | None = None
        self.full = self.stalled = False
        self.wipe()

    def wipe(self) -> None:
        self.uuid, self.hard_state, self.state = "", HardState(), State()
        self._failing = False

    def opened(self, life: Life) -> None:
        self._life, self._busy, self.stalled = life, False, False
        self._calls = deque()
        if not self.uuid:
            self.renew()

    def renew(self) -> str:
        self.uuid = next(self._uuids)
        return self.uuid

    def log(self) -> Log:
        state = self.state
        return Log(state.base_index, state.base_term, state.entries, state.head.applied)

    # Faults

    def stall(self) -> None:
        """Saves do not end until `release`."""
        self.stalled = True

    def release(self) -> None:
        self.stalled = False
        self._go_on()

    def fail_next_save(self) -> None:
        self._failing = True

    def heal(self) -> None:
        self.full = self._failing = False

    @property
    def waiting(self) -> int:
        return len(self._calls)

    def crash(self, keep: int = 0) -> None:
        """So many of the calls that wait have been carried out; what is not synced is gone."""
        for call in list(self._calls)[:keep]:
            try:
                call.job()
            except (Full, SyncFailed):
                break  # nobody is left to hear of it
        self._calls.clear()
        self._life = None
        self.state.undo_unsynced()

    # What processes ask of it: `answer` is called with what came of it, an exception where it failed

    def save(self, hard_state: HardState | None, entries: Sequence[Entry], answer: Callable[[Any], None]) -> None:
        def job() -> None:
            self._check_sync()
            if entries:
                self.state.replace(entries)
            if hard_state is not None:
                self.hard_state = hard_state
            self.state.sync()

        self._call(_Call(True, job, answer))

    def apply(self, entries: Sequence[Entry], answer: Callable[[Any], None]) -> None:
        self._call(_Call(False, lambda: self.state.apply(entries), answer))

    def install(self, meta: SnapshotMeta, digest: int, answer: Callable[[Any], None]) -> None:
        def job() -> None:
            self._check_sync()
            self.state.install(meta, digest)

        self._call(_Call(True, job, answer))

    def renew_uuid(self, answer: Callable[[Any], None]) -> None:
        def job() -> str:
            self._check_sync()
            return self.renew()

        self._call(_Call(True, job, answer))

    def compact(self, index: int) -> None:
        self._call(_Call(False, lambda: self.state.compact(index), None))

    def _check_sync(self) -> None:
        if self._failing:
            self._failing, self.uuid = False, ""
            raise SyncFailed("the disk failed to sync")
        if self.full:
            raise Full("no room on the disk")

    # In order, one at a time

    def _call(self, call: _Call) -> None:
        self._calls.append(call)
        if not self._busy:
            self._go_on()

    def _go_on(self) -> None:
        if self._busy or not self._calls or self._life is None:
            return
        save = self._calls[0].save
        if not (save and self.stalled):
            self._busy = True
            self._life.later(self._save_seconds() if save else self._other_seconds(), self._first_ends)

    def _first_ends(self) -> None:
        self._busy = False
        if self._calls[0].save and self.stalled:
            return
        call = self._calls.popleft()
        try:
            result = call.job()
        except (Full, SyncFailed) as error:
            result = error
        life = self._life
        self._go_on()
        if call.answer is not None and life is self._life:
            call.answer(result)
