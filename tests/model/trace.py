"""Do these events follow the rules? What a cluster did is told as events, and each is carried out on the model.

The search lets the rules do all that they allow; here they are asked whether they allow what was done. `Trace.note`
takes the events in the order in which they happened and raises `Rejected` at the first that no rule allows. An office
that a process has given up without a crash is left as it is: a leader that does nothing is allowed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product

from attrs import field, frozen

from tests.model.actions import log_text, name, view_text
from tests.model.invariants import broken
from tests.model.rules import Rules
from tests.model.state import Ask, Entry, Heard, Id, Log, State, View, beginning

MEMBERS = -1
"""The command of an entry that names members or a generation; it may come before the no-op."""


class Rejected(Exception):
    """No rule allows the event; says which event, and what stands against it."""


@frozen
class Event:
    who: Id


# The register


@frozen
class Stored:
    """A view is on the register's disk."""

    view: View = field(repr=view_text)


@frozen
class RegisterLost:
    """The next register begins with an empty disk."""


@frozen
class Told(Event):
    """A Ping with this view leaves for the replica."""

    view: View = field(repr=view_text)


# A replica's disk


@frozen
class Took(Event):
    """The view is on its disk."""

    view: View = field(repr=view_text)


@frozen
class Raised(Event):
    """The higher epoch, of which something but an Append or a view told, is on its disk."""

    epoch: int


@frozen
class Promised(Event):
    """The promise to follow this register is on its disk."""

    register: int


@frozen
class Appended(Event):
    """What it took of the leader of this epoch, up to an index, is on its disk."""

    epoch: int
    last: int


@frozen
class Saved(Event):
    """A write has ended: this is its term and log on disk."""

    term: int
    log: Log = field(repr=log_text)


@frozen
class Crashed(Event):
    """Its process has ended."""


@frozen
class Restarted(Event):
    """A process begins on this disk; `wiped`: on an empty one under a new uuid."""

    log: Log = field(repr=log_text)
    wiped: bool = False


# What it says


@frozen
class Answered(Event):
    """It answers the register that it has promised to follow, and tells uuid, view, and whether its log is empty."""


@frozen
class Acknowledged(Event):
    epoch: int
    last: int


@frozen
class Leads(Event):
    """It begins to lead the epoch."""

    epoch: int


@frozen
class Proposed(Event):
    """As a leader, it appends an entry; it may be sent before it is on its disk."""

    entry: Entry


@frozen
class Asked(Event):
    ask: Ask


@frozen
class Committed(Event):
    """As a leader, by counting, up to an index."""

    index: int


@frozen
class Applied(Event):
    index: int


@frozen
class ReadCame(Event):
    token: int


@frozen
class ReadShown(Event):
    """The read is answered with what is applied up to at least this index."""

    token: int
    index: int


class RulesOfTraces(Rules):
    """The no-op of an epoch is an event of its own."""

    def l1_opening(self, replica: object) -> Log:
        return ()


