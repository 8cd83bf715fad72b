"""The sender of a snapshot, message by message: what it sends for each answer, and that it does not multiply them."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from toystore.consensus.messages import Message, SnapshotMeta
from toystore.replication.snapshots import Sender, SnapshotReply
from toystore.storage.interface import SpoolInfo
from toystore.storage.spool import MemorySpool

LEADER, PEER = "order-1", "order-2"


class Store:
    """A storage of which a snapshot is asked."""

    def spool(self, since: int) -> Deferred[Any]:
        spool = MemorySpool()
        spool.append(b"0123456789")
        return succeed((SpoolInfo(SnapshotMeta(9, 1, {}), since, spool.size(), spool.sha256()), spool))


class Talk:
    def __init__(self) -> None:
        self.clock = Clock()
        self.sent: list[Any] = []
        self.done: list[tuple[str, int | None]] = []
        store: Any = Store()
        self.broken: list[Any] = []
        self.sender = Sender(store, self.clock, self.send, lambda *end: self.done.append(end), self.broken.append, chunk=4)
        self.sender.begin(LEADER, 1, PEER, 0)

    def send(self, message: Message) -> None:
        self.sent.append(message)

    def answer(self, offset: int, **more: Any) -> list[tuple[int, bytes]]:
        """What is sent for this answer."""
        before = len(self.sent)
        self.sender.on_reply(SnapshotReply(PEER, LEADER, 1, "u", self.sent[0].transfer, offset, 0, **more))
        return [(chunk.offset, chunk.data) for chunk in self.sent[before:]]


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_chunks_follow_one_another(talk: Talk) -> None:
    assert (talk.sent[0].offset, talk.sent[0].data) == (0, b"0123")
    assert talk.answer(4) == [(4, b"4567")]
    assert talk.answer(8) == [(8, b"89")]
    assert talk.answer(10, installed=True) == []
    assert talk.done == [(PEER, 9)]


def test_an_answer_that_comes_twice_is_one_answer(talk: Talk) -> None:
    """Else every repetition would be answered by a chunk, every chunk by an answer, and so on without end."""
    talk.answer(4)
    assert talk.answer(4) == []
    talk.answer(8)
    assert talk.answer(4) == []
    assert talk.answer(8) == []


def test_a_receiver_that_has_less_than_it_had_is_sent_it_again(talk: Talk) -> None:
    """It was restarted. A late answer looks the same, so this waits until it has been silent for a while."""
    talk.answer(4)
    talk.answer(8)
    assert talk.answer(0) == []
    talk.clock.advance(1.0)
    assert (talk.sent[-1].offset, talk.sent[-1].data) == (0, b"0123")
    assert talk.answer(4) == [(4, b"4567")]


def test_a_lost_chunk_is_sent_again(talk: Talk) -> None:
    talk.clock.advance(1.0)
    assert [chunk.offset for chunk in talk.sent] == [0, 0]
    for _ in range(9):
        talk.clock.advance(1.0)
    assert talk.done == [(PEER, None)]
