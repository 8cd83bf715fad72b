"""Clients of the core: they propose, and read, at whoever leads or says that it does, until they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

from tests.core.process import LOST, NOT_HERE, Process

if TYPE_CHECKING:
    from tests.core.world import CoreWorld

ATTEMPT = 0.8
"""Seconds that an answer may take."""
MOST = 6
"""How many questions a client has open at most."""


@define(eq=False)
class _Question:
    """A command to propose, or (b"") a read; `floor` is what was acknowledged when it was asked. `attempt` is the last."""

    data: bytes
    floor: int = 0
    attempt: int = 0
    tries: int = 0


class Proposer:
    """It proposes a command again, wherever it can, until it is told that it was applied; a read is asked once."""

    def __init__(self, world: CoreWorld, name: str) -> None:
        self.id = name
        self._world = world
        self._random = world.plan.stream(f"client/{name}")
        self._rate, self._reads = world.plan.shape.rate, world.plan.shape.reads
        self._count = self._attempts = 0
        self._open: dict[int, _Question] = {}
        self._leader: Process | None = None
        self._closed = False

    def begin(self) -> None:
        self._world.timeline.callLater(self._random.expovariate(self._rate), self._come)

    def close_shop(self) -> None:
        """One more question, and then nothing new."""
        self._closed = True
        self._ask(True)

    def waits_for(self) -> str:
        return ", ".join(question.data.decode() or "a read" for question in self._open.values())

    def _come(self) -> None:
        if self._closed:
            return
        self._world.timeline.callLater(self._random.expovariate(self._rate), self._come)
        if len(self._open) < MOST:
            self._ask(self._random.random() >= self._reads)

    def _ask(self, proposes: bool) -> None:
        self._count += 1
        data = f"{self.id}/{self._count}".encode() if proposes else b""
        question = self._open[self._count] = _Question(data, self._world.reads.acknowledged)
        self._try(self._count, question)

    def _whom(self, question: _Question) -> Process:
        """Who led when it last heard; now and then, and for reads often, anyone who thinks that it leads."""
        random, voters = self._random, self._world.voters
        if random.random() < (0.1 if question.data else 0.4):
            leaders = [voter for voter in voters if voter.leads]
            if leaders:
                return random.choice(leaders)
        if self._leader is None or question.tries > 1:
            self._leader = self._world.leader() if random.random() < 0.7 else random.choice(voters)
        return self._leader or random.choice(voters)

    def _try(self, number: int, question: _Question) -> None:
        world = self._world
        self._attempts += 1
        question.attempt, question.tries = self._attempts, question.tries + 1
        attempt, process = self._attempts, self._whom(question)
        there = world.links.link(self.id, process.id)
        if not process.up or not world.links.connected(self.id, process.id):
            world.timeline.callLater(0.02, self._told, number, attempt, process, NOT_HERE)
            return
        mourning = process.when_dead(lambda: self._broken(number, attempt, process))
        world.timeline.callLater(ATTEMPT, self._given_up, number, attempt, process, mourning)
        for delay in there.delays(world.timeline.now)[:1]:
            process.clock.later(delay, self._arrive, process, number, attempt, question)

    def _arrive(self, process: Process, number: int, attempt: int, question: _Question) -> None:
        def answer(index: int) -> None:
            if not question.data and index > 0:
                self._world.check(self._world.reads.answered, process.id, index, question.floor)
            for delay in self._world.links.link(process.id, self.id).delays(self._world.timeline.now)[:1]:
                self._world.timeline.callLater(delay, self._told, number, attempt, process, index)

        if not process.up:
            return
        if question.data:
            process.propose(question.data, answer)
        else:
            process.read(answer)

    def _told(self, number: int, attempt: int, process: Process, index: int) -> None:
        question = self._open.get(number)
        if question is None:
            return
        if index > 0:
            self._leader = process
            del self._open[number]
            self._world.told(process, question.data, index)
        elif question.attempt == attempt:
            self._world.tally["turned away" if index == NOT_HERE else "unknown"] += 1
            self._leader = None if self._leader is process else self._leader
            self._again(number, question)

    def _again(self, number: int, question: _Question) -> None:
        if not question.data and not self._closed:
            del self._open[number]
            self._world.tally["lost reads"] += 1
        else:
            pause = self._random.uniform(0.05, min(0.8, 0.1 * 2**question.tries))
            self._world.timeline.callLater(pause, self._try_again, number, question)

    def _try_again(self, number: int, question: _Question) -> None:
        if number in self._open:
            self._try(number, question)

    def _broken(self, number: int, attempt: int, process: Process) -> None:
        if not self._world.links.silent(process.id, self.id):
            self._told(number, attempt, process, LOST)

    def _given_up(self, number: int, attempt: int, process: Process, mourning: int) -> None:
        process.forget_mourner(mourning)
        self._told(number, attempt, process, LOST)
