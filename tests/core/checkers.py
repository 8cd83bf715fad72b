"""What must never happen in the core, beside `simulation.checkers`: as there, one small class for each promise."""

from __future__ import annotations

from tests.core.disk import Disk
from tests.simulation.checkers import Violation
from toystore.consensus.messages import AppendReply, Message, PreVote, Standing, Vote, VoteReply


class NothingUnsaved:
    """Term, vote, view and entries are on disk before any message that reveals them (design 3; Raft figure 2)."""

    def leaves(self, disk: Disk, message: Message) -> None:
        """`disk` is that of the sender."""
        kind, known = type(message), disk.hard_state
        if kind is PreVote or (kind is VoteReply and message.pre):  # type: ignore[attr-defined]
            return
        if message.term > known.term:
            raise Violation(f"term {message.term} is revealed, on disk is {known.term}: {message}")
        if kind is AppendReply:
            assert isinstance(message, AppendReply)
            if not message.rejected and message.term == known.term and disk.state.last_index() < message.match:
                raise Violation(f"entries up to {disk.state.last_index()} are on disk: {message}")
        elif kind is VoteReply:
            assert isinstance(message, VoteReply)
            if message.granted and message.term == known.term and known.vote != message.to:
                raise Violation(f"the vote on disk is for {known.vote}: {message}")
        elif kind is Vote:
            if message.term == known.term and known.vote != message.sender:
                raise Violation(f"the vote on disk is for {known.vote}: {message}")
        elif kind is Standing:
            assert isinstance(message, Standing)
            place = known.view.place if known.view else (-1, 0)
            if message.promised > known.promised or (message.view is not None and message.view.place > place):
                raise Violation(f"on disk is promised {known.promised}, {known.view}: {message}")


class Acknowledged:
    """What a client was told is at the index that it was told, and stays there."""

    def __init__(self) -> None:
        self._committed: dict[int, bytes] = {}

    def committed(self, index: int, data: bytes) -> None:
        known = self._committed.setdefault(index, data)
        if known != data:
            raise Violation(f"{data!r} is committed at {index}, where {known!r} was")

    def told(self, data: bytes, index: int) -> None:
        known = self._committed.get(index)
        if known != data:
            raise Violation(f"{data!r} was acknowledged at {index}; what was committed there is {known!r}")
