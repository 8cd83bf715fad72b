"""The deterministic network of harness.py with a register of views: a cluster whose leader is appointed.

The register is "f1" (front-1). What is checked at every step, beside what harness.py checks: a view is on the register's
disk before anyone is told, no replica has one that was never stored, and what is committed is on the disk of everyone
in the in-sync set of the stored view.
"""

from __future__ import annotations

from attrs import Factory, define

from tests.consensus.harness import Network, Replica
from tests.consensus.trace import short, text, view_text
from toystore.consensus.messages import Entry, Kind, Message, Ping
from toystore.consensus.node import Node
from toystore.consensus.register import Register, RegisterConfig
from toystore.consensus.views import View

FRONT = "front-1"


@define
class Realm(Network):
    register: Register | None = None
    """None while it is down."""
    stored: list[View] = Factory(list)
    """All views, as they were stored."""
    register_disk: View | None = None
    register_name: str = "R"
    register_stalled: bool = False
    register_suspects: int = 100
    """Ticks."""
    expected: tuple[str, ...] | None = None

    @classmethod
    def appointed(cls, voters: int = 3, learners: int = 0, seed: int = 1, **more: object) -> Realm:
        """A cluster of empty disks, all started; nobody leads yet."""
        realm = cls.of(voters, learners, seed, election="appointed", register=FRONT, **more)
        assert isinstance(realm, Realm)
        realm.start_register()
        return realm

    # The register

    def start_register(self) -> None:
        replicas = next(iter(self.replicas.values())).config.voters
        expected = tuple(f"order-{name}" for name in self.expected) if self.expected is not None else replicas
        config = RegisterConfig(FRONT, replicas, expected, suspect_ticks=self.register_suspects)
        self.lives += 1
        self.register = Register(config, self.register_name, self.register_disk, start=self.lives * 1_000_000)
        self.register_stalled = False

    def crash_register(self) -> None:
        self.register = None

    def lose_register(self) -> Register:
        """Its disk is gone; a new register starts, with a name of its own."""
        self.register, self.register_disk = None, None
        self.register_name += "'"
        self.start_register()
        assert self.register is not None
        return self.register

    def accept_loss(self, name: str) -> None:
        """An operator makes `name` the leader, and what it lacks is no promise any more."""
        assert self.register is not None
        log = self.node(name).log
        self.history = {index: entry for index, entry in self.history.items() if log.term_at(index) == entry.term}
        self.register.appoint(f"order-{name}", accept_loss=True)
        self.pump_register()

    @property
    def view(self) -> View:
        assert self.register_disk is not None, "no view has been stored"
        return self.register_disk

    def pump_register(self) -> None:
        while self.register is not None:
            ready = self.register.ready()
            self._check_told(ready.send)
            self.wires += ready.send
            if ready.view is None:
                return
            if self.register_stalled:
                return
            self.store(ready.view)

    def store(self, view: View) -> None:
        """What the register gave to store is on its disk."""
        before, self.register_disk = self.register_disk, view
        assert before is None or view.place > before.place
        self.stored.append(view)
        self.tell(f"  f1 stores {view_text(view)}")
        if self.register is not None:
            self.register.stored()

    def _check_told(self, messages: tuple[Message, ...]) -> None:
        for message in messages:
            if isinstance(message, Ping) and message.view is not None:
                assert message.view == self.register_disk, "told before it was stored"

    def gone(self, name: str) -> None:
        """Everyone notices that nobody listens at the address of `name`."""
        for replica in self.replicas.values():
            if replica.node is not None and replica.config.id != f"order-{name}":
                replica.node.unreachable(f"order-{name}", gone=True)
        if self.register is not None:
            self.register.unreachable(f"order-{name}", gone=True)
            self.pump_register()

    # Overridden

    def tick(self, names: object = (), times: int = 1) -> None:
        for _ in range(times):
            super().tick(names)  # type: ignore[arg-type]
            if self.register is not None and (not names or "f1" in names):  # type: ignore[operator]
                self.register.tick()
                self.pump_register()

    def _hand_over(self, message: Message) -> None:
        if message.to != FRONT:
            super()._hand_over(message)
            return
        self.wires.remove(message)
        if self._link(message) in self.cut or self.register is None:
            self.tell(f"lost {text(message)}")
            return
        self.tell(text(message))
        self.register.step(message)
        self.pump_register()

    def isolate(self, name: str) -> None:
        super().isolate(name)
        if name != "f1":
            self.cut |= {(name, "f1"), ("f1", name)}

    def _apply(self, replica: Replica, entry: Entry) -> None:
        super()._apply(replica, entry)
        holders = [
            r for r in self.replicas.values() if r.disk.term_at(entry.index) == entry.term or self._compacted(r, entry)
        ]
        missing = set(self.view.in_sync) - {r.config.id for r in holders}
        fresh = {m for m in missing if self.replicas[short(m)].disk.uuid == self.view.in_sync[m]}
        assert not fresh, f"{replica.config.id} applies {entry.index}, which {fresh} in the in-sync set lacks"

    @staticmethod
    def _compacted(replica: Replica, entry: Entry) -> bool:
        return replica.disk.base[0] >= entry.index

    # What tests say

    def leads(self) -> str:
        """Who leads, by its short name; "" where nobody does."""
        leaders = [name for name, r in self.replicas.items() if r.node is not None and r.node.leadership is not None]
        return max(leaders, key=lambda name: self.node(name).hard_state.term, default="")

    def settle(self, ticks: int = 40) -> str:
        self.run(ticks)
        return self.leads()

    def lead(self) -> Node:
        return self.node(self.leads())

    def commands(self, name: str) -> list[str]:
        """What the log of `name` holds, as far as it is committed there."""
        log = self.node(name).log
        entries = [log.entry(i) for i in range(log.base_index + 1, log.commit + 1)]
        return [entry.data.decode() for entry in entries if entry.kind is Kind.COMMAND]
