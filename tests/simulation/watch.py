"""Where the world looks on: at what goes to the disks and comes from the ledgers, at the program's own log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.simulation.cluster import Process
from toystore.consensus.messages import AppendReply, Ask, Entry, HardState, Kind, Message, TimeoutNow, Vote, VoteReply
from toystore.model import CatalogChange, Order, Product
from toystore.replication.snapshots import SnapshotChunk
from toystore.storage.interface import Applied, Reader, Recovered, Spool, SpoolInfo
from toystore.storage.memory import MemoryStorage

if TYPE_CHECKING:
    from tests.simulation.world import World


@implementer(ILogObserver)
class FailuresObserver:
    def __init__(self, tell: Callable[[Failure], None]) -> None:
        self._tell = tell

    def __call__(self, event: LogEvent) -> None:
        if "log_failure" in event:
            self._tell(event["log_failure"])


class WatchedStorage(MemoryStorage):
    """The storage of a process, with the world looking on."""

    def __init__(self, world: World, process: Process) -> None:
        super().__init__(process.disk, process.clock)
        self._world, self._process = world, process

    def save(self, hard_state: HardState | None, entries: Sequence[Entry]) -> Deferred[None]:
        if entries:
            self._world.saving(self._process, entries)
        return super().save(hard_state, entries).addCallback(self._saved, hard_state, entries)

    def _saved(self, _: None, hard_state: HardState | None, entries: Sequence[Entry]) -> None:
        self._world.saved(self._process, hard_state, entries)

    def apply(self, entries: Sequence[Entry]) -> Deferred[list[Applied]]:
        return super().apply(entries).addCallback(self._applied)

    def _applied(self, rows: list[Applied]) -> list[Applied]:
        self._world.applied(self._process, rows)
        return rows

    def install(self, info: SpoolInfo, spool: Spool) -> Deferred[Recovered]:
        def installed(found: Recovered) -> Recovered:
            self._world.tally["partial snapshots"] += info.since > 0
            self._world.installed(self._process, info.meta, self._process.disk.state.head.digest)
            return found

        return super().install(info, spool).addCallback(installed)

    def renew_uuid(self) -> Deferred[str]:
        self._world.renewed(self._process)
        return super().renew_uuid()


ARRIVES = "an acknowledgement arrives"
SENT: dict[type, str] = {
    AppendReply: "entries are acknowledged",
    Vote: "a vote is asked for",
    VoteReply: "a vote is sent",
    Ask: "a change is asked for",
    TimeoutNow: "leadership is handed over",
    SnapshotChunk: "a snapshot is sent",
}
"""The moment (see `mischief`) at which a message leaves."""


def moment_of(message: Message) -> str:
    """That of `SENT`; "" for a refusal, a pre-vote, and what has none."""
    moment = SENT.get(type(message), "")
    if moment:
        if isinstance(message, AppendReply):
            return "" if message.rejected else moment
        if isinstance(message, VoteReply):
            return moment if message.granted and not message.pre else ""
    return moment


def term_on_disk(process: Process, index: int) -> int | None:
    """The term of the entry, None where its log does not have it."""
    state = process.disk.state
    if state.base_index < index <= state.last_index():
        return state.entries[index - state.base_index - 1].term
    return state.base_term if index == state.base_index else None


def holds_on_disk(process: Process, index: int, term: int) -> bool:
    """Is the entry on its disk?"""
    return index <= process.disk.state.base_index or term_on_disk(process, index) == term


def renames(process: Process, index: int) -> bool:
    """Is this a MEMBERS entry, and not the founding one?"""
    log = process.node.log
    return 1 < index > log.base_index and log.entry(index).kind is Kind.MEMBERS


def named_on_disk(process: Process) -> bool:
    """Does what is synced on its disk name its storage?"""
    member = process.disk.state.synced_head.members.get(process.id)
    return member is not None and member.uuid == process.disk.uuid


def everything(reader: Reader) -> tuple[list[Order], list[Product], list[CatalogChange]]:
    return reader.orders_from(0, 1_000_000), reader.products(0, 1_000), reader.changes_from(0, 0, 1_000_000)
