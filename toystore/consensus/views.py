"""Views: who leads and who is in sync, where an appointing front end decides it (`election = "appointed"`).

The one who decides keeps the latest view on disk, the *register* of views (`register.py`); replicas keep the highest that
they have been told. The idea is that of a configuration kept outside of the group it describes: Lamport, Malkhi and Zhou,
"Vertical Paxos and primary-backup replication", PODC 2009, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

NodeId = str

Claim = tuple[int, str]
"""A number, and the id of the register that claims to be the one: a ballot, as Paxos has them. A replica that has promised
a claim takes no view of another register any more, unless that one has taken over from the claimant."""
NO_CLAIM: Claim = (0, "")


@frozen
class View:
    """`register` is the id of the register that stored it, `taken_over` are those before it whose views it continues.

    `version` rises with every change and `epoch` with every new leader; the epoch plays the part of Raft's term.
    `generation` rises where an operator accepts a loss: whoever holds an older one takes a new state. `in_sync` are the
    replicas that have everything committed, by name, with the uuid of the storage that has it; the leader is one.
    """

    register: str
    generation: int
    version: int
    epoch: int
    leader: NodeId
    in_sync: Mapping[NodeId, str]
    taken_over: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[int, int]:
        """Views compare by this."""
        return self.generation, self.version

    def follows(self, register: str) -> bool:
        """Is it a view of that register, or of one that has taken over from it?"""
        return register in (self.register, *self.taken_over)

    def replaces(self, known: View | None, promised: Claim = NO_CLAIM) -> bool:
        """May a replica that knows `known` act on this one? Never on a lower one, on an equal one with other content, or
        on one of a register that it does not know, or that was taken over."""
        if promised != NO_CLAIM and not self.follows(promised[1]):
            return False
        return known is None or (self.place > known.place and self.follows(known.register))
