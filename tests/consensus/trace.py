"""Messages and the state of a node, a line each."""

from __future__ import annotations

from toystore.consensus.messages import (
    Append,
    AppendReply,
    Ask,
    Entry,
    Heartbeat,
    HeartbeatReply,
    Message,
    Ping,
    PreVote,
    Standing,
    Vote,
    VoteReply,
)
from toystore.consensus.node import Node
from toystore.consensus.views import View


def short(name: str) -> str:
    """order-1 is 1, catalog-1 is c1, front-1 is f1."""
    role, _, number = name.partition("-")
    return {"order": "", "catalog": "c", "front": "f"}[role] + number


def terms(entries: tuple[Entry, ...]) -> str:
    return "[" + " ".join(f"{entry.index}/{entry.term}" for entry in entries) + "]"


def text(message: Message) -> str:
    head = f"{short(message.sender)}>{short(message.to)} {type(message).__name__} t{message.term}"
    match message:
        case PreVote():
            marks = [
                "transfer" if isinstance(message, Vote) and message.transfer else "",
                "empty" if message.empty else "",
            ]
            return " ".join([head, f"last {message.last_index}/{message.last_term}", *filter(None, marks)])
        case VoteReply():
            empty = " empty" if message.empty else ""
            return f"{head} {'pre ' if message.pre else ''}{'yes' if message.granted else 'no'}{empty}"
        case Append():
            place = f"after {message.prev_index}/{message.prev_term} {terms(message.entries)}"
            return f"{head} #{message.seq} {place} commit {message.commit}"
        case AppendReply(rejected=True):
            hint = f"{message.hint_index}/{message.hint_term}"
            return f"{head} #{message.seq} refused after {message.match}, perhaps after {hint}"
        case AppendReply():
            return f"{head} #{message.seq} match {message.match}"
        case Heartbeat():
            return f"{head} #{message.seq} commit {message.commit}"
        case HeartbeatReply():
            return f"{head} #{message.seq}"
        case Ping():
            return f"{head} #{message.seq} {view_text(message.view)}"
        case Standing():
            marks = ["leads" if message.leads else "", "" if message.fit else "unfit", "empty" if message.empty else ""]
            return " ".join([head, f"#{message.seq}", view_text(message.view), *filter(None, marks)])
        case Ask():
            return f"{head} v{message.version}: {short(message.leader)} of {' '.join(map(short, message.in_sync))}"
        case _:
            return head


def view_text(view: View | None) -> str:
    """Generation (where there was a loss), version, epoch, leader and who is in sync."""
    if view is None:
        return "no view"
    generation = f"g{view.generation} " if view.generation else ""
    return f"{generation}v{view.version} e{view.epoch} {short(view.leader)} of {' '.join(map(short, view.in_sync))}"


def state(node: Node) -> str:
    """Role, term and log; a stretch of one term in the log is `first..last/term`."""
    log, stretches = node.log, []
    for index in range(log.base_index + 1, log.last_index + 1):
        term = log.term_at(index)
        if stretches and stretches[-1][2] == term:
            stretches[-1][1] = index
        else:
            stretches.append([index, index, term])
    shown = " ".join(f"{a}..{b}/{t}" if a != b else f"{a}/{t}" for a, b, t in stretches)
    base = f"{log.base_index}/{log.base_term}: " if log.base_index else ""
    named = "" if node.named or node.role is node.role.LEARNER else ", not named"
    return f"{node.role.value} t{node.hard_state.term} log {base}[{shown}] commit {log.commit} applied {log.applied}{named}"
