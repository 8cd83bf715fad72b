"""What need not be told apart, and what need not be done, for the search to see every error that there is.

Each reduction rests on one of three arguments. *Dead*: a thing that no later step can look at is forgotten. *Only
forbids*: a step whose whole effect is to forbid later steps need not be taken, for whatever could follow it can follow
without it, to states with the same disks and the same committed entries. *Composed*: a step that is the same as several
smaller ones need not be taken. They are arguments about the rules as they are: a mutant that breaks one is searched
without it (`uses`), and a test compares what is reached with and without them, at bounds that both can do.

1. Ids are interchangeable: no rule compares them ("the highest live id" is, in the model, any). So states that differ by
   a renumbering of the replicas are one.
2. Versions are only compared, and new ones are one more than the highest: they are renumbered without gaps (dead). So
   the number of views need not be bounded: 3 epochs have finitely many states with any number of drops and joins.
3. A replica that does not lead uses its view for nothing but V1, and there its term does the same work: a view that it
   may still take and lead has an epoch above its term. So it forgets the view (dead), and it takes no view that does not
   make it lead: that would only raise its term, which only forbids. A leader takes views of its own epoch (L2 looks at
   them); a view of a higher epoch that is another's would only end its office, which only forbids.
4. A term is compared with the epochs of Appends, which are those of leaders, past and to come, and of views that make the
   replica lead, told or still to come (those have the stored epoch and leader, or a higher epoch). It is lowered to the
   lowest that forbids the same (dead).
5. Views that nobody may lead by or wait for (3), Asks of passed versions, and Appends of offices that are over and that
   nobody lacks are forgotten (dead). As a wiped replica lacks all, Appends are kept while a wipe may come.
6. An Append is taken one entry at a time, or for its acknowledgement alone (composed). An acknowledgement is dead where
   the leader can neither commit nor join by it.
7. A higher term alone, a crash that loses no entry of the log, and an Ask that names a version other than the stored one,
   which will be refused (within the bounds: a hand-over in the last epoch), only forbid. So do an Ask for a view that
   contains a disk that is no more, and the appointment of such a disk: without the latter all goes on one epoch lower.
8. A leader whose view is not the stored one, with none of its epoch on the way to it, waits for the same disks for ever,
   whichever view or Ask names them. If one of these can acknowledge nothing more in this epoch (a higher term, a new
   uuid), it commits nothing more: what else it waits for, and what it has committed, is dead. It may still append.

3, 4 and 8 do not hold where registers are lost or reads are confirmed: R5 and L7 look at views and terms. Nor does 5 where
registers are lost: the next one may come to a version that was passed.
"""

from __future__ import annotations

from attrs import frozen

from tests.model.actions import Action, Bounds
from tests.model.renumbering import in_order, renumbered
from tests.model.rules import Rules, ack_of, appends
from tests.model.state import Ended, Id, Log, Office, Replica, State, View, agreed

RULES = Rules()
ASKS = ("l4_drop", "l5_join", "l6_hand_over")


ALL = frozenset(range(1, 9))


