"""What must never happen where leaders are appointed (design 3.1): a checker for each rule of the views.

As in checkers.py: each is told what is seen, and raises `Violation` at the first thing that can not be.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from toystore.consensus.views import View


class Violation(AssertionError):
    """A promise is broken; the text says which, by whom and how."""


class Views:
    """Where leaders are appointed (design 3.1): views are totally ordered, nobody has one that was not stored, who leads
    is named by one, and whatever is committed is on the disk of every replica in the in-sync set of the stored one."""

    def __init__(self) -> None:
        self._stored: dict[tuple[int, int], View] = {}
        self._leaders: dict[int, str] = {}
        self._held: dict[str, tuple[int, int]] = {}
        self.before: View | None = None
        self._lost: View | None = None
        self.present: View | None = None

    def stored(self, view: View) -> None:
        """The register has this one on its disk now."""
        if self._lost is not None and self._lost.place == view.place:
            self._void(self._lost)
        known, before = self._stored.setdefault(view.place, view), self.present
        if known != view:
            raise Violation(f"version {view.place} was stored as {known}, and as {view}")
        if before is not None and view.place <= before.place:
            raise Violation(f"{view} was stored after {before}")
        if view.leader not in view.in_sync:
            raise Violation(f"{view.leader} leads and is not in sync: {view}")
        if before is not None and view.epoch < before.epoch:
            raise Violation(f"the epoch goes back: {view} was stored after {before}")
        leader = self._leaders.setdefault(view.epoch, view.leader)
        if leader != view.leader:
            raise Violation(f"epoch {view.epoch} has two leaders, {leader} and {view.leader}")
        self.before, self.present = before, view

    def lost(self) -> None:
        """The register's disk is gone. If nobody has its last view, another register may store another one in its place;
        unless the last words of the first, which may be under way still, are heard before."""
        last = self.present
        if last is not None and self.before is not None and last.place not in self._held.values():
            self._lost, self.present = last, self.before

    def _void(self, lost: View) -> None:
        """Another one stands in its place: from now on nobody may have it."""
        del self._stored[lost.place]
        if self.before is None or lost.epoch != self.before.epoch:
            del self._leaders[lost.epoch]
        self._lost = None

    def told(self, view: View) -> None:
        """A message with this view leaves the register: it is stored by then (rule 1)."""
        if self._stored.get(view.place) != view:
            raise Violation(f"{view} is told, and was never stored")

    def held(self, node: str, view: View) -> None:
        """`node` has it on its disk (rule 2)."""
        if self._stored.get(view.place) != view:
            raise Violation(f"{node} holds {view}, which was never stored")
        if view.place < self._held.get(node, view.place):
            raise Violation(f"{node} goes back from {self._held[node]} to {view.place}")
        self._held[node] = view.place
        if view == self._lost:
            self.present, self._lost = view, None  # heard of before its register was replaced: it counts

    def forgot(self, node: str) -> None:
        """Its disk is another one."""
        self._held.pop(node, None)

    def leads(self, node: str, epoch: int) -> None:
        if self._leaders.get(epoch) != node:
            raise Violation(f"{node} leads in epoch {epoch}, which belongs to {self._leaders.get(epoch)}")

    def committed(
        self, index: int, disks: Mapping[str, str], holders: Sequence[str], asked: Sequence[Mapping[str, str]] = ()
    ) -> None:
        """`disks` are the uuids of all replicas' disks, `holders` those that have the entry on theirs; `asked` are the
        in-sync sets of views that the leader has asked for and not heard of yet (rule 4)."""
        assert self.present is not None
        counted = [node for node, uuid in self.present.in_sync.items() if disks[node] == uuid]
        lacking = [node for node in counted if node not in holders]
        if lacking or not counted:
            raise Violation(f"entry {index} is committed; {lacking or 'nobody'} in sync lacks it: {self.present}")
        for in_sync in asked:
            for node, uuid in in_sync.items():
                if disks[node] == uuid and node not in holders:
                    raise Violation(f"entry {index} is committed; {node} lacks it, and may be in sync by now: {in_sync}")


class Changes:
    """A view comes of the one before it in one of four ways (rules 1, 5, 6): another leader is appointed, of those that are
    in sync, and nothing else changes; the leader has asked, of this very version, for what is stored; a new register takes
    over and appoints a leader; an operator has accepted a loss."""

    def __init__(self) -> None:
        self._asked: list[tuple[str, int, int, str, dict[str, str]]] = []
        self._accepted: set[str] = set()
        self.present: View | None = None

    def asked(self, sender: str, epoch: int, version: int, leader: str, in_sync: Mapping[str, str]) -> None:
        """`sender`, in `epoch`, has asked for a view after `version`."""
        self._asked.append((sender, epoch, version, leader, dict(in_sync)))

    def accepted(self, leader: str) -> None:
        """An operator accepts what is lost if this one leads."""
        self._accepted.add(leader)

    def stored(self, view: View) -> None:
        before, self.present = self.present, view
        if before is None:
            return
        if view.generation != before.generation:
            self._another_generation(before, view)
        elif view.register != before.register:
            if not view.follows(before.register) or dict(view.in_sync) != dict(before.in_sync):
                raise Violation(f"register {view.register} does not go on from {before}: {view}")
        elif dict(view.in_sync) != dict(before.in_sync) or view.epoch == before.epoch:
            self._as_asked(before, view)
        if view.generation == before.generation:
            self._leader_was_in_sync(before, view)

    def _another_generation(self, before: View, view: View) -> None:
        if view.leader not in self._accepted:
            raise Violation(f"a new generation, and no operator has accepted a loss: {view} after {before}")
        if set(view.in_sync) != {view.leader}:
            raise Violation(f"the loss was accepted for {view.leader} alone: {view}")
        self._accepted.remove(view.leader)

    def _as_asked(self, before: View, view: View) -> None:
        wanted = (before.leader, before.epoch, before.version, view.leader, dict(view.in_sync))
        if wanted not in self._asked:
            raise Violation(f"nobody who leads asked for {view} after {before}; asked were {self._asked[-3:]}")
        if (view.epoch != before.epoch) != (view.leader != before.leader):
            raise Violation(f"a leader and an epoch begin together: {view} after {before}")

    def _leader_was_in_sync(self, before: View, view: View) -> None:
        if before.in_sync.get(view.leader) != view.in_sync[view.leader]:
            raise Violation(f"{view.leader} is to lead, and was not in sync from this storage: {view} after {before}")


class Offices:
    """Leadership ends with the process, and with a write that fails (rule 3); while the process goes on only by a higher
    epoch (rule 8); nobody leads by a view that is not the highest on its own disk (rule 2). A process is a node and the
    number of its start."""

    def __init__(self) -> None:
        self._offices: dict[int, tuple[str, int]] = {}
        self._over: set[int] = set()
        """Epochs whose leader has ended, or could not write."""

    def begins(self, node: str, life: int, epoch: int, held: View | None) -> None:
        """The process begins to lead `epoch`, with the view `held` on its disk."""
        self._offices.setdefault(epoch, (node, life))
        self.acts(node, life, epoch)
        if held is None or held.epoch != epoch or held.leader != node:
            raise Violation(f"{node} leads in epoch {epoch} with {held} on its disk")

    def acts(self, node: str, life: int, epoch: int) -> None:
        """It leads, commits, or something leaves it that only the leader of `epoch` sends."""
        if self._offices.get(epoch) != (node, life):
            raise Violation(f"start {life} of {node} acts as leader of epoch {epoch}; that is {self._offices.get(epoch)}")
        if epoch in self._over:
            raise Violation(f"{node} acts as leader of epoch {epoch} after it had ended, or a write had failed")

    def over(self, node: str, life: int) -> None:
        """The process has ended, or a write of it has failed: it may lead again, in another epoch."""
        self._over |= {epoch for epoch, process in self._offices.items() if process == (node, life)}

    def left(self, node: str, epoch: int, heard: int) -> None:
        """The process goes on and leads no more; `heard` is the highest epoch that it knows of, by a view or otherwise."""
        if epoch not in self._over and heard <= epoch:
            raise Violation(f"{node} leaves its office of epoch {epoch} and has heard of nothing higher")


class Followers:
    """A replica acts on no view, and follows no leader, that is lower than the highest view on its disk (rule 2)."""

    def __init__(self) -> None:
        self._epochs: dict[str, int] = {}

    def held(self, node: str, view: View) -> None:
        self._epochs[node] = max(view.epoch, self._epochs.get(node, 0))

    def forgot(self, node: str) -> None:
        """Its disk is another one."""
        self._epochs.pop(node, None)

    def takes(self, node: str, epoch: int) -> None:
        """It takes what the leader of `epoch` has sent. (To say so later, when a write has ended, is as if the network were
        slow.)"""
        if epoch < self._epochs.get(node, 0):
            raise Violation(f"{node} follows epoch {epoch} and has a view of epoch {self._epochs[node]} on its disk")


class Joining:
    """A replica is taken in only once the no-op of the epoch is committed and it has all that is committed on its disk
    (rule 5): the leader must not ask for it before. What is asked of another view than the present one is refused, and says
    nothing."""

    def __init__(self) -> None:
        self._opened: set[int] = set()
        self._committed = 0
        self.present: View | None = None

    def stored(self, view: View) -> None:
        self.present = view

    def committed(self, index: int, term: int) -> None:
        """An entry of this term (epoch)."""
        self._committed = max(index, self._committed)
        self._opened.add(term)

    def asked(
        self, epoch: int, version: int, in_sync: Mapping[str, str], disks: Mapping[str, str], holds: Mapping[str, int]
    ) -> None:
        """The leader of `epoch` asks for `in_sync` in the view after `version`. `disks` are the uuids of all disks, `holds`
        up to which index each has what is committed; another disk than the one named has lost it, which nobody can know
        yet."""
        view = self.present
        if view is None or (epoch, version) != (view.epoch, view.version):
            return
        for node in in_sync.keys() - view.in_sync.keys():
            if epoch not in self._opened:
                raise Violation(f"{node} is to join in epoch {epoch}, of which nothing is committed yet")
            if disks[node] == in_sync[node] and holds[node] < self._committed:
                raise Violation(f"{node} is to join and has up to {holds[node]}; {self._committed} is committed")


class Generations:
    """Whoever holds an older generation discards its state and takes a snapshot (rule 6), but for the one whose state was
    accepted; generations only rise."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self._accepted: dict[int, str] = {}

    def accepted(self, generation: int, node: str) -> None:
        """What this one has is what there is from this generation on."""
        known = self._accepted.setdefault(generation, node)
        if known != node:
            raise Violation(f"generation {generation} begins with the state of {known}, and with that of {node}")

    def holds(self, node: str, generation: int, snapshot: bool) -> None:
        """The state of `node` is of this generation; `snapshot`: it was all taken from another one just now."""
        before = self._held.get(node, 0)
        if generation < before:
            raise Violation(f"{node} goes back from generation {before} to {generation}")
        if generation > before and not snapshot and self._accepted.get(generation) != node:
            raise Violation(f"{node} carries its state of generation {before} over into {generation}")
        self._held[node] = generation

    def forgot(self, node: str) -> None:
        """Its disk is empty."""
        self._held.pop(node, None)


