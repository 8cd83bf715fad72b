"""Scenarios in text, with the trace they must give beneath each block of commands (the style of etcd's raft).

Each file of `transcripts/` is a list of blocks: comments and commands, a line `----`, and the trace. After a change of
behaviour that is meant, `pytest tests/consensus --update-transcripts` writes the new traces, to be read as a diff.

`run` tells only what nodes did, `deliver`, `tick` and the rest tell every message as it arrives. Links are `1>2`; `*`
stands for any node; commands are the methods of `Scenario`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.consensus.harness import Network
from tests.consensus.realm import Realm
from tests.consensus.trace import state, text
from toystore.consensus.node import Limits, NotLeading

HERE = Path(__file__).parent / "transcripts"
Link = tuple[str, str]


class Scenario:
    """Each public method is a command; it gives the lines that it alone has to tell."""

    def __init__(self) -> None:
        self.trace: list[str] = []
        self.network = Network.of(1)

    def obey(self, line: str) -> None:
        command, *arguments = line.split()
        try:
            self.trace += getattr(self, command)(*arguments) or ()
        except NotLeading:
            self.trace.append(f"  {arguments[0]} does not lead")

    def cluster(self, *settings: str) -> None:
        values = {key: int(value) for key, value in (setting.split("=") for setting in settings)}
        limits = {name: values.pop(name) for name in list(values) if name in Limits.__annotations__}
        self.network = Network.of(limits=Limits(**limits), **values)
        self.network.tell = self.trace.append

    def appointed(self, *settings: str) -> None:
        """Where a register of views, f1, appoints the leader."""
        values = {key: int(value) for key, value in (setting.split("=") for setting in settings)}
        self.network = Realm.appointed(**values)
        self.network.tell = self.trace.append

    @property
    def realm(self) -> Realm:
        assert isinstance(self.network, Realm), "the scenario must begin with `appointed`"
        return self.network

    def gone(self, *names: str) -> None:
        """They end, and their connections are refused."""
        for name in names:
            self.network.crash(name)
            self.realm.gone(name)

    def register(self, verb: str) -> None:
        """crash, start, lose (its disk; another starts), stall"""
        if verb == "stall":
            self.realm.register_stalled = True
        else:
            {"crash": self.realm.crash_register, "start": self.realm.start_register, "lose": self.realm.lose_register}[
                verb
            ]()

    def start(self, *names: str) -> None:
        for name in names:
            self.network.start(name)

    def why(self) -> list[str]:
        """What the register waits for."""
        assert self.realm.register is not None
        return [f"  f1: {self.realm.register.waits_for() or 'nothing'}"]

    def accept_loss(self, name: str) -> None:
        self.realm.accept_loss(name)

    def disk(self, name: str, terms: str, *rest: str) -> None:
        """disk 2 1,1,4 term=5 vote=3 applied=1"""
        settings = dict(setting.split("=") for setting in rest)
        self.network.write(
            name,
            [int(term) for term in terms.split(",")],
            term=int(settings.get("term", 0)),
            vote=settings.get("vote", ""),
            applied=int(settings.get("applied", 0)),
        )

    # Time and messages

    def tick(self, name: str, times: str = "1") -> None:
        self.network.tick([] if name == "*" else [name], int(times))

    def run(self, ticks: str) -> None:
        before = len(self.trace)
        self.network.run(int(ticks))
        self.trace[before:] = [line for line in self.trace[before:] if line.startswith("  ")]

    def timeout(self, name: str) -> None:
        self.network.time_out(name)

    def elect(self, name: str) -> None:
        """Make it the leader, and tell nothing."""
        before = len(self.trace)
        self.network.elect(name)
        del self.trace[before:]

    def deliver(self, link: str = "*", count: str = "1000") -> None:
        self.network.deliver(None if link == "*" else _link(link), int(count))

    def drop(self, link: str = "*") -> None:
        self.network.lose(None if link == "*" else _link(link))

    def duplicate(self, link: str) -> None:
        self.network.double(_link(link))

    def reverse(self) -> None:
        self.network.wires.reverse()

    def wires(self) -> list[str]:
        return [f"  under way: {text(message)}" for message in self.network.wires]

    def hold(self, *links: str) -> None:
        self.network.held |= {link for pattern in links for link in self._links(pattern)}

    def release(self) -> None:
        self.network.held.clear()

    def partition(self, *links: str) -> None:
        self.network.cut |= {link for pattern in links for link in self._links(pattern)}

    def heal(self) -> None:
        self.network.cut.clear()

    def _links(self, pattern: str) -> list[Link]:
        """`1>2` is one way, `1-2` both, `1-*` all of 1's."""
        both = "-" in pattern
        a, b = pattern.split("-" if both else ">")
        pairs = [(x, y) for x in self._names(a) for y in self._names(b) if x != y]
        return pairs + [(y, x) for x, y in pairs if both]

    def _names(self, name: str) -> list[str]:
        return [*self.network.replicas, "f1"] if name == "*" else [name]

    # Disks and processes

    def crash(self, *names: str) -> None:
        for name in names:
            self.network.crash(name)

    def restart(self, *names: str) -> None:
        for name in names:
            self.network.restart(name)

    def wipe(self, name: str) -> None:
        self.network.wipe(name)

    def forget(self, name: str, last: str) -> None:
        self.network.forget(name, int(last))

    def stall(self, name: str) -> None:
        self.network.stall(name)

    def unstall(self, name: str) -> None:
        self.network.unstall(name)

    def unwritable(self, name: str) -> None:
        self.network.node(name).set_writable(False)
        self.network.pump(name)

    def writable(self, name: str) -> None:
        self.network.node(name).set_writable(True)

    def compact(self, name: str, index: str) -> None:
        self.network.compact(name, int(index))

    def snapshot(self, leader: str, peer: str, fails: str = "") -> None:
        self.network.send_snapshot(leader, peer, arrives=not fails)

    # Clients

    def propose(self, name: str, *data: str) -> list[str]:
        indexes = self.network.propose(name, *data)
        return [] if indexes else [f"  {name} turns it away"]

    def read(self, name: str, token: str) -> None:
        self.network.node(name).read_index(int(token))
        self.network.pump(name)

    def transfer(self, name: str, target: str = "") -> list[str]:
        chosen = self.network.node(name).transfer(f"order-{target}" if target else None)
        self.network.pump(name)
        return [] if chosen else [f"  {name} has nobody to hand over to"]

    def unreachable(self, name: str, peer: str) -> None:
        self.network.node(name).unreachable(self.network.replicas[peer].config.id)
        self.network.pump(name)

    # Looking

    def status(self, *names: str) -> list[str]:
        replicas = {name: self.network.replicas[name] for name in names or self.network.replicas}
        return [f"  {name} {state(replica.node) if replica.node else 'down'}" for name, replica in replicas.items()]

    def members(self, name: str) -> list[str]:
        members = self.network.node(name).members
        return ["  " + ", ".join(f"{node} {m.uuid} by entry {m.index}" for node, m in sorted(members.items()))]

    def peers(self, name: str) -> list[str]:
        leadership = self.network.node(name).leadership
        assert leadership is not None
        return [
            f"  {peer} {p.flow.value} match {p.match} next {p.next} under way {list(p.inflight)}"
            f"{'' if leadership.counted(peer) or peer.startswith('catalog') else ', does not count'}"
            for peer, p in leadership.peers.items()
        ]


