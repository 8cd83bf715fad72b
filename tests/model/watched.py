"""The real core, watched: what its nodes and its register do on the network of tests/consensus, told as events.

Nothing here knows a rule. What a message leads to is noted when it is taken, and told when the write that contains it
has ended; what a message says is told when it leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import Factory, define

from tests.consensus.harness import Network, Replica
from tests.consensus.realm import FRONT, Realm
from tests.consensus.trace import short
from tests.model import trace
from tests.model.state import Ask, Entry, Id, Log, Members, View
from tests.model.trace import MEMBERS, Trace
from toystore.consensus import messages as real
from toystore.consensus.messages import Kind, Message
from toystore.consensus.node import Node, Ready
from toystore.consensus.register import Register
from toystore.consensus.views import View as RealView


@define
class Seen:
    """What has been told of one process, and what is to be told."""

    noted: list[object] = Factory(list)
    """What it took and has not written."""
    later: list[object] = Factory(list)
    """What it took while a write of the former was under way, which does not contain it."""
    leads: int = 0
    """The epoch that it was last seen to lead; 0 for none."""
    log: int = 0
    """How far its log was told, while it leads."""
    committed: int = 0
    applied: int = 0


@define
class Watched(Realm):
    """`registers` and `uuids` give registers and storages their numbers: the place in the list."""

    trace: Trace = Factory(lambda: Trace(3))
    seen: dict[str, Seen] = Factory(dict)
    registers: list[str] = Factory(list)
    uuids: dict[str, list[str]] = Factory(dict)
    writing: bool = False
    """A write has ended, and what it contains has not been told."""

    # Numbers

    @staticmethod
    def number(name: str) -> Id:
        return int(short(name) if "-" in name else name) - 1

    def register_number(self, name: str) -> int:
        if name not in self.registers:
            self.registers.append(name)
        return self.registers.index(name)

    def members(self, in_sync: Mapping[str, str]) -> Members:
        return tuple(sorted((self.number(m), self.uuids[short(m)].index(uuid)) for m, uuid in in_sync.items()))

    def view_of(self, view: RealView) -> View:
        register, leader = self.register_number(view.register), self.number(view.leader)
        return View(register, view.generation, view.version, view.epoch, leader, self.members(view.in_sync))

    @staticmethod
    def log_of(entries: list[real.Entry]) -> Log:
        return tuple(entry_of(entry) for entry in entries)

    # Processes

    def start(self, name: str) -> None:
        disk, known = self.replicas[name].disk, self.uuids.setdefault(name, [])
        wiped = disk.uuid not in known
        if wiped:
            known.append(disk.uuid)
        super().start(name)
        if name in self.seen:
            self.trace.note(trace.Restarted(self.number(name), self.log_of(disk.entries), wiped))
        self.seen[name] = Seen(committed=disk.applied, applied=disk.applied)

    def crash(self, name: str) -> None:
        if self.replicas[name].node is not None:
            self.trace.note(trace.Crashed(self.number(name)))
        super().crash(name)

    def lose_register(self) -> Register:
        self.register_number(self.register_name)
        self.trace.note(trace.RegisterLost())
        self.register_number(self.register_name + "'")
        return super().lose_register()

    # What others check in their way

    def _note_role(self, name: str, replica: Replica) -> None:
        """A leader that begins when the next is appointed already may lack what that one committed: the model knows."""
        if replica.node is not None:
            replica.role = replica.node.role

    def _apply(self, replica: Replica, entry: real.Entry) -> None:
        """Whether it may be applied is asked of the model, which also knows when there is no register."""
        Network._apply(self, replica, entry)

    # What is taken

    def _hand_over(self, message: Message) -> None:
        receiver = None if message.to == FRONT else self.replicas[short(message.to)]
        if receiver is None or receiver.node is None or self._link(message) in self.cut:
            super()._hand_over(message)
            return
        before, length = receiver.node.hard_state, receiver.node.log.last_index
        self.wires.remove(message)
        receiver.node.step(message)
        self._note(short(message.to), receiver, before)
        self._note_append(short(message.to), receiver, length, message)
        self.pump(short(message.to))

    def _notes(self, name: str) -> list[object]:
        """Where to note what it takes now: a write that is under way will not contain it."""
        busy = any(ready.must_save for ready in self.replicas[name].queue)
        return self.seen[name].later if busy else self.seen[name].noted

    def _note(self, name: str, replica: Replica, before: real.HardState) -> None:
        """What a message has led to, but for entries."""
        who, after, notes = self.number(name), replica.up.hard_state, self._notes(name)
        if after.promised != before.promised:
            notes.append(trace.Promised(who, self.register_number(after.promised[1])))
        if after.view != before.view and after.view is not None:
            notes.append(trace.Took(who, self.view_of(after.view)))
        elif after.term != before.term:
            notes.append(trace.Raised(who, after.term))

    def _note_append(self, name: str, replica: Replica, length: int, message: Message) -> None:
        """Where it was the missing piece, Appends that had come early are taken with it."""
        node = replica.up
        if isinstance(message, real.Append) and message.term == node.hard_state.term and self._agrees(replica, message):
            last = message.prev_index + len(message.entries)
            if node.log.last_index > length:
                last = max(last, node.log.last_index)
            self._notes(name).append(trace.Appended(self.number(name), message.term, last))

    @staticmethod
    def _agrees(replica: Replica, message: real.Append) -> bool:
        """It took the Append: what it ends with is in its log."""
        last = message.entries[-1] if message.entries else None
        place = (message.prev_index, message.prev_term) if last is None else (last.index, last.term)
        return replica.up.log.term_at(place[0]) == place[1]

    # What is written and said

    def _use_disk(self, name: str, replica: Replica, ready: Ready) -> None:
        if ready.must_save:
            seen = self.seen[name]
            for event in seen.noted:
                self.trace.note(event)
            seen.noted, seen.later = seen.later, []
        self.writing = ready.must_save
        super()._use_disk(name, replica, ready)
        self._watch(name, replica)

    def pump(self, name: str) -> None:
        self._watch(name, self.replicas[name])
        super().pump(name)
        self._watch(name, self.replicas[name])

    def store(self, view: RealView) -> None:
        self.trace.note(trace.Stored(self.view_of(view)))
        super().store(view)

    def _check_told(self, messages: tuple[Message, ...]) -> None:
        for message in messages:
            if isinstance(message, real.Ping) and message.view is not None:
                self.trace.note(trace.Told(self.number(message.to), self.view_of(message.view)))
        super()._check_told(messages)

    def _check_sent(self, replica: Replica, messages: Iterable[Message]) -> None:
        super()._check_sent(replica, messages)
        self._say(messages)

    def _check_replies(self, replica: Replica, messages: Iterable[Message]) -> None:
        super()._check_replies(replica, messages)
        if self.writing:
            disk, self.writing = replica.disk, False
            self.trace.note(trace.Saved(self.number(replica.config.id), disk.hard_state.term, self.log_of(disk.entries)))
        self._say(messages)

    def _say(self, messages: Iterable[Message]) -> None:
        for message in messages:
            who = self.number(message.sender)
            match message:
                case real.AppendReply(rejected=False):
                    self.trace.note(trace.Acknowledged(who, message.term, message.match))
                case real.Standing() if message.promised[1] == self.register_name:
                    self.trace.note(trace.Answered(who))
                case real.Ask():
                    leader, in_sync = self.number(message.leader), self.members(message.in_sync)
                    self.trace.note(trace.Asked(who, Ask(message.version, message.term, who, leader, in_sync)))

    # What a node does by itself

    def _watch(self, name: str, replica: Replica) -> None:
        """Told soon enough that what it says later rests on it."""
        node, seen, who = replica.node, self.seen[name], self.number(name)
        if node is None:
            return
        if node.leadership is None:
            seen.leads = 0
        else:
            self._watch_leader(node, seen, who)
        if replica.disk.applied > seen.applied:
            seen.applied = replica.disk.applied
            self.trace.note(trace.Applied(who, seen.applied))
        for token, index in replica.reads.items():
            self.trace.note(trace.ReadShown(who, token, index))
        replica.reads.clear()

    def _watch_leader(self, node: Node, seen: Seen, who: Id) -> None:
        """It has begun to lead, appended, committed."""
        log, epoch = node.log, node.hard_state.term
        if seen.leads != epoch:
            older = [index for index in range(log.base_index, log.last_index + 1) if log.term_at(index) != epoch]
            seen.leads, seen.log, seen.committed = epoch, max(older), min(log.commit, max(older))
            self.trace.note(trace.Leads(who, epoch))
        for index in range(seen.log + 1, log.last_index + 1):
            self.trace.note(trace.Proposed(who, entry_of(log.entry(index))))
        seen.log = log.last_index
        if log.commit > seen.committed:
            seen.committed = log.commit
            self.trace.note(trace.Committed(who, log.commit))

    def read(self, name: str, token: int) -> None:
        self.trace.note(trace.ReadCame(self.number(name), token))
        self.node(name).read_index(token)
        self.pump(name)


def entry_of(entry: real.Entry) -> Entry:
    """Commands are numbers."""
    commands = {Kind.NOOP: 0, Kind.MEMBERS: MEMBERS}
    return Entry(entry.term, commands[entry.kind] if entry.kind in commands else int(entry.data))
