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
        return super().save(hard_state, entries).addCallback(self._saved, hard_state, bool(entries))

    def _saved(self, _: None, hard_state: HardState | None, entries: bool) -> None:
        world, process = self._world, self._process
        if hard_state is not None:
            world.rules.synced(process, hard_state)
            world.mischief.at("a term is saved", process.id)
        if entries:
            world.mischief.at("entries are saved", process.id)

    def apply(self, entries: Sequence[Entry]) -> Deferred[list[Applied]]:
        return super().apply(entries).addCallback(self._applied)

    def _applied(self, rows: list[Applied]) -> list[Applied]:
        self._world.applied(self._process, rows)
        return rows

    def install(self, info: SpoolInfo, spool: Spool) -> Deferred[Recovered]:
        def installed(found: Recovered) -> Recovered:
            self._world.installed(self._process, info)
            return found

        return super().install(info, spool).addCallback(installed)

    def renew_uuid(self) -> Deferred[str]:
        self._world.tally["renewals"] += 1
        self._world.note(f"{self._process.id} takes a new uuid")
        return super().renew_uuid()


def moment_of(message: Message) -> str:
    """The moment (see `mischief`) at which a message leaves, "" for none."""
    match message:
        case AppendReply(rejected=False):
            return "entries are acknowledged"
        case Vote():
            return "a vote is asked for"
        case VoteReply(granted=True, pre=False):
            return "a vote is sent"
        case Ask():
            return "a change is asked for"
        case TimeoutNow():
            return "leadership is handed over"
        case SnapshotChunk():
            return "a snapshot is sent"
        case _:
            return ""


def holds_on_disk(process: Process, index: int, term: int) -> bool:
    """Is the entry on its disk?"""
    state = process.disk.state
    if index <= state.base_index:
        return True
    return index <= state.last_index() and state.entries[index - state.base_index - 1].term == term


def renames(process: Process, index: int) -> bool:
    """Is this a MEMBERS entry, and not the founding one?"""
    log = process.replica.node.log
    return 1 < index > log.base_index and log.entry(index).kind is Kind.MEMBERS


def named_on_disk(process: Process) -> bool:
    """Does what is synced on its disk name its storage?"""
    member = process.disk.state.synced_head.members.get(process.id)
    return member is not None and member.uuid == process.disk.uuid


def everything(reader: Reader) -> tuple[list[Order], list[Product], list[CatalogChange]]:
    return reader.orders_from(0, 1_000_000), reader.products(0, 1_000), reader.changes_from(0, 0, 1_000_000)
