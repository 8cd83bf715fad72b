"""One customer's connection, without a network."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from toystore.shop.connection import PATIENCE, Answered, Connection
from toystore.shop.dialects import Ask


def sent(reactor: MemoryReactorClock) -> Deferred[Answered]:
    return Deferred.fromCoroutine(Connection(reactor, "http://127.0.0.1:1").send(Ask("/")))


def test_whoever_waits_no_more_is_cancelled_and_sees_no_answer_that_broke_off() -> None:
    waiting, found = sent(MemoryReactorClock()), list[object]()
    waiting.addErrback(found.append)
    waiting.cancel()
    (failure,) = found
    assert isinstance(failure, Failure)
    assert failure.check(CancelledError)


def test_a_connection_that_is_refused_reached_nobody() -> None:
    reactor, found = MemoryReactorClock(), list[Answered]()
    sent(reactor).addCallback(found.append)
    (_, _, factory, _, _) = reactor.tcpClients[0]
    factory.clientConnectionFailed(reactor.connectors[0], Failure(Refused()))
    assert [answer.outcome for answer in found] == ["unreachable"]


def test_a_connection_that_does_not_come_about_is_waited_for_no_longer_than_patience() -> None:
    reactor, found = MemoryReactorClock(), list[Answered]()
    sent(reactor).addCallback(found.append)
    reactor.advance(PATIENCE - 0.1)
    assert found == []
    reactor.advance(0.1)
    assert [(answer.outcome, answer.seconds) for answer in found] == [("unreachable", PATIENCE)]
