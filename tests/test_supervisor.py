"""The supervisor, on a clock and with processes that are only pretended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from toystore.supervisor.child import STEADY_SECONDS, STOP_SECONDS, BackOff, NodeLog, leads
from toystore.supervisor.cluster import CouldNotStart, NotPossible, Supervised
from toystore.supervisor.launch import Node

T = TypeVar("T")
NOBODY = 1 << 23
"""A process id that no kernel gives."""
NODES = [Node("order-1", "order", 1, "http://o"), Node("front-1", "front", 1, "http://f")]


@define
class PretendedProcess:
    protocol: ProcessProtocol
    argv: list[str]
    pid: int | None
    deaf: bool = False

    def end(self, code: int | None = None, number: int | None = None, last_word: bytes = b"") -> None:
        if self.pid is None:
            return
        self.pid = None
        if last_word:
            self.protocol.childDataReceived(2, last_word)
        reason = ProcessTerminated(code, number) if code or number else ProcessDone(0)
        self.protocol.processEnded(Failure(reason))


@define
class Machine(Clock):
    """A reactor whose processes do what the signals tell them; `deaf` new ones ignore SIGTERM."""

    processes: list[PretendedProcess] = field(factory=list)
    signals: list[tuple[int, int]] = field(factory=list)
    deaf: bool = False

    def __attrs_post_init__(self) -> None:
        Clock.__init__(self)

    def spawnProcess(  # noqa: N802
        self, protocol: ProcessProtocol, executable: str, argv: list[str], **rest: object
    ) -> PretendedProcess:
        process = PretendedProcess(protocol, argv, 100 + len(self.processes), self.deaf)
        self.processes.append(process)
        return process

    def send(self, pid: int, number: int) -> None:
        self.signals.append((pid, number))
        process = next(found for found in self.processes if found.pid == pid)
        if number == signal.SIGKILL or (number == signal.SIGTERM and not process.deaf):
            process.end(number=number)

    def running(self) -> list[PretendedProcess]:
        return [process for process in self.processes if process.pid is not None]


@define
class Scene:
    machine: Machine
    cluster: Supervised
    pages: dict[str, tuple[int, Any]]
    said: list[str]

    def run(self, work: Coroutine[Any, Any, T]) -> Deferred[T]:
        return Deferred.fromCoroutine(work)

    def serve(self, *names: str) -> None:
        for name in names:
            self.answer(name, self.cluster.standing()[name].pid)

    def answer(self, name: str, pid: object) -> None:
        """A process with this id serves at the address of the node."""
        url = self.cluster.nodes[name].url
        self.pages[url + "/readyz"] = self.pages[url + "/livez"] = (200, {})
        self.pages[url + "/status"] = (200, {"pid": pid})


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    machine, said = Machine(), list[str]()
    pages: dict[str, tuple[int, Any]] = {}

    async def ask(url: str, path: str) -> tuple[int, Any]:
        if url + path not in pages:
            raise ConnectionRefusedError
        return pages[url + path]

    cluster = Supervised(machine, NODES, tmp_path, lambda node: ["run", node.name], ask, said.append, send=machine.send)
    return Scene(machine, cluster, pages, said)


def result(deferred: Deferred[T]) -> T:
    """What it has come to, by now."""
    assert deferred.called
    found: list[Any] = []
    deferred.addBoth(found.append)
    if isinstance(found[0], Failure):
        found[0].raiseException()
    value: T = found[0]
    return value


# The cluster


def test_it_is_ready_once_every_node_is(scene: Scene) -> None:
    scene.cluster.start()
    ready = scene.run(scene.cluster.ready())
    scene.serve("order-1", "front-1")
    scene.pages["http://f/readyz"] = (503, {"reasons": ["no leader"]})
    scene.machine.advance(1)
    assert not ready.called
    scene.serve("front-1")
    scene.machine.advance(0.1)
    result(ready)


def test_what_it_waits_for_is_told(scene: Scene) -> None:
    scene.cluster.start()
    waiting = scene.run(scene.cluster.ready())
    scene.serve("front-1")
    scene.pages["http://f/readyz"] = (503, {"reasons": ["no leader", "no catalog"]})
    scene.machine.pump([0.1] * 32)
    assert scene.said == ["waiting for order-1 (no answer yet), front-1 (no leader; no catalog)"]
    assert not waiting.called


def test_a_node_left_out_is_not_waited_for(scene: Scene) -> None:
    scene.cluster.start(without=["front-1"])
    scene.serve("order-1")
    result(scene.run(scene.cluster.ready()))
    assert [process.argv[-1] for process in scene.machine.processes] == ["order-1"]


def test_a_first_start_that_fails_is_the_end(scene: Scene) -> None:
    scene.cluster.start()
    ready = scene.run(scene.cluster.ready())
    word = b"Traceback ...\nCannotListenError: Couldn't listen on 127.0.0.1:8080: [Errno 98] In use.\nbye\n"
    scene.machine.processes[1].end(code=1, last_word=word)
    scene.machine.advance(0.1)
    with pytest.raises(CouldNotStart, match=r"^front-1 could not start: Couldn't listen on 127.0.0.1:8080"):
        result(ready)
    scene.machine.advance(60)
    assert len(scene.machine.processes) == 2


def test_a_death_by_signal_while_starting_is_not(scene: Scene) -> None:
    scene.cluster.start()
    waiting = scene.run(scene.cluster.ready())
    scene.machine.processes[0].end(number=signal.SIGKILL)
    scene.machine.advance(0.1)
    assert len(scene.machine.processes) == 3
    assert not waiting.called


TAKEN = b"[critical] order-1 can not listen on 127.0.0.1:1: the port is taken\n"


def test_a_restart_that_finds_its_address_taken_is_the_end_too(scene: Scene) -> None:
    scene.cluster.start()
    ready = scene.run(scene.cluster.ready())
    scene.machine.processes[0].end(number=signal.SIGKILL)
    scene.machine.advance(0.1)
    scene.machine.processes[2].end(code=1, last_word=TAKEN)
    scene.machine.advance(0.1)
    with pytest.raises(CouldNotStart, match=r"^order-1 could not start: can not listen on 127.0.0.1:1: the port is taken"):
        result(ready)
    scene.machine.advance(60)
    assert len(scene.machine.processes) == 3


def test_a_store_that_serves_goes_on_when_an_address_of_its_own_is_taken(scene: Scene) -> None:
    up(scene)
    scene.machine.processes[0].end(number=signal.SIGKILL)
    scene.machine.advance(0.1)
    scene.machine.processes[2].end(code=1, last_word=TAKEN)
    scene.machine.advance(0.2)
    assert scene.cluster.standing()["order-1"].state == "running"
    assert scene.said[-1].endswith("can not listen on 127.0.0.1:1: the port is taken; starting it again in 0.2 s")


# Whose answers they are


@pytest.mark.parametrize(
    ("status", "who"),
    [
        ({"pid": NOBODY}, f"process {NOBODY}, which is not its own, answers there"),
        ({"pid": 1 << 99}, "which is not its own"),
        ({"pid": "101"}, "something else answers there"),
        ({}, "something else answers there"),
        (None, "something else answers there"),
    ],
)
def test_the_answers_of_others_do_not_count(scene: Scene, status: object, who: str) -> None:
    scene.cluster.start()
    scene.serve("order-1", "front-1")
    scene.pages["http://f/status"] = (200, status)
    ready = scene.run(scene.cluster.ready())
    scene.machine.pump([0.1] * 32)
    assert len(scene.said) == 1
    assert who in scene.said[0]
    assert not ready.called
    scene.serve("front-1")
    scene.machine.advance(0.1)
    result(ready)


def test_a_node_that_is_started_while_another_answers_there_is_not_up(scene: Scene) -> None:
    up(scene)
    result(scene.run(scene.cluster.carry_out("kill", "order-1")))
    scene.answer("order-1", NOBODY)
    started = scene.run(scene.cluster.carry_out("start", "order-1"))
    scene.machine.advance(1)
    assert not started.called
    scene.machine.running()[-1].end(code=1, last_word=TAKEN)
    scene.machine.advance(0.1)
    with pytest.raises(NotPossible, match="order-1 ended again at once: can not listen on"):
        result(started)


def test_a_node_that_lives_is_up_also_where_its_disk_does_not_answer(scene: Scene) -> None:
    up(scene)
    result(scene.run(scene.cluster.carry_out("kill", "order-1")))
    del scene.pages["http://o/status"]
    assert result(scene.run(scene.cluster.carry_out("start", "order-1"))) == "order-1 is up"


def test_a_process_belongs_to_the_leader_of_its_group() -> None:
    command = [sys.executable, "-c", "import os, sys; os.fork(); os.write(1, b'%d\\n' % os.getpid()); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0, text=True) as leader:
        assert leader.stdout is not None
        (forked,) = {int(leader.stdout.readline()) for _ in range(2)} - {leader.pid}
        assert leads(leader.pid, leader.pid)
        assert leads(leader.pid, forked)
        assert not leads(leader.pid, os.getpid())
        assert not leads(os.getpid(), forked)
    assert not leads(os.getpid(), NOBODY)


# Once it is up


def up(scene: Scene) -> None:
    scene.cluster.start()
    scene.serve("order-1", "front-1")
    result(scene.run(scene.cluster.ready()))


def test_later_deaths_are_restarted_ever_more_slowly(scene: Scene) -> None:
    up(scene)
    delays = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    for delay in delays:
        before = len(scene.machine.processes)
        next(p for p in scene.machine.running() if p.argv[-1] == "order-1").end(code=70, last_word=b"disk\n")
        scene.machine.advance(delay - 0.01)
        assert len(scene.machine.processes) == before
        scene.machine.advance(0.02)
        assert len(scene.machine.processes) == before + 1
    assert scene.said[0] == "order-1 ended with exit code 70: disk; starting it again in 0.1 s"


def test_the_back_off_starts_anew_after_a_steady_run() -> None:
    back_off = BackOff()
    assert [back_off.after(1.0) for _ in range(3)] == [0.1, 0.2, 0.4]
    assert back_off.after(STEADY_SECONDS) == 0.1
    assert back_off.after(1.0) == 0.2


@pytest.mark.parametrize(("verb", "number"), [("stop", signal.SIGTERM), ("kill", signal.SIGKILL)])
def test_what_was_ended_on_purpose_stays_down(scene: Scene, verb: str, number: int) -> None:
    up(scene)
    text = result(scene.run(scene.cluster.carry_out(verb, "order-1")))
    assert "stays down until it is started" in text
    assert scene.machine.signals[0] == (100, number)
    scene.machine.advance(60)
    assert scene.cluster.standing()["order-1"].state == "stopped"
    assert scene.cluster.standing()["order-1"].pid is None
    assert result(scene.run(scene.cluster.carry_out(verb, "order-1"))) == "order-1 is down already"


def test_a_stop_during_the_back_off_forgets_the_restart(scene: Scene) -> None:
    up(scene)
    scene.machine.processes[0].end(number=signal.SIGSEGV)
    assert scene.cluster.standing()["order-1"].state == "waiting"
    result(scene.run(scene.cluster.carry_out("stop", "order-1")))
    scene.machine.advance(60)
    assert len(scene.machine.running()) == 1


def test_start_waits_until_the_node_answers(scene: Scene) -> None:
    up(scene)
    result(scene.run(scene.cluster.carry_out("kill", "order-1")))
    del scene.pages["http://o/livez"]
    started = scene.run(scene.cluster.carry_out("start", "order-1"))
    scene.machine.advance(1)
    assert not started.called
    scene.serve("order-1")
    scene.machine.advance(0.1)
    assert result(started) == "order-1 is up"


def test_start_tells_why_a_node_ends_again(scene: Scene) -> None:
    up(scene)
    result(scene.run(scene.cluster.carry_out("kill", "order-1")))
    del scene.pages["http://o/livez"]
    started = scene.run(scene.cluster.carry_out("start", "order-1"))
    scene.machine.running()[-1].end(code=1, last_word=b"the disk forgot\n")
    scene.machine.advance(0.1)
    with pytest.raises(NotPossible, match="order-1 ended again at once: the disk forgot"):
        result(started)


def test_pause_and_resume(scene: Scene) -> None:
    up(scene)
    assert result(scene.run(scene.cluster.carry_out("pause", "order-1"))) == "order-1 is paused"
    assert scene.cluster.standing()["order-1"].state == "paused"
    with pytest.raises(NotPossible, match="is paused; resume it"):
        result(scene.run(scene.cluster.carry_out("start", "order-1")))
    assert result(scene.run(scene.cluster.carry_out("resume", "order-1"))) == "order-1 is running again"
    assert scene.machine.signals == [(100, signal.SIGSTOP), (100, signal.SIGCONT)]
    result(scene.run(scene.cluster.carry_out("kill", "order-1")))
    with pytest.raises(NotPossible, match="can not be paused: it is stopped"):
        result(scene.run(scene.cluster.carry_out("pause", "order-1")))


@pytest.mark.parametrize(("verb", "node", "reason"), [("kill", "x", "no node 'x'"), ("eat", "order-1", "'eat'")])
def test_what_can_not_be_done_is_said(scene: Scene, verb: str, node: str, reason: str) -> None:
    up(scene)
    with pytest.raises(NotPossible, match=reason):
        result(scene.run(scene.cluster.carry_out(verb, node)))


def test_stop_ends_all_also_the_paused_and_the_deaf(scene: Scene) -> None:
    scene.machine.deaf = True
    up(scene)
    result(scene.run(scene.cluster.carry_out("pause", "order-1")))
    stopped = scene.run(scene.cluster.stop())
    assert {(100, signal.SIGTERM), (100, signal.SIGCONT), (101, signal.SIGTERM)} <= set(scene.machine.signals)
    scene.machine.advance(STOP_SECONDS - 0.1)
    assert not stopped.called
    scene.machine.advance(0.1)
    result(stopped)
    assert scene.machine.running() == []
    assert scene.machine.getDelayedCalls() == []


def test_a_cancelled_stop_kills_at_once(scene: Scene) -> None:
    scene.machine.deaf = True
    up(scene)
    stopped = scene.run(scene.cluster.stop())
    stopped.cancel()
    stopped.addErrback(lambda _: None)
    assert scene.machine.running() == []


def test_a_cancelled_wait_is_cancelled_whatever_it_waits_for(scene: Scene) -> None:
    async def never(url: str, path: str) -> tuple[int, Any]:
        await Deferred()
        raise AssertionError

    scene.cluster._ask = never
    scene.cluster.start()
    ready = scene.run(scene.cluster.ready())
    ready.cancel()
    with pytest.raises(CancelledError):
        result(ready)


# The log of a node


def test_a_log_is_bounded_and_its_tail_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toystore.supervisor.child.LOG_BYTES", 10_000)
    log = NodeLog(tmp_path)
    for _ in range(20):
        log.write(b"x" * 10_000 + b"\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1", "log.2", "log.3", "log.4"]
    assert len(log.last_word()) <= 8192
    log.close()


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (
            b"X: Couldn't listen on 127.0.0.1:1: [Errno 98] In use.\nbye\n",
            "Couldn't listen on 127.0.0.1:1: [Errno 98] In use",
        ),
        (b"[critical] a-1 can not listen on *:1: the port is taken\nbye\n", "can not listen on *:1: the port is taken"),
        (b"[critical] a-1 can not start: in use\n", "can not start: in use"),
        (b"[critical] a-1 can not go on\nTraceback\nKeyError: 3\n", "KeyError: 3"),
        (b"", ""),
    ],
)
def test_the_last_word_is_the_reason(tmp_path: Path, written: bytes, reason: str) -> None:
    log = NodeLog(tmp_path)
    log.write(written)
    assert log.last_word() == reason
    log.close()


def test_the_last_word_is_of_the_current_run(tmp_path: Path) -> None:
    log = NodeLog(tmp_path)
    log.write(b"old\n")
    log.begin()
    assert log.last_word() == ""
    log.write(b"one\ntwo\n\n")
    assert log.last_word() == "two"
    log.close()
