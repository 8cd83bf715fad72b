"""What a storage should show after each call of a trace: the same calls, made to the storage in memory.

The two implementations share nothing of how they keep things (`tests/contracts` holds them to the same answers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from attrs import evolve

from tests.contracts.storage_worlds import result_of
from tests.disks.calls import Apply, Close, Compact, Flush, Install, Made, Open, RenewUuid, Save, SaveView
from tests.disks.recovery import Ledger, Views, show
from toystore.storage.memory import MemoryDisk, MemoryStorage
from toystore.storage.spool import MemorySpool

Shown = TypeVar("Shown", Ledger, Views)
History = Sequence[Shown]
"""What is shown before the first call, then after each."""


def ledger_history(calls: Sequence[Made]) -> History[Ledger]:
    """Raises what the storage in memory raises, where the calls make no sense."""
    return tuple(_ledgers(calls))


def _ledgers(calls: Sequence[Made]) -> Iterator[Ledger]:
    disk = MemoryDisk(lambda: "new")
    storage = MemoryStorage(disk)
    new = show(storage, result_of(storage.open()))
    yield evolve(new, uuid=None)
    for made in calls:
        match made.call:
            case Open():
                disk.uuid = made.result.uuid
            case Save(hard_state, entries):
                result_of(storage.save(hard_state, entries))
            case Apply(entries):
                result_of(storage.apply(entries))
            case Compact(index):
                result_of(storage.compact(index))
            case Install(info, data):
                spool = MemorySpool()
                spool.append(data)
                result_of(storage.install(info, spool))
            case RenewUuid():
                disk.uuid = made.result
            case Flush() | Close():
                pass
            case _:
                raise TypeError(f"{made.call} is none of a storage")
        yield show(storage, result_of(storage.open()))


def view_history(calls: Sequence[Made]) -> History[Views]:
    shown = [Views(None)]
    for made in calls:
        shown.append(Views(made.call.view) if isinstance(made.call, SaveView) else shown[-1])
    return tuple(shown)


HistoryOf = Callable[[Sequence[Made]], History[Shown]]
