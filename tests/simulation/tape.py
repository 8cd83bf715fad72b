"""What was said and done in a run, in the order in which it happened: what `diagram` draws."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from attrs import frozen

from tests.simulation.cluster import REGISTRAR
from tests.simulation.plan import Plan
from toystore.consensus.messages import (
    Append,
    AppendReply,
    Ask,
    Heartbeat,
    HeartbeatReply,
    Message,
    Ping,
    PreVote,
    Standing,
    TimeoutNow,
    Vote,
    VoteReply,
)
from toystore.consensus.views import View
from toystore.replication.snapshots import SnapshotChunk, SnapshotReply


@frozen
class Sent:
    """A message that left, and the delays of its copies; none where it was lost."""

    at: float
    sender: str
    to: str
    text: str
    delays: tuple[float, ...]
    usual: bool = False
    """It says nothing new: a heartbeat with the commit of before, a ping with the view of before."""


@frozen
class Noted:
    """Something that `node` did, or that happened to it; "" where it is about all."""

    at: float
    node: str
    text: str


Event = Sent | Noted


class Tape:
    """`nodes` are the columns of a diagram, in order. What a run tells of itself is given to `line` and `message`."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self.nodes = list(nodes)
        self.events: list[Event] = []
        self._views: dict[tuple[str, str], str] = {}
        self._commits: dict[tuple[str, str], int] = {}

    @classmethod
    def of(cls, plan: Plan) -> Tape:
        """An empty one, with all nodes of the plan."""
        shape = plan.shape
        register = [REGISTRAR] if plan.election == "appointed" else []
        fronts = [f"front-{n}" for n in range(1, shape.fronts + 1) if f"front-{n}" not in register]
        names = [*(f"order-{n + 1}" for n in range(shape.voters)), *(f"catalog-{n + 1}" for n in range(shape.learners))]
        return cls([*register, *names, *fronts] if register else [*fronts, *names])

    def message(self, at: float, message: Message, delays: Sequence[float]) -> None:
        pair, text = (message.sender, message.to), words(message)
        usual = isinstance(message, (Heartbeat, HeartbeatReply)) or (isinstance(message, Append) and not message.entries)
        if isinstance(message, (Ping, Standing)):
            usual = self._views.get(pair) == text
            self._views[pair] = text
        elif isinstance(message, (Append, Heartbeat)):
            usual = usual and self._commits.get(pair, 0) == message.commit
            self._commits[pair] = message.commit
        self.events.append(Sent(at, message.sender, message.to, text, tuple(delays), usual))

    def line(self, line: str) -> None:
        """One of the trace: the time, and what happened."""
        at, _, text = line.strip().partition(" ")
        text = _VIEW.sub(lambda view: _short(*view.group(1, 2, 3, 4)), text)
        node, _, rest = text.partition(" ")
        if text.startswith("the register "):
            node, rest = REGISTRAR, text.removeprefix("the register ")
        node = node.removesuffix(":")
        known = node in self.nodes
        self.events.append(Noted(float(at), node if known else "", rest if known else text))


def words(message: Message) -> str:
    """A message in a few words. Terms (epochs) are t3, views v5, entries by their indexes."""
    term = f"t{message.term}"
    match message:
        case Vote() | PreVote():
            asked = "Vote?" if isinstance(message, Vote) else "PreVote?"
            return f"{asked} {term}, log {message.last_index}/t{message.last_term}"
        case VoteReply():
            return f"{'yes' if message.granted else 'no'}{' (pre)' if message.pre else ''} {term}"
        case Append(entries=entries):
            told = f"{entries[0].index}..{entries[-1].index}" if entries else "nothing"
            terms = f"/t{entries[-1].term}" if entries else ""
            return f"Append {told}{terms} after {message.prev_index}, commit {message.commit}, {term}"
        case AppendReply():
            return f"{'not after' if message.rejected else 'has'} {message.match} {term}"
        case Heartbeat():
            return f"Heartbeat {term}, commit {message.commit}"
        case HeartbeatReply():
            return f"hears {term}"
        case TimeoutNow():
            return f"Take over! {term}"
        case Ping(view=view, claim=claim):
            return f"Ping {_view(view)}{f' claim {claim[0]}' if claim[0] else ''}"
        case Standing(view=view):
            marks = [word for word in ("leads", "fit", "empty") if getattr(message, word)]
            promised = f" promised {message.promised[0]}" if message.promised[0] else ""
            return f"has {_view(view)} {' '.join(marks)}{promised}"
        case Ask():
            return f"Ask v{message.version + 1}: {message.leader} leads, in sync {_numbers(message.in_sync)}"
        case SnapshotChunk():
            return f"Snapshot @{message.info.meta.index}, from byte {message.offset}"
        case SnapshotReply():
            return f"snapshot: {'installed' if message.installed else message.refused or f'has {message.offset}'}"
        case _:
            return f"{type(message).__name__} {term}"


_VIEW = re.compile(
    r"View\(register='[^']*', generation=\d+, version=(\d+), epoch=(\d+), leader='([^']*)', in_sync={([^}]*)}[^)]*\)\)"
)
"""A view as it is written in a trace."""


def _short(version: str, epoch: str, leader: str, in_sync: str) -> str:
    members = re.findall("'([^']*)': '", in_sync)
    return f"v{version}({leader}, e{epoch}, sync {_numbers(members)})"


def _view(view: View | None) -> str:
    return "no view" if view is None else _short(str(view.version), str(view.epoch), view.leader, str(dict(view.in_sync)))


def _numbers(nodes: Iterable[str]) -> str:
    return "+".join(sorted(node.rpartition("-")[2] for node in nodes))
