"""Views: who leads and who is in sync, where an appointing front end decides it (`election = "appointed"`).

The one who decides keeps the latest view on disk, the *register* of views (`register.py`); replicas keep the highest that
they have been told. The idea is that of a configuration kept outside of the group it describes: Lamport, Malkhi and Zhou,
"Vertical Paxos and primary-backup replication", PODC 2009, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

NodeId = str


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

    def replaces(self, known: View | None) -> bool:
        """May a replica that knows `known` act on this one? Never on a lower one, on an equal one with other content, or
        on one of a register that it does not know."""
        if known is None:
            return True
        return self.place > known.place and known.register in (self.register, *self.taken_over)
