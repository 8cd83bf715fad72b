"""Random trouble for a watched cluster: messages lost, repeated, late; crashes, wiped and stalled disks, cut links."""

from __future__ import annotations

import random

from tests.consensus.realm import FRONT
from tests.model.watched import Watched
from toystore.consensus.register import Register, RegisterConfig


class Hasty(Watched):
    """Times are short, so that a few ticks lead to another view."""

    def start_register(self) -> None:
        super().start_register()
        replicas = next(iter(self.replicas.values())).config.voters
        config = RegisterConfig(FRONT, replicas, replicas, ping_ticks=2, fresh_ticks=6, suspect_ticks=8)
        self.register = Register(config, self.register_name, self.register_disk, start=self.lives * 1_000_000)


class Trouble:
    """One cluster of three and one seed."""

    def __init__(self, seed: int, registers: bool = True) -> None:
        self.random = random.Random(seed)
        times = {"election_ticks": (12, 16), "heartbeat_ticks": 2, "resend_ticks": 4, "suspect_ticks": 8}
        self.realm = Hasty.appointed(3, seed=seed, **times)
        self.names = list(self.realm.replicas)
        self.registers = registers
        self.commands = self.tokens = self.wiped = 0

    def play(self, steps: int = 60) -> None:
        self.realm.run(4)
        kinds = {
            self.time: 12, self.messages: 20, self.clients: 8, self.links: 3, self.process: 4, self.stall: 2,
            self.register: 2, self.hand_over: 1, self.wipe: 1, self.calm: 3, self.lose_register: int(self.registers),
        }  # fmt: skip
        for kind in self.random.choices(list(kinds), list(kinds.values()), k=steps):
            kind()

    def up(self) -> list[str]:
        return [name for name in self.names if self.realm.replicas[name].node is not None]

    def leaders(self) -> list[str]:
        return [name for name in self.up() if self.realm.node(name).leadership is not None]

    def time(self) -> None:
        """It passes for some; where it passes for nobody else, it passes for the register."""
        names, ticks = self.up(), self.random.randint(1, 6)
        some = self.random.sample(names, self.random.randint(0, len(names)))
        for _ in range(ticks if self.random.random() < 0.6 else 0):
            if self.realm.register is not None:
                self.realm.register.tick()
                self.realm.pump_register()
        if some:
            self.realm.tick(some, ticks)

    def messages(self) -> None:
        """Some are delivered, in any order; some are lost, some come twice."""
        realm = self.realm
        for _ in range(self.random.randint(1, 12)):
            if not realm.wires:
                return
            message = realm.wires[self.random.randrange(len(realm.wires))]
            fate = self.random.random()
            if fate < 0.1:
                realm.wires.remove(message)
                continue
            if fate < 0.3:
                realm.wires.append(message)
            realm._hand_over(message)
        if len(realm.wires) > 60:
            realm.wires = self.random.sample(realm.wires, 30)

    def calm(self) -> None:
        """All is delivered for a while, so that something is reached."""
        self.realm.run(self.random.randint(1, 5))

    def clients(self) -> None:
        for name in self.leaders():
            self.commands += 1
            self.realm.propose(name, f"{self.commands}")
            self.tokens += 1
            self.realm.read(name, self.tokens)

    def links(self) -> None:
        self.realm.cut.clear()
        ends = [*self.names, "f1"]
        for _ in range(self.random.randint(0, 3)):
            self.realm.cut.add(tuple(self.random.sample(ends, 2)))  # type: ignore[arg-type]

    def process(self) -> None:
        name = self.random.choice(self.names)
        if self.realm.replicas[name].node is None:
            self.realm.start(name)
        elif self.random.random() < 0.6:
            self.realm.crash(name)
            if self.random.random() < 0.5:
                self.realm.gone(name)

    def stall(self) -> None:
        name = self.random.choice(self.names)
        replica = self.realm.replicas[name]
        if replica.stalled:
            self.realm.unstall(name)
        elif replica.node is not None:
            self.realm.stall(name)

    def register(self) -> None:
        """Its process ends, or begins again on its disk."""
        if self.realm.register is None:
            self.realm.start_register()
        else:
            self.realm.crash_register()

    def lose_register(self) -> None:
        if self.random.random() < 0.3:
            self.realm.lose_register()

    def hand_over(self) -> None:
        for name in self.leaders():
            self.realm.node(name).transfer(leaving=self.random.random() < 0.5)
            self.realm.pump(name)

    def wipe(self) -> None:
        """One disk at a time: the next when that one is in sync again."""
        uuids = {replica.config.id: replica.disk.uuid for replica in self.realm.replicas.values()}
        stored = self.realm.register_disk
        if stored is not None and dict(stored.in_sync) == uuids:
            self.wiped += 1
            name = self.random.choice(self.names)
            self.realm.wipe(name)
            self.realm.start(name)
