"""Random trouble for a watched cluster: messages lost, repeated, late; crashes, wiped and stalled disks, cut links.

`python -m tests.model.trouble 17` repeats a seed and prints what happened; `--count` goes on from there.
"""

from __future__ import annotations

import argparse
import random
import sys
from typing import Any

from tests.consensus.realm import FRONT
from tests.model.trace import Rejected, Trace
from tests.model.watched import Watched
from toystore.consensus.register import Register, RegisterConfig

STEPS = 40


class Hasty(Watched):
    """Times are short, so that a few ticks lead to another view."""

    def start_register(self) -> None:
        super().start_register()
        replicas = next(iter(self.replicas.values())).config.voters
        config = RegisterConfig(FRONT, replicas, replicas, ping_ticks=2, fresh_ticks=6, suspect_ticks=8)
        self.register = Register(config, self.register_name, self.register_disk, start=self.lives * 1_000_000)


class Trouble:
    """One cluster of three and one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        times: dict[str, Any] = {"election_ticks": (12, 16), "heartbeat_ticks": 2, "resend_ticks": 4, "suspect_ticks": 8}
        realm = Hasty.appointed(3, seed=seed, **times)
        assert isinstance(realm, Hasty)
        self.realm = realm
        self.names = list(self.realm.replicas)
        self.commands = self.tokens = self.wiped = 0

    def play(self, steps: int = STEPS) -> None:
        self.realm.run(4)
        kinds = {
            self.time: 12, self.messages: 20, self.clients: 8, self.links: 3, self.process: 4, self.stall: 2,
            self.register: 2, self.hand_over: 1, self.wipe: 1, self.calm: 3, self.lose_register: 1,
        }  # fmt: skip
        for kind in self.random.choices(list(kinds), list(kinds.values()), k=steps):
            kind()

    @property
    def trace(self) -> Trace:
        return self.realm.trace

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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model.trouble", description="Watch the core in random trouble.")
    parser.add_argument("seed", type=int)
    parser.add_argument("--count", type=int, default=1, help="how many seeds, from that one on")
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    events = failed = 0
    for seed in range(options.seed, options.seed + options.count):
        trouble = Trouble(seed)
        if options.count == 1:
            trouble.realm.tell = trouble.trace.tell = print
        try:
            trouble.play(options.steps)
        except (Rejected, AssertionError) as error:
            failed += 1
            print(f"seed {seed}: {type(error).__name__}: {error}")
        events += trouble.trace.count
    print(f"{options.count} traces, {events} events, {failed} rejected")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