class Registers:
    """Who may store the first view of all, or go on from another register's (rule 7): the first needs an answer of every
    expected replica, each with an empty ledger; one that takes over needs the promise of every replica. Whoever has
    promised to follow a register takes no view of one that it has taken over from."""

    def __init__(self, replicas: Collection[str]) -> None:
        self._replicas = frozenset(replicas)
        self._promised: dict[str, str] = {}
        self._held: dict[str, View] = {}
        self.present: View | None = None

    def promised(self, node: str, register: str) -> None:
        """The promise is on its disk."""
        self._promised[node] = register

    def forgot(self, node: str) -> None:
        """Its disk is another one; the promise is gone with the other one."""
        self._promised.pop(node, None)
        self._held.pop(node, None)

    def stored(self, view: View, empty: Collection[str] = (), expected: Collection[str] | None = None) -> None:
        """`empty` are the replicas without a ledger, `expected` those that a first view waits for (None: all)."""
        if self.present is None or self.present.register != view.register:
            self._first_of(self.present, view, empty, expected)
        self.present = view

    def _first_of(self, before: View | None, view: View, empty: Collection[str], expected: Collection[str] | None) -> None:
        """The first view of a register."""
        asked = self._replicas if before is not None or expected is None else frozenset(expected)
        lacking = sorted(node for node in asked if self._promised.get(node) != view.register)
        if lacking:
            raise Violation(f"{view.register} stores its first view without the promise of {', '.join(lacking)}: {view}")
        if before is None:
            full = sorted(asked - set(empty))
            if full:
                raise Violation(f"{view.register} stores the first view of all, and {', '.join(full)} has a ledger: {view}")
        elif view.place <= before.place or not view.follows(before.register):
            raise Violation(f"{view.register} does not go on from {before}: {view}")

    def held(self, node: str, view: View) -> None:
        """`node` has the view on its disk; one that it had when it promised it may keep."""
        register, before = self._promised.get(node), self._held.get(node)
        if view != before and register is not None and not view.follows(register):
            raise Violation(f"{node} has promised to follow {register}, and takes {view}")
        self._held[node] = view
