"""What goes wrong in a run: drawn from its seed, each kind from a stream of its own ("swarm testing": a run has some of
the faults, and each of them mild or strong; Groce et al., ISSTA 2012).

**What a disk may forget.** The promises hold while a majority keeps its disks. So at most one voter at a time is without
what it once had on disk (wiped, or under a new uuid after a sync that failed), from then until the entry that names it
anew is applied and synced there; learners are wiped at any time. Nothing is wiped before all voters hold the founding
entry. A disk that *lies* (a voter comes back, under its old uuid, with less than it acknowledged) can be told by nobody but
a leader that had the acknowledgement. Were it to vote first, acknowledged orders could be lost and nobody could know:
no majority protects against that. It is simulated where it can be noticed: the leader stays, and for a while nothing
else goes wrong.

Where leaders are appointed, all of this holds with "in sync" in the place of a majority: a disk is lost only while everyone
is in sync and no change of that is under way; the register's, while all replicas remember its latest view. A disk that
lies is not simulated there: if the only one in sync lies, nobody can know.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import TYPE_CHECKING

from attrs import evolve, fields, frozen

from tests.simulation.cluster import REGISTRAR, Process
from tests.simulation.network import Streams

if TYPE_CHECKING:
    from tests.simulation.world import World

CALM = 1.0
"""Seconds without other faults around a lie."""


@frozen
class Faults:
    """Rates are in events a second, over the whole cluster; shares in messages, writes or client calls. 0: none."""

    loss: float
    repeat: float
    late: float
    broken: float
    """The share of client calls that are lost or late."""
    slow_disk: float
    """The share of writes that take long."""
    cut: float
    crash: float
    relapse: float
    """The share of writes of a term or vote after which the process dies, and is back within milliseconds: the one
    moment at which a vote can be given twice."""
    duel: float
    """The leader dies; the others are in two camps that do not hear one another, and it is back in time to vote for both
    sides: everything comes to it twice, and it dies again whenever it has voted."""
    pause: float
    sleep: float
    """Pauses of a leader for more than ten seconds."""
    stall: float
    full: float
    wipe: float
    sync: float
    """Syncs that fail."""
    lie: float
    stop: float
    """SIGTERM, and a start."""
    register: float
    """Where leaders are appointed: crashes and pauses of the one who does."""
    amnesia: float
    """Where leaders are appointed: the register of views loses its disk."""

    @classmethod
    def drawn(cls, streams: Streams, without: tuple[str, ...] = ()) -> Faults:
        """Each with the probability `_CHANCE` gives it; `without` takes some away, and changes no other."""
        faults = {}
        for name, (chance, low, high) in _STRENGTHS.items():
            random = streams(f"faults/{name}")
            on, strength = random.random() < chance, random.uniform(low, high)
            faults[name] = strength if on and name not in without else 0.0
        return cls(**faults)

    def __str__(self) -> str:
        strengths = {field.name: getattr(self, field.name) for field in fields(Faults)}
        return ", ".join(f"{name} {strength:.3f}" for name, strength in strengths.items() if strength)

    def heal(self) -> Faults:
        return evolve(self, **{field.name: 0.0 for field in fields(Faults)})


_STRENGTHS: dict[str, tuple[float, float, float]] = {
    "loss": (0.5, 0.005, 0.2),
    "repeat": (0.5, 0.01, 0.2),
    "late": (0.5, 0.01, 0.3),
    "broken": (0.5, 0.01, 0.2),
    "slow_disk": (0.5, 0.01, 0.3),
    "cut": (0.6, 0.3, 2.0),
    "crash": (0.7, 0.3, 2.0),
    "relapse": (0.5, 0.05, 0.4),
    "duel": (0.35, 0.3, 0.8),
    "pause": (0.5, 0.2, 1.5),
    "sleep": (0.04, 0.3, 0.6),
    "stall": (0.4, 0.2, 1.0),
    "full": (0.35, 0.2, 0.8),
    "wipe": (0.5, 0.3, 1.5),
    "sync": (0.3, 0.2, 0.6),
    "lie": (0.25, 0.3, 0.8),
    "stop": (0.4, 0.2, 0.8),
    "register": (0.5, 0.2, 1.5),
    "amnesia": (0.5, 0.5, 2.0),
}
"""The probability that a run has the fault, and its least and greatest strength."""


class Mischief:
    """Does what goes wrong at a moment (what goes wrong with a message or a write is in `network` and `world`)."""

    def __init__(self, world: World, streams: Streams) -> None:
        self._world, self._streams = world, streams
        self._relapses = streams("mischief/relapse")
        self._between: Process | None = None
        self._calm_until = 0.0
        self.over = False

    def begin(self) -> None:
        kinds: dict[str, Callable[[Random], None]] = {
            "cut": self._cut, "crash": self._crash, "duel": self._duel, "pause": self._pause, "sleep": self._sleep,
            "stall": self._stall, "full": self._full, "wipe": self._wipe, "sync": self._fail_sync,
            "lie": self._lie, "stop": self._stop, "register": self._trouble_register, "amnesia": self._lose_register,
        }  # fmt: skip
        for name, happen in kinds.items():
            rate = getattr(self._world.faults, name)
            if rate:
                self._again(self._streams(f"mischief/{name}"), rate, happen)

    def _again(self, random: Random, rate: float, happen: Callable[[Random], None]) -> None:
        def due() -> None:
            if not self.over:
                if self._world.timeline.now >= self._calm_until:
                    happen(random)
                self._again(random, rate, happen)

        self._later(random.expovariate(rate), due)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self._world.clock.callLater(seconds, call)

    def _any(self, random: Random) -> Process:
        """The leader more often than others: what befalls it matters most."""
        leader, at_leader = self._world.leader(), random.random() < 0.35
        anyone = random.choice(list(self._world.processes.values()))
        return leader if leader is not None and at_leader else anyone

    # The network

    def _cut(self, random: Random) -> None:
        """Between a node and another, all others, or all replicas (so that clients still reach a leader that is alone and
        fill its log with what will never be committed); in one direction or both."""
        world, node = self._world, self._any(random).id
        replicas = [other for other in world.processes if other != node]
        replicas += [REGISTRAR] if world.registrar is not None else []
        others = random.choice((replicas, replicas, [*replicas, *world.clients], [random.choice(replicas)]))
        inward, outward = random.choice(((True, False), (False, True), (True, True)))
        pairs = [(other, node) for other in others if inward] + [(node, other) for other in others if outward]
        world.note(f"{node} is cut off {'from' if inward else 'to'} {', '.join(others)}")
        for pair in pairs:
            world.links.cut(*pair)

        def mend() -> None:
            for pair in pairs:
                world.links.mend(*pair)

        self._later(random.uniform(0.2, 1.5), mend)

    # Processes

    def _crash(self, random: Random) -> None:
        process, keep, seconds = self._any(random), random.random() < 0.5, random.uniform(0.02, 1.0)
        if process.up:
            self._world.kill(process, keep, "keeps the save in flight" if keep else "")
            self._later(seconds, lambda: self._world.start(process))

    def _duel(self, random: Random) -> None:
        leader, world = self._world.leader(), self._world
        seconds, echo = random.uniform(0.5, 1.5), random.uniform(0.005, 0.08)
        if leader is None or self._between is not None:
            return
        camp = [voter.id for voter in world.voters if voter is not leader]
        random.shuffle(camp)
        half = len(camp) // 2
        pairs = [(a, b) for a in camp for b in camp if (a in camp[:half]) != (b in camp[:half])]
        for pair in pairs:
            world.links.cut(*pair)
        self._between, world.links.echoes[leader.id] = leader, echo
        world.kill(leader, False, f"and is between {camp[:half]} and {camp[half:]}")
        self._later(random.uniform(0.1, 0.3), lambda: world.start(leader))

        def over() -> None:
            self._between = None
            del world.links.echoes[leader.id]
            for pair in pairs:
                world.links.mend(*pair)

        self._later(seconds, over)

    def voted(self, process: Process) -> None:
        """It has written a term or a vote."""
        random, share = self._relapses, self._world.faults.relapse
        share = 0.7 if process is self._between else share
        dies, moment, seconds = random.random() < share, random.uniform(0, 0.004), random.uniform(0.001, 0.03)
        if dies and not self.over and self._world.timeline.now >= self._calm_until:
            clock = process.clock

            def die() -> None:
                if process.clock is clock and not clock.ended:
                    self._world.kill(process, False, "having written a term or a vote")
                    self._later(seconds, lambda: self._world.start(process))

            self._later(moment, die)

    def _pause(self, random: Random) -> None:
        process, seconds = self._any(random), random.uniform(0.05, 1.2)
        self._freeze(process, seconds)

    def _sleep(self, random: Random) -> None:
        leader, seconds = self._world.leader(), random.uniform(10, 11)
        if leader is not None:
            self._freeze(leader, seconds)

    def _freeze(self, process: Process, seconds: float) -> None:
        if process.up and not process.clock.paused:
            self._world.note(f"{process.id} is paused for {seconds:.3f} s")
            process.clock.pause()
            clock = process.clock
            self._later(seconds, clock.resume)

    def _stop(self, random: Random) -> None:
        process, seconds = self._any(random), random.uniform(0.02, 0.5)
        if process.up and not process.clock.paused:
            self._world.stop(process)
            self._later(1.5 + seconds, lambda: self._world.start(process))

    # The register of views

    def _trouble_register(self, random: Random) -> None:
        registrar, paused, keep, seconds = (
            self._world.registrar,
            random.random() < 0.4,
            random.random() < 0.5,
            random.random(),
        )
        if registrar is None or not registrar.up or registrar.clock.paused:
            return
        if paused:
            self._world.note(f"the register is paused for {seconds:.3f} s")
            registrar.clock.pause()
            self._later(seconds, registrar.clock.resume)
        else:
            self._world.note("the register dies")
            self._world.tally["register crashes"] += 1
            registrar.kill(keep)
            self._later(seconds, self._world.start_register)

    def _lose_register(self, random: Random) -> None:
        registrar, seconds = self._world.registrar, random.uniform(0.01, 0.5)
        if registrar is not None and registrar.up and self._world.all_remember():
            self._world.note("the disk of the register is lost")
            self._world.tally["registers lost"] += 1
            registrar.lose()
            self._later(seconds, self._world.start_register)

    # Disks

    def _stall(self, random: Random) -> None:
        process, seconds = self._any(random), random.uniform(0.05, 0.8)
        if process.up and not process.disk.stalled:
            self._world.note(f"the disk of {process.id} stalls for {seconds:.3f} s")
            process.disk.stall()
            self._later(seconds, process.release)

    def _full(self, random: Random) -> None:
        process, seconds = self._any(random), random.uniform(0.1, 1.0)
        self._world.note(f"the disk of {process.id} is full for {seconds:.3f} s")
        process.disk.full = True

        def room() -> None:
            process.disk.full = False

        self._later(seconds, room)

    def _wipe(self, random: Random) -> None:
        process, seconds = self._any(random), random.uniform(0.02, 0.5)
        if process.up and self._world.may_forget(process):
            self._world.kill(process, False, "its disk is wiped")
            self._world.forgetful[process.id] = process.disk.uuid
            process.disk.wipe()
            self._world.views.forgot(process.id)
            self._world.tally["wipes"] += 1
            self._later(seconds, lambda: self._world.start(process))

    def _fail_sync(self, random: Random) -> None:
        process = self._any(random)
        if process.up and self._world.may_forget(process):
            self._world.note(f"the next sync of {process.id} fails")
            self._world.failing_disk = process
            process.disk.fail_next_save()

    def _lie(self, random: Random) -> None:
        """The disk goes back to what it held a moment ago, under the same uuid."""
        process, seconds = self._any(random), random.uniform(0.01, 0.3)
        world = self._world
        if process.up and not process.leads and world.all_is_well():
            self._calm_until = world.timeline.now + seconds + CALM
            world.links.calm = True
            hard_state, state = process.disk.hard_state, deepcopy(process.disk.state)
            leader = world.leader()

            def forget() -> None:
                if process.up and world.leader() is leader and not self.over:
                    world.kill(process, False, f"its disk is back where it was {seconds:.3f} s ago")
                    process.disk.hard_state, process.disk.state = hard_state, state
                    state.undo_unsynced()
                    world.forgetful[process.id] = process.disk.uuid
                    world.tally["lies"] += 1
                    world.start(process)

            self._later(seconds, forget)
            self._later(seconds + CALM, lambda: self._end_calm(process))

    def _end_calm(self, liar: Process) -> None:
        self._world.links.calm = self.over
        self._world.forgetful.pop(liar.id, None)