def _link(pattern: str) -> Link:
    sender, receiver = pattern.split(">")
    return sender, receiver


def blocks(transcript: str) -> Iterator[tuple[list[str], list[str]]]:
    """Commands with comments, and the trace written beneath."""
    commands: list[str] = []
    trace: list[str] | None = None
    for line in [*transcript.splitlines(), ""]:
        if line == "----":
            trace = []
        elif trace is not None and line:
            trace.append(line)
        elif trace is not None:
            yield commands, trace
            commands, trace = [], None
        elif line or commands:
            commands.append(line)
    assert not any(commands), f"commands without a trace: {commands}"


def replay(transcript: str) -> str:
    scenario, told = Scenario(), []
    for commands, _ in blocks(transcript):
        scenario.trace.clear()
        for line in commands:
            if line and not line.startswith("#"):
                scenario.obey(line)
        told.append("\n".join([*commands, "----", *(scenario.trace or ["  nothing"])]))
    return "\n\n".join(told) + "\n"


@pytest.mark.parametrize("path", sorted(HERE.glob("*.txt")), ids=lambda path: path.stem)
def test_transcript(path: Path, request: pytest.FixtureRequest) -> None:
    written = path.read_text()
    told = replay(written)
    if request.config.getoption("--update-transcripts"):
        path.write_text(told)
    else:
        assert told.splitlines() == written.splitlines()


def test_there_are_transcripts() -> None:
    assert len(list(HERE.glob("*.txt"))) >= 15