class Trace:
    """The model beside a cluster."""

    def __init__(self, replicas: int, rules: Rules | None = None) -> None:
        self.rules = rules or RulesOfTraces()
        self.state = beginning(replicas)
        self.tally: Counter[str] = Counter()
        """Events so far, by kind."""
        self.tell: Callable[[str], None] | None = None
        self._down: set[Id] = set()
        self._answers: list[set[Heard]] = [set() for _ in range(replicas)]
        self._due: dict[tuple[Id, int], int] = {}

    @property
    def count(self) -> int:
        return self.tally.total()

    def note(self, event: object) -> None:
        """Carry it out. Raises Rejected."""
        self.tally[type(event).__name__] += 1
        if self.tell is not None:
            self.tell(f"event {self.count}: {event}")
        if isinstance(event, Event) and event.who in self._down and not isinstance(event, Restarted | Told):
            raise self._rejected(event, f"{name(event.who)} is down")
        after = self._after(event)
        if after is None:
            raise self._rejected(event, "no rule allows it")
        wrong = broken(self.state, after, self.rules) if isinstance(event, Stored | Took | Committed | Appended) else None
        if wrong is not None:
            raise self._rejected(event, wrong)
        self.state = after

    def _rejected(self, event: object, why: str) -> Rejected:
        replicas = [
            f"{name(who)}: uuid {replica.uuid}, term {replica.term}, {replica.view and view_text(replica.view)}, "
            f"log {log_text(replica.log[-6:])} of {len(replica.log)}, {replica.office}, promised {replica.promised}"
            for who, replica in enumerate(self.state.replicas)
        ]
        stored = self.state.register.stored
        head = f"event {self.count}, {event}: {why}"
        return Rejected("\n  ".join([head, f"stored {stored and view_text(stored)}, asks {self.state.asks}", *replicas]))

    def _after(self, event: object) -> State | None:
        state, rules = self.state, self.rules
        match event:
            case Stored(view):
                return self._stored(view)
            case RegisterLost():
                self._answers = [set() for _ in state.replicas]
                return rules.lose_register(state)
            case Told(_, view):
                return state if view in state.told else None
            case Took(who, view):
                return rules.v1_take(state, who, view) if view in state.told else None
            case Raised(who, epoch):
                return rules.v3_raise(state, who, epoch)
            case Promised(who, register):
                return self._promised(who, register)
            case Appended(who, epoch, last):
                return rules.v3_take(state, who, epoch, last)
            case Saved(who, term, log):
                return self._saved(who, term, log)
            case Crashed(who):
                self._down.add(who)
                return state
            case Restarted(who, log, wiped):
                return self._restarted(who, log, wiped)
            case Answered(who):
                return self._answered(who)
            case Acknowledged(who, epoch, last):
                return rules.v3_acknowledge(state, who, epoch, last)
            case Leads(who, epoch):
                replica = state.replicas[who]
                return state if replica.office is not None and replica.term == epoch else None
            case Proposed(who, entry):
                return self._proposed(who, entry)
            case Asked(who, ask):
                return self._asked(who, ask)
            case Committed(who, index):
                return rules.l3_commit(state, who, index)
            case Applied(who, index):
                committed = tuple(known.entry for known in state.committed[:index])
                return state if len(committed) == index and state.replicas[who].log[:index] == committed else None
            case ReadCame(who, token):
                self._due[who, token] = len(state.committed)
                return state
            case ReadShown(who, token, index):
                return state if index >= self._due[who, token] else None
        raise TypeError(f"{event!r} is no event")

    # The register

    def _stored(self, view: View) -> State | None:
        """By one of the rules; epochs may be left out."""
        before = self.state.register.stored
        for after in self._views():
            made = after.register.stored
            assert made is not None
            raised = before is None or made.epoch > before.epoch
            if view == made or (raised and view == made._replace(epoch=view.epoch) and view.epoch > made.epoch):
                return self.rules.r1_store(after._replace(told=self.state.told), view)
        return None

    def _views(self) -> Iterator[State]:
        """All that the register may store next."""
        state, rules, everyone = self.state, self.rules, range(len(self.state.replicas))
        made: list[State | None] = []
        if state.register.stored is None:
            choices: list[list[Heard | None]] = [[*answers] or [None] for answers in self._answers]
            for heard in product(*choices):
                known = state._replace(register=state.register._replace(heard=heard))
                made += [rules.r4_found(known, leader) for leader in everyone]
                made += [rules.r5_take_over(known, leader) for leader in everyone]
        else:
            made += [rules.r2_accept(state, ask) for ask in state.asks]
            made += [rules.r3_replace(state, leader) for leader in everyone]
            made += [rules.r6_accept_loss(state, who) for who in everyone]
        yield from (after for after in made if after is not None)

    def _promised(self, who: Id, register: int) -> State | None:
        """To the register that is, or a higher one than before."""
        if not self.state.replicas[who].promised <= register <= self.state.register.id:
            return None
        return self.state.with_replica(who, self.rules.r5_promise(self.state.replicas[who], register))

    def _answered(self, who: Id) -> State | None:
        replica = self.state.replicas[who]
        if replica.promised != self.state.register.id:
            return None
        self._answers[who].add(Heard(replica.uuid, replica.view, not replica.log))
        return self.state

    # A replica

    def _saved(self, who: Id, term: int, log: Log) -> State | None:
        """A leader may not have written all yet; anyone else has."""
        replica = self.state.replicas[who]
        if replica.term != term or log != (replica.log[: len(log)] if replica.office else replica.log):
            return None
        if replica.office is None:
            return self.state
        office = replica.office._replace(synced=max(replica.office.synced, len(log)))
        return self.state.with_replica(who, replica._replace(office=office))

    def _restarted(self, who: Id, log: Log, wiped: bool) -> State | None:
        self._down.discard(who)
        if wiped:
            return self.rules.wipe(self.state, who) if not log else None
        replica = self.state.replicas[who]
        if log != replica.log[: len(log)]:
            return None
        if replica.office is not None:
            return self.rules.crash(self.state, who, len(log))
        return self.state if log == replica.log else None

    def _proposed(self, who: Id, entry: Entry) -> State | None:
        """Nothing but what names members comes before the no-op (L1)."""
        replica = self.state.replicas[who]
        opened = Entry(replica.term, 0) in replica.log
        if replica.office is None or entry.epoch != replica.term or not (opened or entry.command in (0, MEMBERS)):
            return None
        return self.state.with_replica(who, replica._replace(log=(*replica.log, entry)))

    def _asked(self, who: Id, ask: Ask) -> State | None:
        """By the rule that makes such an Ask; to send it again is not to ask again."""
        replica, rules = self.state.replicas[who], self.rules
        if replica.office is None or replica.view is None:
            return None
        if replica.office.asked == ask:
            return self.state
        before, wanted = dict(replica.view.in_sync), dict(ask.in_sync)
        joins = [member for member in ask.in_sync if member[0] not in before]
        after: State | None
        if ask.leader != who:
            after = rules.l6_hand_over(self.state, who, ask.leader, stays=who in wanted)
        elif joins:
            after = rules.l5_join(self.state, who, *joins[0])
        else:
            after = rules.l4_drop(self.state, who, tuple(member for member in before if member not in wanted))
        office = None if after is None else after.replicas[who].office
        return after if office is not None and office.asked == ask else None
