"""Random trouble for the core alone: the harness checks safety at each step, and at the end all must agree and serve.

A failing seed is repeated with `pytest tests/consensus/test_random.py -k "[SEED-"`. One disk at a time is wiped, in the
middle of the trouble too, and the next when that one has been named anew. A disk that lies, and keeps its uuid, forgets
only what all others have: nobody but the leader that it answered can tell, and that one may be gone.
"""

from __future__ import annotations

import random

import pytest

from tests.consensus.harness import Network
from toystore.consensus.messages import SnapshotMeta
from toystore.consensus.node import Limits, Role


class Trouble:
    def __init__(self, seed: int, voters: int) -> None:
        self.random = random.Random(seed)
        limits = Limits(append_entries=3, window=3, replies=8)
        self.network = Network.of(voters, learners=1, seed=seed, limits=limits)
        self.read_floor: dict[int, int] = {}
        self.proposed = self.token = 0

    def up(self) -> list[str]:
        return [name for name, replica in self.network.replicas.items() if replica.node is not None]

    def leaders(self) -> list[str]:
        return [name for name in self.up() if self.network.node(name).role is Role.LEADER]

    def time(self) -> None:
        names = self.up()
        self.network.tick(self.random.sample(names, self.random.randint(0, len(names))), self.random.randint(1, 9))

    def messages(self) -> None:
        """Some are delivered, in any order; some are lost, some come twice."""
        network = self.network
        for _ in range(self.random.randint(1, 40)):
            if not network.wires:
                return
            message = network.wires[self.random.randrange(min(len(network.wires), 12))]
            fate = self.random.random()
            if fate < 0.05:
                network.wires.remove(message)
            else:
                if fate < 0.1:
                    network.wires.append(message)
                network._hand_over(message)
        if len(network.wires) > 200:
            network.wires = network.wires[-50:]

    def clients(self) -> None:
        for name in self.leaders():
            for _ in range(self.random.randint(0, 4)):
                self.proposed += 1
                self.network.propose(name, f"{self.proposed}")
            self.token += 1
            self.read_floor[self.token] = max(self.network.history, default=0)
            self.network.node(name).read_index(self.token)
            self.network.pump(name)

    def links(self) -> None:
        a, b = self.random.sample(list(self.network.replicas), 2)
        self.network.cut = {(a, b)} if self.random.random() < 0.5 else set()
        if self.random.random() < 0.2:
            self.network.isolate(a)

    def processes(self) -> None:
        name = self.random.choice(list(self.network.replicas))
        if self.network.replicas[name].node is None:
            self.network.start(name)
        elif self.random.random() < 0.5:
            self.network.crash(name)

    def disks(self) -> None:
        name = self.random.choice(self.up() or ["1"])
        replica = self.network.replicas[name]
        if replica.node is None:
            return
        if replica.stalled:
            self.network.unstall(name)
        elif self.random.random() < 0.3:
            self.network.stall(name)

    def compaction(self) -> None:
        for name in self.up():
            replica = self.network.replicas[name]
            if not replica.stalled and self.random.random() < 0.3:
                self.network.compact(name, replica.disk.applied)

    def snapshots(self) -> None:
        for name in self.leaders():
            source = self.network.replicas[name]
            for peer in list(source.snapshots):
                target = next(n for n, r in self.network.replicas.items() if r.config.id == peer)
                state = self.network.replicas[target]
                index = source.disk.applied
                meta = SnapshotMeta(index, source.disk.term_at(index) or 0, source.disk.members)
                fit = state.node is not None and not state.stalled and state.node.lacks(meta)
                self.network.send_snapshot(name, target, arrives=fit and self.random.random() < 0.8)

    def transfers(self) -> None:
        for name in self.leaders():
            self.network.node(name).transfer()
            self.network.pump(name)

    def cause(self, steps: int) -> None:
        kinds = {
            self.time: 30, self.messages: 60, self.clients: 15, self.links: 2, self.processes: 2, self.disks: 2,
            self.compaction: 2, self.snapshots: 5, self.transfers: 1,
        }  # fmt: skip
        for kind in self.random.choices(list(kinds), list(kinds.values()), k=steps):
            kind()
            self.check_reads()

    def check_reads(self) -> None:
        """A read sees at least what was applied anywhere, and so could have been acknowledged, when it was asked."""
        for replica in self.network.replicas.values():
            for token, index in replica.reads.items():
                assert index >= self.read_floor[token], f"stale read {token}"
            replica.reads.clear()

    def heal(self) -> None:
        self.network.cut.clear()
        for name, replica in self.network.replicas.items():
            if replica.node is None:
                self.network.start(name)
            elif replica.stalled:
                self.network.unstall(name)
        for _ in range(30):
            self.network.run(10)
            self.snapshots()

    def voter(self) -> str:
        return self.random.choice([name for name in self.network.replicas if name.isdigit()])

    def forget(self) -> None:
        """All have all, and all is quiet; then a disk is not what it was."""
        name = self.voter()
        disk = self.network.replicas[name].disk
        if disk.last > disk.durable[0]:
            self.network.forget(name, self.random.randint(disk.durable[0], disk.last - 1))

    def check_healed(self) -> None:
        (leader,) = self.leaders()
        before = self.proposed
        self.proposed += 1
        assert self.network.propose(leader, f"{self.proposed}")
        self.network.run(20)
        assert self.network.history[max(self.network.history)].data == f"{before + 1}".encode()
        applied = {replica.disk.applied for replica in self.network.replicas.values()}
        assert applied == {max(self.network.history)}
        voters = [replica.up for name, replica in self.network.replicas.items() if name.isdigit()]
        assert all(node.named for node in voters)


@pytest.mark.parametrize("voters", [3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_safe_in_trouble_and_alive_after_it(seed: int, voters: int) -> None:
    trouble = Trouble(seed, voters)
    trouble.heal()
    trouble.check_healed()
    for _ in range(3):
        trouble.cause(75)
        trouble.network.wipe(trouble.voter())
        trouble.cause(75)
        trouble.heal()
        trouble.check_healed()
        trouble.forget()
        trouble.heal()
        trouble.check_healed()
