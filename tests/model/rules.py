"""The view protocol, a method for each rule of the register (R), the replica (V) and the leader (L).

A rule takes a state and what it is about, and gives the next state, or None where it forbids the step. It says nothing
about when a step is wise (silence, health, preference): whatever the rules allow may happen at any time. So a replica
that the register finds fit, or suspects, or whose answer is old, is any replica at all, and "the highest id" is any id.
"""

from __future__ import annotations

from tests.model.state import (
    Ask,
    Committed,
    Ended,
    Entry,
    Heard,
    Id,
    Log,
    Members,
    Office,
    Read,
    Register,
    Replica,
    State,
    View,
    agreed,
)


class Rules:
    # The register -------------------------------------------------------------------------------------------------

    def r1_store(self, state: State, view: View) -> State:
        """A view is on the register's disk before any message carries it."""
        register = Register(state.register.id, view, (None,) * len(state.replicas))
        return state._replace(register=register, told=(*state.told, view))

    def r2_accept(self, state: State, ask: Ask) -> State | None:
        """Only at the version that it names, and from the leader of the stored view, in its epoch."""
        stored = state.register.stored
        if stored is None or not self.r2_current(ask, stored):
            return None
        if not names(ask.in_sync, ask.leader):
            return None
        epoch = stored.epoch + (ask.leader != stored.leader)
        return self.r1_store(state, later(stored, epoch=epoch, leader=ask.leader, in_sync=ask.in_sync))

    def r2_current(self, ask: Ask, stored: View) -> bool:
        return ask.version == stored.version and ask.epoch == stored.epoch and ask.sender == stored.leader

    def r3_replace(self, state: State, leader: Id) -> State | None:
        """A new epoch, led by one of the in-sync set; nobody is left out of the set but by a leader (L4)."""
        stored = state.register.stored
        if stored is None or not names(stored.in_sync, leader):
            return None
        return self.r1_store(state, later(stored, epoch=stored.epoch + 1, leader=leader, in_sync=stored.in_sync))

    def r4_found(self, state: State, leader: Id) -> State | None:
        """The first view: every replica has answered this register with an empty disk."""
        if state.register.stored is not None:
            return None
        members = []
        for who, heard in enumerate(state.register.heard):
            if heard is None or not heard.empty or heard.view is not None:
                return None
            members.append((who, heard.uuid))
        return self.r1_store(state, View(state.register.id, 0, 1, 1, leader, tuple(members)))

    def r5_hear(self, state: State, who: Id) -> State | None:
        """A replica answers a register that has no view. It takes no more views of other registers from then on."""
        if state.register.stored is not None:
            return None
        replica = self.r5_promise(state.replicas[who], state.register.id)
        answer = Heard(replica.uuid, replica.view, not replica.log)
        heard = (*state.register.heard[:who], answer, *state.register.heard[who + 1 :])
        return state.with_replica(who, replica)._replace(register=state.register._replace(heard=heard))

    def r5_promise(self, replica: Replica, register: int) -> Replica:
        return replica._replace(promised=register)

    def r5_take_over(self, state: State, leader: Id) -> State | None:
        """Every replica has answered, and every member of the highest view that any remembers under its uuid there."""
        views = [heard.view for heard in state.register.heard if heard is not None and heard.view is not None]
        if state.register.stored is not None or not views or not self.r5_heard(state.register):
            return None
        highest = max(views, key=lambda view: (view.place, view.register))
        for who, uuid in highest.in_sync:
            heard = state.register.heard[who]
            if heard is None or heard.uuid != uuid:
                return None
        if not names(highest.in_sync, leader):
            return None
        view = later(highest, epoch=highest.epoch + 1, leader=leader, in_sync=highest.in_sync)
        return self.r1_store(state, view._replace(register=state.register.id))

    def r5_heard(self, register: Register) -> bool:
        return None not in register.heard

    def r6_accept_loss(self, state: State, who: Id) -> State | None:
        """An operator lets one replica stand for all: a new generation, and what older ones committed counts no more."""
        stored = state.register.stored
        if stored is None:
            return None
        in_sync = ((who, state.replicas[who].uuid),)
        view = later(stored, epoch=stored.epoch + 1, leader=who, in_sync=in_sync)
        return self.r1_store(state, view._replace(generation=stored.generation + 1))._replace(committed=())

    # A replica ----------------------------------------------------------------------------------------------------

    def v1_take(self, state: State, who: Id, view: View) -> State | None:
        """A view that a Ping told is taken, which is: on disk, if it is higher, of the same register or of one that has
        taken it over."""
        replica = state.replicas[who]
        if not self.v1_higher(replica, view) or view.register < replica.promised:
            return None
        if view.epoch > replica.term:
            state = self.l8_end(state, who)
            state = state.with_replica(who, state.replicas[who]._replace(term=view.epoch, view=view))
            return self.v2_lead(state, who, view, replica)
        replica = replica._replace(view=view)
        if replica.office is not None and replica.office.asked is not None and replica.office.asked.version < view.version:
            replica = replica._replace(office=replica.office._replace(asked=None))
        return state.with_replica(who, replica)

    def v1_higher(self, replica: Replica, view: View) -> bool:
        mine = replica.view
        return mine is None or (view.place > mine.place and view.register >= mine.register)

    def v2_lead(self, state: State, who: Id, view: View, before: Replica) -> State:
        """The process that took the view of a new epoch leads it, if the view means this very disk. `before` is the
        replica as it was: what it had in memory only, as leader of an older epoch, it still has in memory only."""
        if view.leader != who or not self.v2_means(view, who, before):
            return state
        synced = len(before.log) if before.office is None else before.office.synced
        return self.l1_open(state, who, synced)

    def v2_means(self, view: View, who: Id, replica: Replica) -> bool:
        return (who, replica.uuid) in view.in_sync

    def v3_append(self, state: State, who: Id, epoch: int, last: int) -> State | None:
        """An Append of epoch `epoch` that ends at index `last` is taken, and acknowledged once it is on disk."""
        taken = self.v3_take(state, who, epoch, last)
        return None if taken is None else self.v3_acknowledge(taken, who, epoch, last)

    def v3_take(self, state: State, who: Id, epoch: int, last: int) -> State | None:
        """Raft's check, truncation only on conflict. A lower epoch is refused, a higher one is the term from now on."""
        replica = state.replicas[who]
        if not self.v3_current(replica, epoch):
            return None
        leader, log = appends(state, epoch)
        if leader is None or leader == who or last > len(log):
            return None
        if epoch > replica.term:
            state = self.l8_end(state, who)
            replica = state.replicas[who]._replace(term=epoch)
        same = agreed(replica.log, log)
        if same < last:
            replica = replica._replace(log=replica.log[:same] + log[same:last])
        return state.with_replica(who, replica)

    def v3_acknowledge(self, state: State, who: Id, epoch: int, last: int) -> State | None:
        """What is on its disk, and agrees with the leader's log; the leader may have gone on to other things."""
        leader, log = appends(state, epoch)
        replica = state.replicas[who]
        if leader is None or agreed(replica.disk, log) < last:
            return None
        office = state.replicas[leader].office
        if office is None or state.replicas[leader].term != epoch:
            return state
        acks = acknowledged(office.acks, who, replica.uuid, last)
        return state.with_replica(leader, state.replicas[leader]._replace(office=office._replace(acks=acks)))

    def v3_raise(self, state: State, who: Id, epoch: int) -> State | None:
        """Any other message tells of a higher epoch."""
        if epoch <= state.replicas[who].term or all(view.epoch != epoch for view in state.told):
            return None
        state = self.l8_end(state, who)
        return state.with_replica(who, state.replicas[who]._replace(term=epoch))

    def v3_current(self, replica: Replica, epoch: int) -> bool:
        return epoch >= replica.term

    # The leader ---------------------------------------------------------------------------------------------------

    def l1_open(self, state: State, who: Id, synced: int) -> State:
        """An epoch begins with a no-op."""
        replica = state.replicas[who]
        log = replica.log + self.l1_opening(replica)
        return state.with_replica(who, replica._replace(log=log, office=Office(synced)))

    def l1_opening(self, replica: Replica) -> Log:
        return (Entry(replica.term, 0),)

    def l1_propose(self, state: State, who: Id) -> State | None:
        """A command of a client is appended; it is not on disk yet, and may be sent already."""
        replica = state.replicas[who]
        if replica.office is None:
            return None
        command = state.spent.commands + 1
        replica = replica._replace(log=(*replica.log, Entry(replica.term, command)))
        return state.with_replica(who, replica)._replace(spent=state.spent._replace(commands=command))

    def l2_waits_for(self, replica: Replica) -> Members:
        """The members of the view on disk, and of the view asked for until a higher version is on disk."""
        assert replica.view is not None
        assert replica.office is not None
        asked = replica.office.asked
        return replica.view.in_sync if asked is None else (*replica.view.in_sync, *asked.in_sync)

    def l3_commit(self, state: State, who: Id, index: int) -> State | None:
        """An entry of this epoch that everyone waited for has acknowledged under the uuid meant."""
        replica = state.replicas[who]
        office = replica.office
        if office is None or not office.commit < index <= len(replica.log):
            return None
        if not self.l3_counts(replica, index) or not self.l3_acknowledged(state, who, index):
            return None
        office = office._replace(commit=index, synced=self.l3_synced(office, index))
        state = state.with_replica(who, replica._replace(office=office))
        stored = state.register.stored
        assert replica.view is not None
        if stored is not None and replica.view.generation < stored.generation:
            return state
        return state._replace(committed=with_commit(state.committed, replica.log[:index], replica.term))

    def l3_counts(self, replica: Replica, index: int) -> bool:
        return replica.log[index - 1].epoch == replica.term

    def l3_acknowledged(self, state: State, who: Id, index: int) -> bool:
        replica = state.replicas[who]
        assert replica.office is not None
        for member, uuid in self.l2_waits_for(replica):
            if member == who:
                if uuid != replica.uuid:
                    return False
            elif self.l3_ack(replica.office, member, uuid) < index:
                return False
        return True

    def l3_ack(self, office: Office, who: Id, uuid: int) -> int:
        return ack_of(office, who, uuid)

    def l3_synced(self, office: Office, index: int) -> int:
        """Its own disk counts once it has synced."""
        return max(office.synced, index)

    def l4_drop(self, state: State, who: Id, dropped: tuple[Id, ...]) -> State | None:
        """Ask for a view without some members of the view on disk."""
        view = state.replicas[who].view
        if view is None or who in dropped or not all(names(view.in_sync, member) for member in dropped):
            return None
        return self.ask(state, who, who, tuple(member for member in view.in_sync if member[0] not in dropped))

    def l5_join(self, state: State, who: Id, member: Id, uuid: int) -> State | None:
        """Ask for a view with one more, once the epoch's no-op is committed and it has all that is committed."""
        replica = state.replicas[who]
        if replica.office is None or replica.view is None or names(replica.view.in_sync, member):
            return None
        if not self.l5_may_join(replica, member, uuid):
            return None
        return self.ask(state, who, who, tuple(sorted((*replica.view.in_sync, (member, uuid)))))

    def l5_may_join(self, replica: Replica, member: Id, uuid: int) -> bool:
        assert replica.office is not None
        return serves(replica) and ack_of(replica.office, member, uuid) >= replica.office.commit

    def l6_hand_over(self, state: State, who: Id, target: Id, stays: bool) -> State | None:
        """Ask for a new leader who has everything. (That it takes no more commands is manners, not safety.)"""
        replica = state.replicas[who]
        if replica.office is None or replica.view is None or target == who:
            return None
        for member, uuid in replica.view.in_sync:
            if member == target and ack_of(replica.office, member, uuid) == len(replica.log):
                in_sync = replica.view.in_sync if stays else tuple(m for m in replica.view.in_sync if m[0] != who)
                return self.ask(state, who, target, in_sync)
        return None

    def ask(self, state: State, who: Id, leader: Id, in_sync: Members) -> State | None:
        """One Ask at a time: it is kept, and waited for, until a higher version is on this disk."""
        replica = state.replicas[who]
        if replica.office is None or replica.view is None or not self.may_ask(replica.office):
            return None
        ask = Ask(replica.view.version, replica.term, who, leader, in_sync)
        state = state.with_replica(who, replica._replace(office=replica.office._replace(asked=ask)))
        return state._replace(asks=tuple(sorted({*state.asks, ask})))

    def may_ask(self, office: Office) -> bool:
        return office.asked is None

    def l7_read(self, state: State, who: Id) -> State | None:
        """A read comes to a leader that serves: it will show what is committed here."""
        replica = state.replicas[who]
        if replica.office is None or replica.office.read is not None or not serves(replica):
            return None
        read = Read(replica.office.commit, len(state.committed), ())
        spent = state.spent._replace(reads=state.spent.reads + 1)
        return state.with_replica(who, replica._replace(office=replica.office._replace(read=read)))._replace(spent=spent)

    def l7_answer(self, state: State, who: Id, leader: Id) -> State | None:
        """A replica answers a heartbeat that was sent after the read came."""
        term = state.replicas[leader].term
        office = state.replicas[leader].office
        if who == leader or office is None or office.read is None or state.replicas[who].term > term:
            return None
        if state.replicas[who].term < term:
            state = self.l8_end(state, who)
            state = state.with_replica(who, state.replicas[who]._replace(term=term))
        answered = tuple(sorted({*office.read.answered, (who, state.replicas[who].uuid)}))
        office = office._replace(read=office.read._replace(answered=answered))
        return state.with_replica(leader, state.replicas[leader]._replace(office=office))

    def l7_confirmed(self, state: State, who: Id) -> bool:
        """Everyone waited for has answered: the read that waits here is shown."""
        replica = state.replicas[who]
        if replica.office is None or replica.office.read is None:
            return False
        answered = {*replica.office.read.answered, (who, replica.uuid)}
        return all(member in answered for member in self.l2_waits_for(replica))

    def l8_end(self, state: State, who: Id) -> State:
        """An office ends by a higher epoch. Its Appends stay under way; what it had in memory only it still has, and
        writes with what made it end (or loses by a crash before: `crash`)."""
        replica = state.replicas[who]
        if replica.office is None:
            return state
        ended = tuple(sorted({*state.ended, Ended(replica.term, who, replica.log)}))
        return state.with_replica(who, replica._replace(office=None))._replace(ended=ended)

    # Misfortune ---------------------------------------------------------------------------------------------------

    def crash(self, state: State, who: Id, kept: int) -> State | None:
        """A process that leads ends, by a crash, a failed write, or for good; so much of its log was on its disk. To a
        follower this does nothing: all it knows is on its disk."""
        replica = state.replicas[who]
        if replica.office is None or not replica.office.synced <= kept <= len(replica.log):
            return None
        state = self.l8_end(state, who)
        return state.with_replica(who, state.replicas[who]._replace(log=replica.log[:kept]))

    def wipe(self, state: State, who: Id) -> State:
        """An empty disk in the place of the old one, under a new uuid."""
        uuid = state.replicas[who].uuid + 1
        state = self.l8_end(state, who).with_replica(who, Replica(uuid))
        return state._replace(spent=state.spent._replace(wipes=state.spent.wipes + 1))

    def lose_register(self, state: State) -> State:
        """A register with an empty disk in the place of the old one, whose Pings are still under way."""
        return state._replace(register=Register(state.register.id + 1, None, (None,) * len(state.replicas)))


