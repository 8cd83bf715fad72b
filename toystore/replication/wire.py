"""Messages between replicas as JSON.

A body is `{"cluster", "version", "sender", "messages": [[kind, [fields]], ...]}`, an entry `[index, term, kind, data]`
with the JSON of its data inside. What comes in is checked for cluster, version, kinds and types; nothing is trusted.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import msgspec
from attrs import fields, frozen, resolve_types

from toystore.consensus.messages import (
    Append,
    AppendReply,
    Ask,
    Entry,
    Heartbeat,
    HeartbeatReply,
    Kind,
    Message,
    NodeId,
    Ping,
    PreVote,
    Standing,
    TimeoutNow,
    Vote,
    VoteReply,
)
from toystore.encoding import EncodingError
from toystore.replication.snapshots import SnapshotChunk, SnapshotReply

VERSION = 2
_KINDS: tuple[type[Message], ...] = (
    PreVote, Vote, VoteReply, Append, AppendReply, Heartbeat, HeartbeatReply, TimeoutNow, SnapshotChunk, SnapshotReply,
    Ping, Standing, Ask,
)  # fmt: skip


class _Body(msgspec.Struct):
    cluster: str
    version: int
    sender: str
    messages: list[tuple[str, msgspec.Raw]]


@frozen
class Envelope:
    cluster: str
    sender: NodeId
    messages: tuple[Message, ...]


_WireEntry = tuple[int, int, Kind, msgspec.Raw]
_encoder = msgspec.json.Encoder()
_body_decoder = msgspec.json.Decoder(_Body)


def _pack_entries(entries: tuple[Entry, ...]) -> list[tuple[int, int, int, msgspec.Raw]]:
    return [(e.index, e.term, e.kind, msgspec.Raw(e.data or b"null")) for e in entries]


def _unpack_entries(entries: list[tuple[int, int, Kind, msgspec.Raw]]) -> tuple[Entry, ...]:
    unpacked = tuple(
        Entry(index, term, kind, b"" if kind is Kind.NOOP else bytes(data)) for index, term, kind, data in entries
    )
    if any(entry.index != unpacked[0].index + i for i, entry in enumerate(unpacked)):
        raise EncodingError("the entries of an append must follow one another")
    return unpacked


@frozen
class _Codec:
    """How the fields of one kind of message become JSON, and back."""

    cls: type[Message]
    pack: Callable[[Message], tuple[Any, ...]]
    decoder: msgspec.json.Decoder[Any]
    entries_at: int | None

    def encode(self, message: Message) -> tuple[str, Any]:
        values: Any = self.pack(message)
        if self.entries_at is not None:
            values = list(values)
            values[self.entries_at] = _pack_entries(values[self.entries_at])
        return self.cls.__name__, values

    def decode(self, raw: msgspec.Raw) -> Message:
        values: Any = self.decoder.decode(raw)
        if self.entries_at is not None:
            values = list(values)
            values[self.entries_at] = _unpack_entries(values[self.entries_at])
        return self.cls(*values)


def _codec(cls: type[Message]) -> _Codec:
    resolve_types(cls)
    names = [attribute.name for attribute in fields(cls)]
    types = [attribute.type for attribute in fields(cls)]
    entries_at = names.index("entries") if "entries" in names else None
    if entries_at is not None:
        types[entries_at] = list[_WireEntry]
    row: Any = tuple.__class_getitem__(tuple(types))
    return _Codec(cls, operator.attrgetter(*names), msgspec.json.Decoder(row), entries_at)


_codecs = {cls.__name__: _codec(cls) for cls in _KINDS}


def encode_envelope(envelope: Envelope) -> bytes:
    messages = [_codecs[type(message).__name__].encode(message) for message in envelope.messages]
    return _encoder.encode(
        {"cluster": envelope.cluster, "version": VERSION, "sender": envelope.sender, "messages": messages}
    )


def decode_envelope(body: bytes, cluster: str) -> Envelope:
    """Raises EncodingError, which says what was wrong."""
    try:
        read = _body_decoder.decode(body)
        if read.cluster != cluster:
            raise EncodingError(f"this is cluster {cluster!r}; the message is for {read.cluster!r}")
        if read.version != VERSION:
            raise EncodingError(f"protocol version {read.version} is not spoken here; {VERSION} is")
        messages = []
        for kind, raw in read.messages:
            if kind not in _codecs:
                raise EncodingError(f"unknown message {kind!r}; known are {', '.join(_codecs)}")
            message = _codecs[kind].decode(raw)
            if message.sender != read.sender:
                raise EncodingError(f"{read.sender} sends a message of {message.sender}")
            messages.append(message)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EncodingError(f"not a body of messages: {error}") from error
    return Envelope(read.cluster, read.sender, tuple(messages))
