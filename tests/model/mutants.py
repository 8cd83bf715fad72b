"""The protocol with one rule weakened. The search must find what each breaks: that shows that it can fail.

A mutant may break an argument of reduction.py; then it is searched without that reduction. Not among them, for without
them nothing breaks: the sender of an Ask (a version has one leader, and nobody else asks at it), and the term that a
follower takes from a view (until an Append of that epoch comes, a lower one does no harm).
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from tests.model.actions import Bounds
from tests.model.rules import Rules, ack_of, names, serves
from tests.model.search import Found, search
from tests.model.state import Ask, Heard, Id, Members, Office, Register, Replica, State, View

LACKS = "a member of the stored in-sync set lacks a committed entry"
LED_TWICE = "an epoch is led a second time"


@frozen
class Mutant:
    """`wrong` is what the search finds first, within `bounds`, after so many `steps`, without these reductions."""

    rules: type[Rules]
    bounds: Bounds
    wrong: str
    steps: int
    without: frozenset[int] = frozenset()

    @property
    def name(self) -> str:
        return self.rules.__name__

    def search(self, tell: Callable[[Found], None] | None = None) -> Found:
        return search(self.bounds, self.rules(), without=self.without, inner=False, tell=tell)


class ToldBeforeStored(Rules):
    """R1: the Pings leave first, and the process of the register ends before it has stored the view."""

    def r1_store(self, state: State, view: View) -> State:
        return state._replace(told=(*state.told, view)) if state.told else super().r1_store(state, view)


class AskOfAnotherVersion(Rules):
    """R2: an Ask of the leader is accepted at any version."""

    def r2_current(self, ask: Ask, stored: View) -> bool:
        return ask.sender == stored.leader and ask.epoch == stored.epoch


class AnyoneIsAppointed(Rules):
    """R3: whoever is live may lead, also if it was not in sync."""

    def r3_replace(self, state: State, leader: Id) -> State | None:
        stored = state.register.stored
        assert stored is not None
        others = tuple((who, r.uuid) for who, r in enumerate(state.replicas) if not names(stored.in_sync, who))
        everyone = stored._replace(in_sync=tuple(sorted((*stored.in_sync, *others))))
        return super().r3_replace(state._replace(register=state.register._replace(stored=everyone)), leader)


class AppointedWithAnotherDisk(Rules):
    """R3: whoever answers is in sync, from whatever disk."""

    def r3_replace(self, state: State, leader: Id) -> State | None:
        stored = state.register.stored
        assert stored is not None
        answered = stored._replace(in_sync=tuple((who, state.replicas[who].uuid) for who, _ in stored.in_sync))
        return super().r3_replace(state._replace(register=state.register._replace(stored=answered)), leader)


class FoundedTooEarly(Rules):
    """R4: a new register stores a first view as soon as one replica has answered with an empty disk."""

    def r4_found(self, state: State, leader: Id) -> State | None:
        heard = state.register.heard
        if heard[leader] is not None:
            others = tuple(answer or Heard(state.replicas[who].uuid, None, True) for who, answer in enumerate(heard))
            state = state._replace(register=state.register._replace(heard=others))
        return super().r4_found(state, leader)


class FoundsWithoutPromises(Rules):
    """R4: a replica that has answered the new register still takes the first view of the old one."""

    def r5_promise(self, replica: Replica, register: int) -> Replica:
        return replica


class TakesOverWithoutPromises(FoundsWithoutPromises):
    """R5: a replica that has answered the new register still takes views of the old one."""

    def r4_found(self, state: State, leader: Id) -> State | None:
        return None if state.register.id else super().r4_found(state, leader)


class TakesOverByMembersAlone(Rules):
    """R5: those who are in the highest view that any of them remembers answer for all. But a view with one more may be
    known to that one only, and the next be led by it."""

    def r5_heard(self, register: Register) -> bool:
        return True


class LowerViewTaken(Rules):
    """V1: any view that it is told is taken."""

    def v1_higher(self, replica: Replica, view: View) -> bool:
        return view != replica.view


class LeadsWithAnotherDisk(Rules):
    """V2: a wiped replica leads by the view that names it under its old uuid."""

    def v2_means(self, view: View, who: Id, replica: Replica) -> bool:
        return names(view.in_sync, who)


class LeadsOnAfterRestart(Rules):
    """V2: a process leads the epoch that it finds on its disk."""

    def crash(self, state: State, who: Id, kept: int) -> State | None:
        after = super().crash(state, who, kept)
        if after is None:
            return None
        return after.with_replica(who, after.replicas[who]._replace(office=Office(kept)))


class LowerEpochTaken(Rules):
    """V3: Appends of passed epochs are taken."""

    def v3_current(self, replica: Replica, epoch: int) -> bool:
        return replica.office is None or epoch >= replica.term


class WaitsForTheStoredViewOnly(Rules):
    """L2: who was asked for is not waited for until the view is stored here."""

    def l2_waits_for(self, replica: Replica) -> Members:
        assert replica.view is not None
        return replica.view.in_sync


class DroppedBeforeStored(Rules):
    """L2, L4: a member is waited for no more as soon as the leader has asked to drop it."""

    def l2_waits_for(self, replica: Replica) -> Members:
        assert replica.view is not None
        assert replica.office is not None
        return replica.view.in_sync if replica.office.asked is None else replica.office.asked.in_sync


class OlderEpochsCommitByCounting(Rules):
    """L3: an entry of an older epoch commits once everyone has it (Raft figure 8). Every member of the set would have it;
    what breaks is what leans on "something of this epoch is committed, so all before it is": L5."""

    def l3_counts(self, replica: Replica, index: int) -> bool:
        return True


class AnyDiskOfAMemberCounts(Rules):
    """L3: an acknowledgement counts for the replica, from whatever disk."""

    def l3_ack(self, office: Office, who: Id, uuid: int) -> int:
        return max((index for member, _, index in office.acks if member == who), default=0)


class OwnDiskCountsUnsynced(Rules):
    """L3: the leader counts its own copy before it is on disk."""

    def l3_synced(self, office: Office, index: int) -> int:
        return office.synced


class JoinsBeforeTheNoOp(Rules):
    """L5: a replica joins that has all that this leader knows to be committed, before its no-op is."""

    def l5_may_join(self, replica: Replica, member: Id, uuid: int) -> bool:
        assert replica.office is not None
        return ack_of(replica.office, member, uuid) >= replica.office.commit


class JoinsBehind(Rules):
    """L5: a replica joins that lacks something committed."""

    def l5_may_join(self, replica: Replica, member: Id, uuid: int) -> bool:
        return serves(replica)


class AskForgottenForAnother(Rules):
    """L5: the leader makes another Ask before the first is answered, and waits only for the last."""

    def may_ask(self, office: Office) -> bool:
        return True


class ReadsUnconfirmed(Rules):
    """L7: a leader that serves shows what it has, without asking anyone."""

    def l7_confirmed(self, state: State, who: Id) -> bool:
        office = state.replicas[who].office
        return office is not None and office.read is not None


MUTANTS = (
    Mutant(ToldBeforeStored, Bounds(epochs=2, entries=0, versions=3), LED_TWICE, 4, without=frozenset({3, 5, 8})),
    Mutant(AskOfAnotherVersion, Bounds(epochs=1, entries=1), LACKS, 9, without=frozenset({5, 7})),
    Mutant(AnyoneIsAppointed, Bounds(epochs=2, entries=0), LACKS, 6),
    Mutant(AppointedWithAnotherDisk, Bounds(epochs=2, entries=0, wipes=1), LACKS, 6),
    Mutant(FoundedTooEarly, Bounds(epochs=1, entries=0, registers=2, versions=1), LED_TWICE, 7),
    Mutant(FoundsWithoutPromises, Bounds(replicas=2, epochs=2, entries=0, registers=2, versions=2), LED_TWICE, 9),
    Mutant(TakesOverWithoutPromises, Bounds(replicas=2, epochs=2, entries=0, registers=2, versions=2), LED_TWICE, 11),
    Mutant(TakesOverByMembersAlone, Bounds(replicas=2, epochs=2, entries=0, registers=2, versions=4), LED_TWICE, 17),
    Mutant(LowerViewTaken, Bounds(replicas=2, epochs=1, entries=1, versions=3), LACKS, 12, without=frozenset({3, 5, 8})),
    Mutant(LeadsWithAnotherDisk, Bounds(epochs=1, entries=0, wipes=1), LED_TWICE, 3, without=frozenset({3, 5})),
    Mutant(LeadsOnAfterRestart, Bounds(epochs=1, entries=1), "two logs differ below an entry that they share", 3),
    Mutant(LowerEpochTaken, Bounds(epochs=2, entries=0), LACKS, 7, without=frozenset({4, 5, 8})),
    Mutant(WaitsForTheStoredViewOnly, Bounds(epochs=1, entries=1), LACKS, 10),
    Mutant(DroppedBeforeStored, Bounds(epochs=2, entries=0), LACKS, 3),
    Mutant(OlderEpochsCommitByCounting, Bounds(replicas=2, epochs=2, entries=1), LACKS, 12, without=frozenset({6})),
    Mutant(AnyDiskOfAMemberCounts, Bounds(replicas=2, epochs=1, entries=1, wipes=1), LACKS, 12, without=frozenset({6, 8})),
    Mutant(OwnDiskCountsUnsynced, Bounds(epochs=1, entries=0), LACKS, 4),
    Mutant(JoinsBeforeTheNoOp, Bounds(epochs=2, entries=0), LACKS, 9),
    Mutant(JoinsBehind, Bounds(epochs=1, entries=1), LACKS, 7),
    Mutant(AskForgottenForAnother, Bounds(epochs=1, entries=1), LACKS, 13),
    Mutant(ReadsUnconfirmed, Bounds(replicas=2, epochs=2, entries=0, reads=1, versions=2), "a stale read is confirmed", 8),
)
