"""What a replica asks of the place that keeps its log and its ledger.

Every call gives a Deferred that fires on the reactor's thread; calls are carried out one after the other, in the order
they were made. There is at most one transaction open:

- `save` makes log entries and the hard state durable. When it fires, they, *and everything applied before the call*, are
  synced.
- `apply` carries out committed entries and gives their outcomes at once. Their effects share a transaction with the
  applied index and the digest, which the next `save` (or `flush`) makes durable: the log they come from is durable
  already, so a crash before that only means that they are applied again. One flush of the disk for each batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred

from toystore.consensus.messages import Entry, HardState, Members, SnapshotMeta
from toystore.ledger import View
from toystore.model import CatalogChange, Order, Outcome, Product

T = TypeVar("T")


class StorageError(Exception):
    """The storage can not be trusted any more (failed sync, broken checksum): the process must end (exit 70)."""


class Rotten(StorageError):
    """What is on the disk is not what was written there. The database is put aside, and the next `open` begins with an
    empty one under a new uuid, which is to be filled from the other replicas."""


class DiskFull(Exception):
    """There is no room. Nothing of the refused call has changed anything; the same call may succeed later."""


class IndexPassed(Exception):
    """The state at this index is gone: later entries have been applied."""


@frozen
class Recovered:
    """What was found at opening.

    `entries` follow `base_index` without a gap; `base_term` is the term of the entry at `base_index` (0, 0 in a fresh
    log). Invariant: base_index <= applied <= the index of the last entry, or base_index where there is none.
    `members` are as of `applied`. `election` is the mode recorded in the ledger, "" before there is one.
    `put_aside` says why and where the database before this one was put aside, "" where that was not so, or is over
    (`Storage.refilled`): until then this replica, however empty, is not a new one.
    """

    uuid: str
    hard_state: HardState
    base_index: int
    base_term: int
    entries: tuple[Entry, ...]
    applied: int
    members: Members
    generation: int
    election: str
    put_aside: str = ""


@frozen
class Applied:
    """What came of one log entry. `request_id` and `outcome` are None for entries that hold no command."""

    index: int
    term: int
    request_id: str | None
    outcome: Outcome | None


@frozen
class LogRow:
    """A kept entry; `digest` is the chain up to and with it, None where it is not applied yet."""

    entry: Entry
    digest: bytes | None


class Reader(View, Protocol):
    """A consistent view of the ledger at one applied index, good for one `Storage.read`."""

    def applied(self) -> int: ...

    def digest(self) -> bytes:
        """The chain up to and with the applied index."""

    def digest_at(self, index: int) -> bytes | None:
        """None where the log row is not kept (any more), or not applied."""

    def products(self, after: int, limit: int, text: str = "", topic: str | None = None) -> list[Product]:
        """By number, those above `after`; `text` is part of the name (case does not matter), `topic` the whole."""

    def orders(self, before: int | None, limit: int) -> list[Order]:
        """The newest first, those with a number below `before`."""

    def orders_from(self, number: int, limit: int) -> list[Order]:
        """By number, ascending, from `number` on."""

    def changes_from(self, index: int, sequence: int, limit: int) -> list[CatalogChange]:
        """The history of catalog changes, from this (index, sequence) on."""

    def log_from(self, index: int, limit: int) -> list[LogRow]:
        """The kept entries, ascending, from `index` on."""


@frozen
class SpoolInfo:
    """A snapshot on its way: `size` in bytes, `sha256` in hexadecimal over all of them.

    It holds what changed after the receiver's applied index `since`, as of `meta.index`; `since` 0 means all.
    """

    meta: SnapshotMeta
    since: int
    size: int
    sha256: str


class Spool(Protocol):
    """The bytes of a snapshot, being sent or received."""

    def size(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes: ...

    def append(self, data: bytes) -> None: ...

    def sha256(self) -> str: ...

    def close(self) -> None:
        """Forget the bytes."""


class Storage(Protocol):
    def open(self) -> Deferred[Recovered]:
        """Open or create, and check. What is Rotten is put aside, and an empty one is opened; StorageError where that
        can not be done, or something else is broken.

        Every call after this one fails with Rotten as soon as one of them has met what is broken.
        """

    def save(self, hard_state: HardState | None, entries: Sequence[Entry]) -> Deferred[None]:
        """Make these durable; the entries replace everything in the log from the index of the first on.

        DiskFull: nothing was saved, may be called again. StorageError: end.
        """

    def apply(self, entries: Sequence[Entry]) -> Deferred[list[Applied]]:
        """Apply the entries that follow the applied index. Each must be in the log already (saved)."""

    def flush(self) -> Deferred[None]:
        """Make durable what has been applied; as `save` with nothing to add."""

    def compact(self, index: int) -> Deferred[None]:
        """Drop the log up to and with `index`, which must have been applied. Durable with the next save or flush."""

    def read(self, query: Callable[[Reader], T]) -> Deferred[T]:
        """The result of `query`, which runs where the state lives, and must be short (a few milliseconds)."""

    def state_hash(self, index: int) -> Deferred[str]:
        """A sha256 over all rows of the state as of exactly this index, in slices between other work.

        Waits where the index has not been applied yet. IndexPassed where it is over.
        """

    def spool(self, since: int) -> Deferred[tuple[SpoolInfo, Spool]]:
        """A snapshot for a replica that has applied up to `since`, read in slices between other work."""

    def new_spool(self) -> Spool:
        """An empty one to receive into."""

    def install(self, info: SpoolInfo, spool: Spool) -> Deferred[Recovered]:
        """Check the bytes, and replace the state by what they hold, in one durable transaction; the log is empty after
        it. StorageError where they are not what `info` says, or do not fit this state; nothing changes then.

        The uuid and the hard state stay as they are.
        """

    def scrub(self, pause: Callable[[], Deferred[None]]) -> Deferred[int]:
        """Read everything that is kept anew from the disk, and check it: Rotten names the first that is broken. In slices
        of a few milliseconds between other work; after each, `pause` says when to go on. Fires with how many rows it
        was. DiskFull, IndexPassed: it could not be done now, and nothing is known."""

    def refilled(self) -> Deferred[None]:
        """This replica has everything again, and counts: nothing depends on what was put aside any more."""

    def renew_uuid(self) -> Deferred[str]:
        """Take a new storage uuid, durably: this disk has forgotten something."""

    def close(self) -> Deferred[None]:
        """Make durable and close; the last call."""
