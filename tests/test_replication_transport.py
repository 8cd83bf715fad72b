"""Messages over HTTP, with a fake agent and a fake clock."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from toystore.consensus.messages import Heartbeat, HeartbeatReply, Message, TimeoutNow
from toystore.orders.routes import ERRORS
from toystore.replication.transport import HttpTransport
from toystore.web.answers import HotPaths, json_app
from toystore.web.peer import PATH, peer_route

A, B = "order-1", "order-2"
URLS = {A: "http://127.0.0.1:1", B: "http://127.0.0.1:2"}


class Box:
    """An inbox that keeps what arrives; `answers` are sent on each arrival."""

    def __init__(self, transport: HttpTransport, answers: Sequence[Message] = ()) -> None:
        self.transport, self.answers = transport, answers
        self.arrived: list[Message] = []
        self.lost: list[str] = []
        self.held: list[Deferred[None]] = []
        self.hold = False
        transport.attach(self)

    def receive(self, messages: Sequence[Message]) -> Deferred[None]:
        self.arrived += messages
        for answer in self.answers:
            self.transport.send(answer)
        if self.hold:
            self.held.append(Deferred())
            return self.held[-1]
        return succeed(None)

    def unreachable(self, peer: str, gone: bool) -> None:
        self.lost.append(peer)
        self.gone = gone


class Pair:
    """Transport A speaks to the real route of B, in memory."""

    def __init__(self, answers: Sequence[Message] = ()) -> None:
        self.clock = Clock()
        unused = RequestTraversalAgent(HotPaths(json_app(), ERRORS))
        self.b = HttpTransport("toys", B, {A: URLS[A]}, unused, self.clock, 0.5)
        site = HotPaths(json_app(), ERRORS).add("POST", PATH, peer_route(self.b))
        self.agent = RequestTraversalAgent(site)
        self.a = HttpTransport("toys", A, {B: URLS[B]}, self.agent, self.clock, 0.5, connections=2)
        self.at_a, self.at_b = Box(self.a), Box(self.b, answers)

    def turn(self) -> None:
        self.agent.flush()


def heartbeat(seq: int) -> Heartbeat:
    return Heartbeat(A, B, 1, seq, 0)


REPLY = HeartbeatReply(B, A, 1, "u", 5, 0)


def test_a_message_arrives_and_its_reply_rides_in_the_answer() -> None:
    pair = Pair([REPLY])
    pair.a.send(heartbeat(5))
    pair.turn()
    assert pair.at_b.arrived == [heartbeat(5)]
    assert pair.at_a.arrived == [REPLY]


def test_what_gathers_while_all_connections_are_busy_goes_together() -> None:
    pair = Pair()
    pair.at_b.hold = True
    for seq in range(1, 6):
        pair.a.send(heartbeat(seq))
    pair.turn()
    assert len(pair.at_b.held) == 2, "one request for each connection"
    pair.at_b.hold = False
    pair.at_b.held[0].callback(None)
    pair.turn()
    assert [message.seq for message in pair.at_b.arrived] == [1, 2, 3, 4, 5]  # type: ignore[attr-defined]


def test_requests_that_end_in_another_order_than_they_came_lose_no_reply() -> None:
    pair = Pair()
    pair.at_b.hold = True
    for seq in (1, 2):
        pair.a.send(heartbeat(seq))
    pair.turn()
    first, second = pair.at_b.held
    second.callback(None)
    pair.b.send(REPLY)
    first.callback(None)
    pair.turn()
    assert (pair.at_a.arrived, pair.at_a.lost) == ([REPLY], [])


def test_a_peer_that_does_not_answer_in_time_counts_as_unreachable() -> None:
    pair = Pair()
    pair.at_b.hold = True
    pair.a.send(heartbeat(1))
    pair.turn()
    pair.clock.advance(0.6)
    pair.turn()
    assert pair.at_a.lost == [B]


def test_messages_to_a_peer_that_hangs_are_bounded() -> None:
    pair = Pair()
    pair.at_b.hold = True
    for seq in range(1, 1000):
        pair.a.send(heartbeat(seq))
    pair.turn()
    pair.at_b.hold = False
    for held in pair.at_b.held:
        held.callback(None)
    pair.turn()
    seqs = [message.seq for message in pair.at_b.arrived]  # type: ignore[attr-defined]
    assert len(seqs) <= 2 + 64
    assert seqs[-1] == 999, "the oldest are dropped, not the newest"


def test_a_message_for_somebody_unknown_is_dropped() -> None:
    pair = Pair()
    pair.a.send(TimeoutNow(A, "order-9", 1))
    pair.turn()
    assert pair.at_b.arrived == []


@pytest.mark.fault(10)
def test_a_body_for_another_cluster_is_refused_and_changes_nothing() -> None:
    pair = Pair()
    stranger = HttpTransport("books", A, {B: URLS[B]}, pair.agent, pair.clock, 0.5)
    box = Box(stranger)
    stranger.send(heartbeat(1))
    pair.turn()
    assert pair.at_b.arrived == []
    assert box.lost == [B]


def test_after_close_nothing_is_sent() -> None:
    pair = Pair()
    pair.a.close()
    pair.a.send(heartbeat(1))
    pair.turn()
    assert pair.at_b.arrived == []
