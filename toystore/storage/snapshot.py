"""What a snapshot looks like on its way, and what a hash over the whole state covers.

A snapshot is JSON lines: `["snapshot", format, since]`, then rows `["product", {..}]`, `["order", {..}]`,
`["change", {..}]`, `["outcome", request_id, index, outcome]`, and last `["end", {head}, rows]`. A later line about the
same row supersedes an earlier one: rows may change while a snapshot is being read, and are then written again. The head
stands at the end because it is known only then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import msgspec
from attrs import asdict, evolve, frozen

from toystore.consensus.messages import Member, SnapshotMeta
from toystore.encoding import decode_outcome, to_json
from toystore.ledger import REMEMBERED
from toystore.model import CatalogChange, Order, OrderStatus, Product
from toystore.storage.interface import Spool, SpoolInfo, StorageError
from toystore.storage.state import Head

FORMAT = 1
CHUNK_BYTES = 1 << 18


class BadSnapshot(StorageError):
    """These bytes are no snapshot, or none that fits; the storage that was given them is as good as before."""


@frozen
class RememberedOutcome:
    """The outcome of a request as it is kept: `outcome` is encoded."""

    request_id: str
    index: int
    outcome: bytes


Row = Product | Order | CatalogChange | RememberedOutcome


def row_line(row: Row) -> bytes:
    """One row as a line, with its end."""
    match row:
        case Product():
            line = to_json(("product", row))
        case Order():
            line = to_json(("order", row))
        case CatalogChange():
            line = to_json(("change", row))
        case RememberedOutcome(request_id, index, outcome):
            line = to_json(("outcome", request_id, index, msgspec.Raw(outcome)))
    return line + b"\n"


def head_json(head: Head) -> bytes:
    fields = asdict(head, recurse=False) | {"digest": head.digest.hex()}
    fields["members"] = {node: list(member_fields(m)) for node, m in sorted(head.members.items())}
    return to_json(fields)


def member_fields(member: Member) -> tuple[str, int]:
    return member.uuid, member.index


def head_from_json(data: bytes | msgspec.Raw) -> Head:
    """Raises msgspec.MsgspecError or ValueError where it is not a head."""
    fields = msgspec.json.decode(data, type=_HeadFields)
    members = {node: Member(uuid, index) for node, (uuid, index) in fields.members.items()}
    values = {name: getattr(fields, name) for name in fields.__struct_fields__}
    return Head(**values | {"digest": bytes.fromhex(fields.digest), "members": members})


class _HeadFields(msgspec.Struct, forbid_unknown_fields=True):
    applied: int
    term: int
    digest: str
    clock: int
    last_restock: int
    next_order: int
    forgotten: int
    generation: int
    election: str
    members: dict[str, tuple[str, int]]


# Writing ------------------------------------------------------------------------------------------------------------


class SnapshotWriter:
    """Writes rows, in any number of passes, and closes the snapshot with the head they amount to."""

    def __init__(self, spool: Spool, since: int) -> None:
        self._spool, self._since, self._rows = spool, since, 0
        spool.append(to_json(("snapshot", FORMAT, since)) + b"\n")

    def write(self, rows: Iterable[Row]) -> None:
        lines = [row_line(row) for row in rows]
        self._rows += len(lines)
        if lines:
            self._spool.append(b"".join(lines))

    def finish(self, head: Head) -> SpoolInfo:
        self._spool.append(to_json(("end", msgspec.Raw(head_json(head)), self._rows)) + b"\n")
        meta = SnapshotMeta(head.applied, head.term, dict(head.members), head.generation)
        return SpoolInfo(meta, self._since, self._spool.size(), self._spool.sha256())


# Reading ------------------------------------------------------------------------------------------------------------

_line = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)
_number = msgspec.json.Decoder(int)
_rows: dict[str, msgspec.json.Decoder[Row]] = {
    "product": msgspec.json.Decoder(Product),
    "order": msgspec.json.Decoder(Order),
    "change": msgspec.json.Decoder(CatalogChange),
}


def check_fits(info: SpoolInfo, spool: Spool, head: Head) -> None:
    """BadSnapshot where the bytes are not what `info` says, or can not be laid over a state that stands at `head`."""
    if spool.size() != info.size or spool.sha256() != info.sha256:
        raise BadSnapshot(f"the snapshot of index {info.meta.index} has not arrived whole")
    meta = info.meta
    if meta.generation != head.generation:
        fits = meta.generation > head.generation and info.since == 0
    else:
        fits = info.since <= head.applied < meta.index
    if not fits:
        reach = f"from {info.since} to {meta.index} of generation {meta.generation}"
        raise BadSnapshot(f"a snapshot {reach} does not fit a state at {head.applied} of generation {head.generation}")


def read_snapshot(info: SpoolInfo, spool: Spool) -> Iterator[Row | Head]:
    """The rows, and the head as the last value. BadSnapshot where the lines are not a snapshot, or not this one."""
    lines = _lines(spool)
    rows = 0
    try:
        if next(lines, None) != to_json(("snapshot", FORMAT, info.since)):
            raise BadSnapshot(f"not a snapshot of format {FORMAT} since {info.since}")
        for line in lines:
            kind, *rest = _line.decode(line)
            match _text.decode(kind), rest:
                case "outcome", [request_id, index, outcome]:
                    decode_outcome(outcome)
                    yield RememberedOutcome(_text.decode(request_id), _number.decode(index), bytes(outcome))
                case "end", [fields, count]:
                    head = head_from_json(fields)
                    if _number.decode(count) != rows or head.applied != info.meta.index or next(lines, None):
                        raise BadSnapshot(f"the snapshot of index {info.meta.index} ends in the wrong place")
                    yield head
                    return
                case name, [fields]:
                    yield _rows[name].decode(fields)
            rows += 1
    except (msgspec.MsgspecError, ValueError, KeyError) as error:
        raise BadSnapshot(f"the snapshot of index {info.meta.index}, row {rows}: {error!r}") from error
    raise BadSnapshot(f"the snapshot of index {info.meta.index} has no end")


def _lines(spool: Spool) -> Iterator[bytes]:
    rest, offset, size = b"", 0, spool.size()
    while offset < size:
        chunk = spool.read(offset, CHUNK_BYTES)
        offset += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


# The hash of a whole state ------------------------------------------------------------------------------------------


def hashed_outcomes_above(index: int) -> int:
    """A state hash covers the younger half of the remembered outcomes, those of entries above this one: the older are
    being forgotten while a hash is read in slices, and every one was covered while it was young."""
    return index - REMEMBERED // 2


def as_of(order: Order, index: int) -> Order:
    """The order as it was when `index` was applied: what changes in an order is that it is cancelled, once."""
    if order.changed <= index:
        return order
    return evolve(order, status=OrderStatus.PLACED, changed=order.index)


class StateHash:
    """A sha256 over the head, then all rows: products by number, changes by index and sequence, outcomes by index,
    orders by number."""

    def __init__(self, head: Head) -> None:
        self._state = hashlib.sha256(head_json(head) + b"\n")

    def add(self, rows: Iterable[Row]) -> None:
        self._state.update(b"".join(map(row_line, rows)))

    def hexdigest(self) -> str:
        return self._state.hexdigest()
