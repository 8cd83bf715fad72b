"""Messages between replicas as JSON: what goes in comes out, and nothing else is taken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from toystore.consensus.messages import (
    Append,
    AppendReply,
    Ask,
    Entry,
    Heartbeat,
    HeartbeatReply,
    Kind,
    Member,
    Message,
    Ping,
    PreVote,
    SnapshotMeta,
    Standing,
    TimeoutNow,
    Vote,
    VoteReply,
)
from toystore.consensus.views import View
from toystore.encoding import EncodingError
from toystore.replication.snapshots import SnapshotChunk, SnapshotReply
from toystore.replication.wire import Envelope, decode_envelope, encode_envelope
from toystore.storage.interface import SpoolInfo

A, B = "order-1", "order-2"
ENTRIES = (
    Entry(4, 2, Kind.MEMBERS, b'{"election":"raft","uuids":{"order-1":"u1"}}'),
    Entry(5, 2, Kind.NOOP, b""),
    Entry(6, 3, Kind.COMMAND, '[7,"r","place_order",{"key":"k\\"","lines":[],"side":"buy ☃"}]'.encode()),
)
VIEW = View("R", 1, 5, 2, A, {A: "u1", B: "u2"}, ("Q",))
INFO = SpoolInfo(SnapshotMeta(9, 3, {A: Member("u1", 1), B: Member("u2", 8)}, 1), since=4, size=6, sha256="ab" * 32)
MESSAGES: list[Message] = [
    PreVote(A, B, 3, 7, 2, False, ((A, "u1"),)),
    Vote(A, B, 3, 0, 0, True, (), True, (A, B)),
    VoteReply(A, B, 3, "u1", True, False, True),
    Append(A, B, 3, 11, 3, 2, 4, ENTRIES, 3, "u2", 2),
    Append(A, B, 3, 12, 6, 3, 4, ()),
    AppendReply(A, B, 3, "u1", 11, 6, 4, True, 5, 2),
    Heartbeat(A, B, 3, 12, 6, 6, "u2", 1),
    HeartbeatReply(A, B, 3, "u1", 12, 6),
    TimeoutNow(A, B, 3),
    SnapshotChunk(A, B, 3, "t", INFO, 2, b"\x00\xffabc\n"),
    SnapshotReply(A, B, 3, "u1", "t", 6, 4, False, "no"),
    Ping(A, B, 0, 9, None),
    Ping(A, B, 2, 9, VIEW, (3, "R")),
    Standing(A, "front-1", 2, "u1", 9, VIEW, True, True, False, (3, "R")),
    Ask(A, "front-1", 2, 5, B, {B: "u2"}),
]


def body(**changes: Any) -> bytes:
    value = {"cluster": "toys", "version": 2, "sender": A, "messages": [["TimeoutNow", [A, B, 3]]]}
    return json.dumps(value | changes).encode()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_comes_out_as_it_went_in(message: Message) -> None:
    read = decode_envelope(encode_envelope(Envelope("toys", A, (message,))), "toys")
    assert read == Envelope("toys", A, (message,))


def test_many_messages_keep_their_order() -> None:
    envelope = Envelope("toys", A, tuple(MESSAGES))
    assert decode_envelope(encode_envelope(envelope), "toys") == envelope


def test_the_data_of_a_command_stands_in_the_body_as_it_is() -> None:
    written = encode_envelope(Envelope("toys", A, (MESSAGES[3],)))
    assert ENTRIES[2].data in written
    assert json.loads(written)["messages"][0][1][7][2][3][1] == "r"


@pytest.mark.fault(10)
@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (b"\x80\x04\x95", "not a body of messages"),
        (b"[]", "not a body of messages"),
        (body(cluster="books"), "this is cluster 'toys'"),
        (body(version=1), "version 1 is not spoken"),
        (body(messages=[["Launch", [A, B, 3]]]), "unknown message 'Launch'"),
        (body(messages=[["TimeoutNow", [B, A, 3]]]), "order-1 sends a message of order-2"),
        (body(messages=[["TimeoutNow", [A, B, "3"]]]), "not a body of messages"),
        (body(messages=[["TimeoutNow", [A, B, True]]]), "not a body of messages"),
        (body(messages=[["TimeoutNow", [A, B]]]), "not a body of messages"),
        (body(messages=[["Append", [A, B, 3, 1, 0, 0, 0, [[1, 1, 9, None]], 0, "", 0, 0, 0]]]), "not a body of messages"),
        (
            body(messages=[["Append", [A, B, 3, 1, 0, 0, 0, [[1, 1, 0, None], [3, 1, 0, None]], 0, "", 0, 0, 0]]]),
            "must follow one another",
        ),
    ],
)
def test_what_is_not_a_body_of_messages_is_refused_with_the_reason(bad: bytes, says: str) -> None:
    with pytest.raises(EncodingError, match=says):
        decode_envelope(bad, "toys")