def with_commit(committed: tuple[Committed, ...], log: Log, epoch: int) -> tuple[Committed, ...]:
    """All of `log` is committed in `epoch`. Where it is not what was committed before, the longer wins: an error, which
    invariants.py sees."""
    newly = []
    for index, entry in enumerate(log):
        known = committed[index] if index < len(committed) else None
        newly.append(known if known is not None and known.entry == entry and known.at < epoch else Committed(entry, epoch))
    return (*newly, *committed[len(log) :])


def later(view: View, epoch: int, leader: Id, in_sync: Members) -> View:
    return View(view.register, view.generation, view.version + 1, epoch, leader, in_sync)


def names(members: Members, who: Id) -> bool:
    return any(member == who for member, _ in members)


def serves(replica: Replica) -> bool:
    """The no-op of the epoch is committed."""
    assert replica.office is not None
    return replica.office.commit > 0


def appends(state: State, epoch: int) -> tuple[Id | None, Log]:
    """Who leads or led this epoch, and the log of which its Appends are slices."""
    for who, replica in enumerate(state.replicas):
        if replica.office is not None and replica.term == epoch:
            return who, replica.log
    for ended in state.ended:
        if ended.epoch == epoch:
            return ended.leader, ended.log
    return None, ()


def ack_of(office: Office, who: Id, uuid: int) -> int:
    for member, its, index in office.acks:
        if member == who and its == uuid:
            return index
    return 0


def acknowledged(acks: tuple[tuple[Id, int, int], ...], who: Id, uuid: int, index: int) -> tuple[tuple[Id, int, int], ...]:
    known = {(member, its): at for member, its, at in acks}
    if known.get((who, uuid), 0) >= index:
        return acks
    known[who, uuid] = index
    return tuple(sorted((member, its, at) for (member, its), at in known.items()))