@frozen
class Reduction:
    """`uses` are numbers of the list above."""

    bounds: Bounds
    uses: frozenset[int]

    @classmethod
    def of(cls, bounds: Bounds, without: frozenset[int] = frozenset()) -> Reduction:
        """All that hold within these bounds; those that rest on others that are not used are not used either."""
        if bounds.registers > 1 or bounds.reads > 0:
            without |= {3, 4, 8}
        if bounds.registers > 1:
            without |= {5}
        if bounds.versions is not None:
            without |= {2}
        if without & {3, 5}:
            without |= {4}
        return cls(bounds, ALL - without)

    def matters(self, state: State, action: Action) -> bool:
        """Must the search take this step?"""
        rule, about = action
        if rule == "v3_append":
            return 6 not in self.uses or self._next_append(state, *about)
        if rule == "v1_take":
            return 3 not in self.uses or of_use(state.replicas[about[0]], *about)
        if 7 not in self.uses:
            return True
        stored = state.register.stored
        if rule == "v3_raise":
            return False
        if rule == "crash":
            return bool(about[1] < len(state.replicas[about[0]].log))
        if rule in ASKS:
            view = state.replicas[about[0]].view
            if stored is None or view is None or view.version != stored.version:
                return False
            if rule == "l6_hand_over":
                return stored.epoch < self.bounds.epochs
            return rule != "l5_join" or bool(about[2] == state.replicas[about[1]].uuid)
        if rule == "r3_replace":
            return stored is not None and (about[0], state.replicas[about[0]].uuid) in stored.in_sync
        return True

    def essence(self, state: State) -> State:
        """One state for all that need not be told apart."""
        if 5 in self.uses:
            state = self._without_dead_messages(state)
        if self.uses & {6, 8} and any(replica.office is not None for replica in state.replicas):
            state = state._replace(replicas=tuple([self._office(state, who) for who in range(len(state.replicas))]))
        if self.uses & {3, 4}:
            state = state._replace(replicas=tuple([self._follower(state, who) for who in range(len(state.replicas))]))
        if 2 in self.uses:
            state = renumbered(state)
        return in_order(state)

    def _without_dead_messages(self, state: State) -> State:
        told, asks, ended = state.told, state.asks, state.ended
        if told and 3 in self.uses:
            told = tuple([view for view in told if of_use(state.replicas[view.leader], view.leader, view)])
        if asks and state.register.stored is not None:
            asks = tuple([ask for ask in asks if RULES.r2_current(ask, state.register.stored)])
        if ended and state.spent.wipes >= self.bounds.wipes:
            ended = tuple([office for office in ended if lacked(state, office)])
        if (told, asks, ended) == (state.told, state.asks, state.ended):
            return state
        return state._replace(told=told, asks=asks, ended=ended)

    def _office(self, state: State, who: Id) -> Replica:
        """Without acknowledgements that are dead (6), or as one that commits nothing more (8)."""
        replica = state.replicas[who]
        office = replica.office
        if office is None:
            return replica
        if office.acks and 6 in self.uses:
            acks = tuple([ack for ack in office.acks if self._counts(state, who, *ack)])
            if acks != office.acks:
                office = office._replace(acks=acks)
                replica = replica._replace(office=office)
        if 8 not in self.uses or not outdated(state, who):
            return replica
        assert replica.view is not None
        waited = RULES.l2_waits_for(replica)
        held_up = [(member, uuid) for member, uuid in waited if gone(state, who, member, uuid)]
        if held_up:
            waited = ((who, replica.uuid), *held_up)
        office = Office(office.synced) if held_up else office._replace(asked=None)
        return replica._replace(view=replica.view._replace(version=1, in_sync=tuple(sorted(set(waited)))), office=office)

    def _next_append(self, state: State, who: Id, epoch: int, last: int) -> bool:
        """The next entry that it lacks, or all that it has, if that is news to the leader. (6)"""
        leader, log = appends(state, epoch)
        assert leader is not None
        replica = state.replicas[who]
        same = agreed(replica.log, log)
        if last != same:
            return last == same + 1
        office = state.replicas[leader].office
        if office is None or state.replicas[leader].term != epoch:
            return False
        return ack_of(office, who, replica.uuid) < last and self._counts(state, leader, who, replica.uuid, last)

    def _counts(self, state: State, leader: Id, who: Id, uuid: int, index: int) -> bool:
        """May the leader commit, or let join, by this acknowledgement? (6)"""
        replica = state.replicas[leader]
        office = replica.office
        assert office is not None
        if index <= before_epoch(replica.log, replica.term) or index < office.commit:
            return False
        if (who, uuid) in RULES.l2_waits_for(replica):
            return True
        return uuid == state.replicas[who].uuid and not (8 in self.uses and outdated(state, leader))

    def _follower(self, state: State, who: Id) -> Replica:
        """Without its view (3), and with the lowest term that forbids the same (4)."""
        replica = state.replicas[who]
        if replica.office is not None:
            return replica
        view = None if 3 in self.uses else replica.view
        term = lowest_term(state, who) if 4 in self.uses else replica.term
        return replica if (view, term) == (replica.view, replica.term) else replica._replace(view=view, term=term)


def of_use(replica: Replica, who: Id, view: View) -> bool:
    """May it lead by this view, or wait for its members? (3)"""
    if view.leader != who:
        return False
    if view.epoch > replica.term:
        return (who, replica.uuid) in view.in_sync
    office = replica.office
    return office is not None and replica.view is not None and view.epoch == replica.term and view.place > replica.view.place


def lowest_term(state: State, who: Id) -> int:
    """The lowest term that forbids what this replica's term forbids. (4)"""
    term, stored = state.replicas[who].term, state.register.stored
    appended = [replica.term for replica in state.replicas if replica.office is not None]
    appended += [office.epoch for office in state.ended] + [view.epoch for view in state.told]
    lowest = max([epoch + 1 for epoch in appended if epoch < term], default=0)
    if stored is not None and stored.leader == who and stored.epoch <= term:
        return max(lowest, stored.epoch)
    return lowest


def lacked(state: State, office: Ended) -> bool:
    """May anyone still take an entry of this log? (5)"""
    for who, replica in enumerate(state.replicas):
        if who != office.leader and replica.term <= office.epoch and agreed(replica.log, office.log) < len(office.log):
            return True
    return False


def outdated(state: State, leader: Id) -> bool:
    """Is its view for ever another than the stored one? (8)"""
    replica, stored = state.replicas[leader], state.register.stored
    assert replica.view is not None
    if stored is None or replica.view.version == stored.version:
        return False
    return not any(of_use(replica, leader, view) for view in state.told if view.epoch == replica.term)


def gone(state: State, leader: Id, who: Id, uuid: int) -> bool:
    """Is this a disk by which the leader can commit nothing more? (8)"""
    replica, other = state.replicas[leader], state.replicas[who]
    office = replica.office
    assert office is not None
    if who == leader or (other.uuid == uuid and other.term <= replica.term):
        return False
    return ack_of(office, who, uuid) <= max(office.commit, before_epoch(replica.log, replica.term))


def before_epoch(log: Log, epoch: int) -> int:
    """How many entries are older than the epoch."""
    count = len(log)
    while count and log[count - 1].epoch == epoch:
        count -= 1
    return count
