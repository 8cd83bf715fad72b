"""What a storage should show after each call of a trace: the same calls, made to the storage in memory.

The two implementations share nothing of how they keep things (`tests/contracts` holds them to the same answers). A process
finds what there was at some moment since the last acknowledged call of the one before it, and says which; from there the
history goes on. Only after a close that was done there is one such moment; one that was cut off need not have kept anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from attrs import evolve

from tests.contracts.storage_worlds import result_of
from tests.disks.calls import DURABLE, Apply, Close, Compact, Flush, Install, Made, Open, RenewUuid, Save, SaveView
from tests.disks.recovery import Ledger, Views, show
from toystore.storage.interface import Recovered
from toystore.storage.memory import MemoryDisk, MemoryStorage
from toystore.storage.spool import MemorySpool

Shown = TypeVar("Shown", Ledger, Views)
History = Sequence[Shown]
"""What is shown before the first call, then after each."""


class Lost(Exception):
    """A process came back to less, or other, than had been acknowledged, though only the process before it had ended."""


def ledger_history(calls: Sequence[Made]) -> History[Ledger]:
    """Raises Lost; and what the storage in memory raises, where the calls make no sense."""
    replay = Replay()
    shown, lineage = [evolve(replay.show(), uuid=None)], [0]
    """`lineage`: the calls, counted from 1, that have led to what there is; 0 stands for none."""
    durable = 0
    for number, made in enumerate(calls, 1):
        if isinstance(made.call, Open) and made.done is not None:
            if len(lineage) > 1 and not replay.is_what(made.result):
                lineage = _found(calls, lineage, durable, made.result)
                replay = _replayed(calls, lineage)
            replay.disk.uuid = made.result.uuid
        elif not isinstance(made.call, Open):
            replay.make(made)
        lineage.append(number)
        now = replay.show()
        is_untold = isinstance(made.call, RenewUuid) and made.result is None  # the process ended before it said which
        shown.append(evolve(now, uuid=None) if is_untold else now)
        if made.done is not None and isinstance(made.call, DURABLE):
            durable = number
    return tuple(shown)


def _found(calls: Sequence[Made], lineage: list[int], durable: int, recovered: Recovered) -> list[int]:
    """The lineage up to the moment that the next process has found; the last, where it was so at several."""
    for place in range(len(lineage), 0, -1):
        if lineage[place - 1] < durable:
            break
        if _replayed(calls, lineage[:place]).is_what(recovered):
            return lineage[:place]
    raise Lost(f"the next process found {recovered}, which was so at no moment from call {durable} to call {lineage[-1]}")


def _replayed(calls: Sequence[Made], lineage: Sequence[int]) -> Replay:
    replay = Replay()
    for number in lineage:
        if number:
            replay.make(calls[number - 1])
    return replay


class Replay:
    """A storage in memory to which calls are made again."""

    def __init__(self) -> None:
        self.disk = MemoryDisk(lambda: "new")
        self._storage = MemoryStorage(self.disk)
        self._reopened()

    def _reopened(self) -> Recovered:
        return result_of(self._storage.open())

    def is_what(self, recovered: Recovered) -> bool:
        """But for the uuid."""
        return evolve(self._reopened(), uuid=recovered.uuid) == recovered

    def show(self) -> Ledger:
        return show(self._storage, self._reopened())

    def make(self, made: Made) -> None:
        storage = self._storage
        match made.call:
            case Open():
                if made.result is not None:
                    self.disk.uuid = made.result.uuid
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
                self.disk.uuid = made.result or self.disk.uuid
            case Flush() | Close():
                pass
            case _:
                raise TypeError(f"{made.call} is none of a storage")


def view_history(calls: Sequence[Made]) -> History[Views]:
    """Raises Lost."""
    shown, durable = [Views(None)], 0
    for number, made in enumerate(calls, 1):
        now = shown[-1]
        if isinstance(made.call, SaveView):
            now = Views(made.call.view)
        elif isinstance(made.call, Open) and made.done is not None:
            now = Views(made.result)
            if now not in shown[durable:]:
                raise Lost(f"the next process {now.short()}, which was so at no moment from call {durable} on")
        shown.append(now)
        if made.done is not None and isinstance(made.call, DURABLE):
            durable = number
    return tuple(shown)
