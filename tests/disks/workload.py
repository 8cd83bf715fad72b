"""What a replica asks of its storage, drawn from a seed: `python -m tests.disks.workload ledger --directory DIR --seed 1`.

It runs in a process of its own, with the recorder, and is the same for the same seed: jobs run inline, uuids are drawn,
and the clock is advanced by hand. With `--serve`, one process after the other is forked, each for a line of the input
(`recording.Nursery`).
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from random import Random

from twisted.internet.task import Clock

from tests.contracts.storage_worlds import result_of
from tests.disks.calls import NotedStorage, NotedViewStore, Noting
from tests.disks.mutants import MUTANTS
from tests.disks.orders import Commands
from toystore.consensus.membership import encode_members
from toystore.consensus.messages import Entry, HardState, Kind
from toystore.consensus.views import View
from toystore.model import CatalogRow, LoadCatalog
from toystore.storage import database
from toystore.storage.interface import Recovered, StorageError
from toystore.storage.memory import MemoryDisk, MemoryStorage
from toystore.storage.sqlite import FLUSH_AFTER, SqliteStorage
from toystore.storage.thread import Inline
from toystore.storage.views import FileViewStore

REPLICA, REGISTER = "order-1", "front-1"
"""The directories of the two, as a cluster names them."""

FREQUENT = 24
"""Pages of the write-ahead log after which it is brought to the database; in production 4000, some thousand batches."""

BROKEN_EXIT = 70
"""How a process ends whose storage can not be trusted any more."""

WORKLOADS = ("ledger", "ledger-production", "views")


class Replica:
    """Drives a storage as a follower would be driven: a log that others may replace, applied behind the commit index.

    `leader` has the same entries applied, and more where a snapshot of it is installed.
    """

    def __init__(self, directory: Path, random: Random, life: int) -> None:
        self._directory, self._random = directory, random
        self._noting = Noting()
        self._clock = Clock()
        self._storage = self._new_storage()
        self._leader = MemoryStorage(MemoryDisk(lambda: "leader"))
        self._commands = Commands(random, life)
        self._term, self._generation = 1, 0
        self._base = self._applied = 0
        self._log: list[Entry] = []

    def _new_storage(self) -> NotedStorage:
        return NotedStorage(SqliteStorage(self._directory / REPLICA, self._clock, Inline()), self._noting)

    @property
    def _last(self) -> int:
        return self._base + len(self._log)

    def begin(self) -> None:
        result_of(self._leader.open())
        recovered = result_of(self._storage.open())
        if recovered.applied:
            self._go_on(recovered)
        else:
            self._found(recovered)

    def _go_on(self, recovered: Recovered) -> None:
        """Where the process before this one has ended."""
        self._base, self._applied, self._log = recovered.base_index, recovered.applied, [*recovered.entries]
        self._term = max(recovered.hard_state.term, *(entry.term for entry in recovered.entries), 1)
        self._generation = recovered.generation
        info, spool = result_of(self._storage.spool(0))
        result_of(self._leader.install(info, spool))
        spool.close()

    def _found(self, recovered: Recovered) -> None:
        """The first entries: members and catalog."""
        self._log = [*recovered.entries]
        result_of(self._storage.save(HardState(1, "order-1"), ()))
        rows = tuple(CatalogRow(name, 100 + place, 20) for place, name in enumerate(self._commands.names))
        members = encode_members("raft", {"order-1": recovered.uuid, "order-2": "u2", "order-3": "u3"})
        if not self._log:
            self._save([self._entry(Kind.MEMBERS, members), self._command(LoadCatalog(rows), 1)])
        self._apply(self._last)

    def step(self) -> None:
        steps = {
            self.append: 40, self.apply: 25, self.append_and_apply: 10, self.replace_tail: 8, self.vote: 4, self.wait: 4,
            self.flush: 2, self.compact: 5, self.send_snapshot: 2, self.install: 4, self.renew: 2, self.reopen: 3,
        }  # fmt: skip
        (step,) = self._random.choices(list(steps), list(steps.values()))
        step()

    # Entries

    def _entry(self, kind: Kind, data: bytes, ahead: int = 0) -> Entry:
        return Entry(self._last + 1 + ahead, self._term, kind, data)

    def _command(self, command: LoadCatalog | None = None, ahead: int = 0) -> Entry:
        return self._entry(Kind.COMMAND, self._commands.draw(command), ahead)

    def _save(self, entries: list[Entry], hard_state: HardState | None = None) -> None:
        result_of(self._storage.save(hard_state, entries))
        if entries:
            self._log[entries[0].index - self._base - 1 :] = entries

    def _apply(self, up_to: int) -> None:
        entries = self._log[self._applied - self._base : up_to - self._base]
        result_of(self._storage.apply(entries))
        result_of(self._leader.save(None, entries))
        result_of(self._leader.apply(entries))
        self._applied = up_to

    # Steps

    def append(self) -> None:
        entries = [self._command(ahead=ahead) for ahead in range(self._random.choice((1, 1, 2, 3, 8)))]
        self._save(entries)

    def apply(self) -> None:
        if self._last > self._applied:
            self._apply(self._random.randint(self._applied + 1, self._last))

    def append_and_apply(self) -> None:
        """As under load: what was applied leaves with the next entries."""
        for _ in range(3):
            self.append()
            self.apply()

    def replace_tail(self) -> None:
        """A leader of another term has other entries."""
        if self._last == self._applied:
            return
        self._term += 1
        first = self._random.randint(self._applied + 1, self._last)
        del self._log[first - self._base - 1 :]
        noop = self._entry(Kind.NOOP, b"")
        entries = [noop, *(self._command(ahead=ahead) for ahead in range(1, self._random.randint(1, 3)))]
        self._save(entries, HardState(self._term, None))

    def vote(self) -> None:
        self._term += 1
        view = View("r", self._generation, self._term, self._term, "order-2", {"order-1": "u1", "order-2": "u2"})
        self._save([], HardState(self._term, f"order-{self._random.randint(1, 3)}", self._random.choice((None, view))))

    def wait(self) -> None:
        """So long that what was applied is flushed."""
        self.apply()
        for _ in range(3):
            self._clock.advance(FLUSH_AFTER)

    def flush(self) -> None:
        result_of(self._storage.flush())

    def compact(self) -> None:
        if self._applied > self._base:
            index = self._random.randint(self._base + 1, self._applied)
            result_of(self._storage.compact(index))
            del self._log[: index - self._base]
            self._base = index

    def send_snapshot(self) -> None:
        _, spool = result_of(self._storage.spool(self._random.choice((0, self._applied))))
        spool.close()

    def install(self) -> None:
        """The leader has gone on, and sends what has changed since, or all of it; or all of a new generation."""
        self._term += 1
        begin = result_of(self._leader.read(lambda reader: reader.applied()))
        entries = [Entry(begin + 1, self._term, Kind.NOOP, b"")]
        if new_generation := self._random.random() < 0.3:
            self._generation += 1
            entries = [
                Entry(begin + 1, self._term, Kind.MEMBERS, encode_members("raft", {"order-2": "u2"}, self._generation))
            ]
        for index in range(begin + 2, begin + self._random.randint(3, 9)):
            entries.append(Entry(index, self._term, Kind.COMMAND, self._commands.draw()))
        result_of(self._leader.save(None, entries))
        result_of(self._leader.apply(entries))
        info, sent = result_of(self._leader.spool(0 if new_generation else self._random.choice((0, self._applied))))
        received = self._storage.new_spool()
        received.append(sent.read(0, sent.size()))
        recovered = result_of(self._storage.install(info, received))
        received.close()
        self._base = self._applied = recovered.applied
        self._log.clear()

    def renew(self) -> None:
        result_of(self._storage.renew_uuid())

    def reopen(self) -> None:
        """The process ends, politely."""
        result_of(self._storage.close())
        self._storage = self._new_storage()
        result_of(self._storage.open())


class Register:
    """Drives the store of views as the register of an appointing front end does."""

    def __init__(self, directory: Path, random: Random, life: int) -> None:
        self._directory, self._random = directory, random
        self._noting = Noting()
        self._store = self._new_store()
        self._version = 0

    def _new_store(self) -> NotedViewStore:
        return NotedViewStore(FileViewStore(self._directory / REGISTER, Clock(), Inline()), self._noting)

    def begin(self) -> None:
        view = result_of(self._store.open())
        self._version = view.version if view else 0

    def step(self) -> None:
        if self._random.random() < 0.1:
            result_of(self._store.close())
            self._store = self._new_store()
            result_of(self._store.open())
            return
        self._version += 1
        in_sync = {f"order-{id_}": self._random.randbytes(8).hex() for id_ in range(1, self._random.randint(2, 40))}
        result_of(self._store.save(View("r", 1, self._version, self._version, "order-1", in_sync)))


def run(workload: str, directory: Path, seed: int, steps: int, mutant: str | None, life: int) -> None:
    random = Random(f"{seed} {life}")
    uuid.uuid4 = lambda: uuid.UUID(bytes=random.randbytes(16), version=4)
    if workload == "ledger":
        database.PRAGMAS["wal_autocheckpoint"] = FREQUENT
    if mutant is not None:
        MUTANTS[mutant].weaken()
    driver = (Register if workload == "views" else Replica)(directory, random, life)
    try:
        driver.begin()
        for _ in range(steps):
            driver.step()
    except StorageError as error:
        print(error, file=sys.stderr)
        sys.stderr.flush()
        os._exit(BROKEN_EXIT)  # at once, as the process of a replica does; nothing is closed


def serve() -> None:
    """A line has the arguments of a process, its variables, and the file for what it says; the answer is its exit code."""
    for line in sys.stdin:
        arguments, variables, text = json.loads(line)
        child = os.fork()
        if child == 0:
            said = os.open(text, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(said, sys.stdout.fileno())
            os.dup2(said, sys.stderr.fileno())
            os.environ.update(variables)
            ctypes.CDLL(None).recorder_begin()
            main(arguments)
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.disks.workload", description=__doc__)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--mutant", choices=sorted(MUTANTS))
    parser.add_argument("--life", type=int, default=0, help="which process this is in the same directory, from 0")
    options = parser.parse_args(arguments)
    run(options.workload, options.directory, options.seed, options.steps, options.mutant, options.life)


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["--serve"] else main()
