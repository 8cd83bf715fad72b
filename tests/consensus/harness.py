"""A deterministic network of consensus nodes with disks that can stall, lose and forget.

Nothing here waits or draws at random: a test says what ticks, what is delivered, lost, held or doubled, and who crashes.
Safety is checked at every step, whatever the test is about:

- one leader a term; all nodes apply the same entries, in order, without a gap (Raft figure 3);
- nobody applies what its own disk does not hold, or what too few disks hold;
- no message reveals a term, a vote or an entry that is not on its sender's disk.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from attrs import Factory, define, field

from tests.consensus.disk import Disk
from tests.consensus.trace import short, text, view_text
from toystore.consensus.log import Log
from toystore.consensus.membership import encode_members
from toystore.consensus.messages import (
    Append,
    AppendReply,
    Entry,
    HardState,
    Kind,
    Message,
    NodeId,
    PreVote,
    SnapshotMeta,
    Vote,
    VoteReply,
)
from toystore.consensus.node import Limits, Node, NodeConfig, Ready, Role

ENOUGH = 20_000
"""Messages delivered in one go, beyond which nodes can only be going round in circles."""


@define
class Replica:
    """One node, its disk, and what it has told of itself. `node` is None while it is down."""

    config: NodeConfig
    disk: Disk
    node: Node | None = None
    stalled: bool = False
    queue: list[Ready] = Factory(list)
    """Disk work that a stalled disk has not carried out."""
    role: Role | None = None
    reads: dict[int, int] = Factory(dict)
    """Confirmed reads: token and index."""
    lost_reads: list[int] = Factory(list)
    snapshots: list[NodeId] = Factory(list)
    """Who needs a snapshot from here."""

    @property
    def up(self) -> Node:
        assert self.node is not None, f"{self.config.id} is down"
        return self.node


@define
class Network:
    """Names are short here: "1" is order-1, "c1" is catalog-1. What happens is told, line by line, to `tell`."""

    replicas: dict[str, Replica]
    seed: int
    tell: Callable[[str], None] = field(default=lambda line: None)
    wires: list[Message] = Factory(list)
    """Under way, in the order sent."""
    cut: set[tuple[str, str]] = Factory(set)
    """Links, one way each, on which messages are lost."""
    held: set[tuple[str, str]] = Factory(set)
    """Links on which messages wait."""
    history: dict[int, Entry] = Factory(dict)
    """All that was applied by anyone."""
    leaders: dict[int, str] = Factory(dict)
    """Who led in each term."""
    lives: int = 0

    @classmethod
    def of(cls, voters: int = 3, learners: int = 0, seed: int = 1, limits: Limits | None = None, **more: object) -> Network:
        """A cluster of empty disks, all started."""
        voter_ids = tuple(f"order-{i}" for i in range(1, voters + 1))
        learner_ids = tuple(f"catalog-{i}" for i in range(1, learners + 1))
        replicas = {
            short(node): Replica(
                NodeConfig(node, voter_ids, learner_ids, limits=limits or Limits(), **more),  # type: ignore[arg-type]
                Disk(f"u{short(node)}"),
            )
            for node in (*voter_ids, *learner_ids)
        }
        network = cls(replicas, seed)
        for name in replicas:
            network.start(name)
        return network

    # Nodes ------------------------------------------------------------------------------------------------------

    def node(self, name: str) -> Node:
        return self.replicas[name].up

    def start(self, name: str) -> None:
        replica, self.lives = self.replicas[name], self.lives + 1
        disk = replica.disk
        assert replica.node is None
        replica.node = Node(
            replica.config,
            random.Random(f"{self.seed} {name} {self.lives}"),
            uuid=disk.uuid,
            hard_state=disk.hard_state,
            log=Log(*disk.base, disk.entries, disk.applied),
            members=disk.members,
            refilling=disk.refilling,
        )
        replica.role = replica.node.role

    def crash(self, name: str) -> None:
        replica = self.replicas[name]
        replica.node, replica.stalled = None, False
        replica.queue.clear()
        replica.disk.lose_unsynced()

    def restart(self, name: str) -> None:
        self.crash(name)
        self.start(name)

    def wipe(self, name: str) -> None:
        """An empty disk in the place of the old one; the node is down, or goes down."""
        self.crash(name)
        self.replicas[name].disk = Disk(self.replicas[name].disk.uuid + "'")

    def put_aside(self, name: str) -> None:
        """Its disk is found to be broken: it comes back with an empty one, and knows that it is not new."""
        self.wipe(name)
        self.replicas[name].disk.refilling = True
        self.start(name)

    def forget(self, name: str, last: int) -> None:
        """The disk lies: what it had said was synced, beyond `last`, is gone."""
        self.crash(name)
        disk = self.replicas[name].disk
        del disk.entries[last - disk.base[0] :]
        assert disk.applied <= last

    def write(self, name: str, terms: Sequence[int], *, term: int = 0, vote: str = "", applied: int = 0) -> None:
        """Start `name` again from a disk with entries of these terms, the first of them the founding one."""
        self.crash(name)
        replica = self.replicas[name]
        voters = {voter: f"u{short(voter)}" for voter in replica.config.voters}
        data = [encode_members("raft", voters), *(f"{i}/{t}".encode() for i, t in enumerate(terms[1:], 2))]
        entries = [Entry(i, t, Kind.MEMBERS if i == 1 else Kind.COMMAND, data[i - 1]) for i, t in enumerate(terms, 1)]
        disk = replica.disk = Disk(f"u{name}", HardState(term or terms[-1], f"order-{vote}" if vote else None))
        disk.save(None, entries)
        for entry in entries[:applied]:
            disk.apply(entry)
            self.history.setdefault(entry.index, entry)
        disk.save(None, ())
        self.start(name)

    # Time and the wires -----------------------------------------------------------------------------------------

    def tick(self, names: Iterable[str] = (), times: int = 1) -> None:
        """Let time pass at these nodes (all that are up); nothing is delivered."""
        for _ in range(times):
            for name in names or self.replicas:
                if self.replicas[name].node is not None:
                    self.node(name).tick()
                    self.pump(name)

    def run(self, ticks: int) -> None:
        """Let time pass everywhere, and deliver all there is after each tick."""
        for _ in range(ticks):
            self.tick()
            self.deliver()

    def time_out(self, name: str) -> None:
        """Let time pass at `name` until it campaigns."""
        for _ in range(200):
            if self.node(name).campaigning or self.node(name).leadership:
                return
            self.tick([name])
        raise AssertionError(f"{name} does not campaign")

    def elect(self, name: str) -> Node:
        """Make `name` the leader, by nothing but time and messages."""
        self.time_out(name)
        self.deliver()
        self.run(10)
        assert self.node(name).role is Role.LEADER
        return self.node(name)

    def elect_by(self, name: str, voter: str) -> Node:
        """Make `name` the leader by the vote of `voter`; nothing that it says as the leader is delivered."""
        self.time_out(name)
        for _ in range(10):
            if self.node(name).leadership is not None:
                return self.node(name)
            self.deliver((name, voter))
            self.deliver((voter, name), limit=1)
        raise AssertionError(f"{voter} does not vote for {name}")

    def deliver(self, link: tuple[str, str] | None = None, limit: int = ENOUGH) -> int:
        """Deliver what is under way on `link`, and, where that is None, on all and what comes of it. How many it was."""
        if link is not None:
            chosen = [m for m in self.wires if (short(m.sender), short(m.to)) == link][:limit]
            for message in chosen:
                self._hand_over(message)
            return len(chosen)
        count = 0
        while message := next((m for m in self.wires if self._link(m) not in self.held), None):
            self._hand_over(message)
            count += 1
            assert count < ENOUGH, "messages go round in circles"
        return count

    def lose(self, link: tuple[str, str] | None = None) -> None:
        """Everything under way (on `link`) is lost."""
        self.wires = [m for m in self.wires if link not in (None, self._link(m))]

    def double(self, link: tuple[str, str]) -> None:
        self.wires += [m for m in self.wires if self._link(m) == link]

    def isolate(self, name: str) -> None:
        for other in self.replicas:
            if other != name:
                self.cut |= {(name, other), (other, name)}

    @staticmethod
    def _link(message: Message) -> tuple[str, str]:
        return short(message.sender), short(message.to)

    def _hand_over(self, message: Message) -> None:
        self.wires.remove(message)
        receiver = self.replicas[short(message.to)]
        if self._link(message) in self.cut or receiver.node is None:
            self.tell(f"lost {text(message)}")
            return
        self.tell(text(message))
        receiver.node.step(message)
        self.pump(short(message.to))

    # What a node wants done -------------------------------------------------------------------------------------

    def propose(self, name: str, *data: str) -> range | None:
        indexes = self.node(name).propose([item.encode() for item in data])
        self.pump(name)
        return indexes

    def pump(self, name: str) -> None:
        """Do what the node says, in the order it says."""
        replica = self.replicas[name]
        while replica.node is not None and not (ready := replica.node.ready()).nothing:
            self._note_role(name, replica)
            self.wires += ready.send
            self._check_sent(replica, ready.send)
            for token, index in ready.reads:
                self.tell(f"  {name} may read {token} at {index}")
                replica.reads[token] = index
            for token in ready.lost_reads:
                self.tell(f"  {name} lost read {token}")
                replica.lost_reads.append(token)
            for peer, since in ready.snapshots:
                self.tell(f"  {name} has only a snapshot for {short(peer)}, which has applied {since}")
                replica.snapshots.append(peer)
            if replica.stalled and (ready.must_save or ready.apply):
                replica.queue.append(ready)
            else:
                self._use_disk(name, replica, ready)
            if ready.forgot:
                replica.disk.uuid += "'"
                self.tell(f"  {name} has forgotten, and is {replica.disk.uuid} now")
                replica.node.renewed(replica.disk.uuid)
        self._note_role(name, replica)

    def _use_disk(self, name: str, replica: Replica, ready: Ready) -> None:
        disk, node = replica.disk, replica.up
        if ready.must_save:
            disk.save(ready.hard_state, ready.entries)
            if ready.hard_state is not None:
                vote = f", vote {short(ready.hard_state.vote)}" if ready.hard_state.vote else ""
                view = f", {view_text(ready.hard_state.view)}" if ready.hard_state.view else ""
                promise = f", promised to {ready.hard_state.promised[1]}" if ready.hard_state.promised[0] else ""
                self.tell(f"  {name} saves term {ready.hard_state.term}{vote}{view}{promise}")
            if ready.entries:
                self.tell(f"  {name} saves {' '.join(f'{e.index}/{e.term}' for e in ready.entries)}")
            node.advance()
        self.wires += ready.reply
        self._check_replies(replica, ready.reply)
        if ready.apply:
            for entry in ready.apply:
                self._apply(replica, entry)
            node.applied(disk.applied)
            self.tell(f"  {name} applies {ready.apply[0].index}..{ready.apply[-1].index}")

    def stall(self, name: str) -> None:
        self.replicas[name].stalled = True

    def unstall(self, name: str) -> None:
        replica = self.replicas[name]
        replica.stalled = False
        while replica.queue:
            self._use_disk(name, replica, replica.queue.pop(0))
        self.pump(name)

    def compact(self, name: str, index: int) -> None:
        self.replicas[name].disk.compact(index)
        self.node(name).log.compact(index)

    def send_snapshot(self, leader: str, peer: str, arrives: bool = True) -> None:
        """End the transfer that `leader` was asked for."""
        source, target = self.replicas[leader], self.replicas[peer]
        source.snapshots.remove(target.config.id)
        term = source.disk.term_at(source.disk.applied)
        assert term is not None
        meta = SnapshotMeta(source.disk.applied, term, source.disk.members)
        if arrives:
            assert target.up.lacks(meta)
            target.disk.install(meta)
            target.up.restore(meta)
            self.tell(f"  {peer} has installed a snapshot up to {meta.index}/{meta.term}")
            self.pump(peer)
        source.up.snapshot_sent(target.config.id, meta.index if arrives else None)
        self.pump(leader)

    # What must always be true -----------------------------------------------------------------------------------

    def _note_role(self, name: str, replica: Replica) -> None:
        node = replica.node
        if node is None or node.role is replica.role:
            return
        replica.role = node.role
        reason = f" ({node.gave_up})" if node.gave_up and node.role is Role.FOLLOWER else ""
        node.gave_up = ""
        self.tell(f"  {name} is {node.role.value} in term {node.hard_state.term}{reason}")
        if node.role is Role.LEADER:
            assert self.leaders.setdefault(node.hard_state.term, name) == name, "two leaders in one term"
            have = {i for i in self.history if node.log.term_at(i) in (self.history[i].term, None)}
            assert have == set(self.history), "a leader lacks what was committed (Raft 5.4.3)"

    def _apply(self, replica: Replica, entry: Entry) -> None:
        known = self.history.setdefault(entry.index, entry)
        assert known == entry, f"{replica.config.id} applied {entry}, another one {known}"
        replica.disk.apply(entry)

    def _check_sent(self, replica: Replica, messages: Iterable[Message]) -> None:
        """At once leave only messages of a leader, whose term and vote are on its disk."""
        for message in messages:
            assert not isinstance(message, AppendReply | VoteReply | PreVote)
            assert message.term <= replica.disk.hard_state.term, f"unsaved term: {message}"

    def _check_replies(self, replica: Replica, messages: Iterable[Message]) -> None:
        disk = replica.disk
        for message in messages:
            pre = isinstance(message, PreVote | VoteReply) and not isinstance(message, Vote)
            assert pre or message.term <= disk.hard_state.term, f"unsaved term: {message}"
            match message:
                case VoteReply(pre=False):
                    assert message.term <= disk.hard_state.term, f"unsaved term: {message}"
                    voted = message.term < disk.hard_state.term or disk.hard_state.vote == message.to
                    assert voted or not message.granted, f"unsaved vote: {message}"
                case Vote() if message.term == disk.hard_state.term:
                    assert disk.hard_state.vote == message.sender, f"unsaved vote: {message}"
                case AppendReply(rejected=False) if message.term == disk.hard_state.term:
                    assert disk.last >= message.match, f"unsaved entries: {message}"
                case _:
                    pass


def appends(messages: Iterable[Message]) -> list[Append]:
    return [message for message in messages if isinstance(message, Append)]
