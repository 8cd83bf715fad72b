"""The register of views: who leads and who is in sync, decided in one place (`election = "appointed"`).

`Register` is to the appointing front end what `Node` is to a replica: ticks and messages in, one `RegisterReady` out;
whoever drives it (frontend/appointer.py) stores the view, says `stored`, and only then sends.

- A view is on disk before anyone is told; one change at a time.
- A leader is replaced where its process has ended, where it is silent for `suspect_ticks`, or where it says that it does
  not lead or is not fit to. The next one is the highest id among those in sync that answer and are fit; nobody else,
  ever, unless an operator accepts the loss by name.
- Only a leader takes in or leaves out a replica, once the view that names it is on its disk. Were it done here together
  with the appointment, one whose disk is lost at that moment would be the only one in sync.
- The first view needs an answer of every replica, each with an empty ledger. A register that has lost views (its
  replicas remember later ones, or another register's) needs one of every replica too, and of those in sync in the latest
  view that any of them remembers from the very disk that is meant there. In both cases all these must have promised to
  follow no other register first: the first phase of Paxos (Lamport, "Paxos made simple", 2001, section 2.2), so that what
  a register before it may still have said comes too late.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import define, evolve, frozen

from toystore.consensus.messages import Ask, Message, NodeId, Ping, Standing
from toystore.consensus.views import NO_CLAIM, View


@frozen
class RegisterConfig:
    """`id` is the appointing front end, `replicas` are all order replicas in the order of their ids; times in ticks.

    `expected` are those that must answer before the first view is stored; the others are known to have empty disks.
    """

    id: NodeId
    replicas: tuple[NodeId, ...]
    expected: tuple[NodeId, ...]
    ping_ticks: int = 5
    fresh_ticks: int = 60
    """For how long an answer shows that a replica lives."""
    suspect_ticks: int = 100


@frozen
class RegisterReady:
    """Store `view` (None: nothing to store); `send` may leave at once: it tells of nothing that is not stored."""

    view: View | None = None
    send: tuple[Message, ...] = ()


class CannotAppoint(Exception):
    """The register refuses what an operator has asked for; says why, and what would do."""


@define
class _Seen:
    """What is known of a replica. `at` is the tick of its last answer, `gone_at` of the first refused connection since."""

    at: int
    standing: Standing | None = None
    gone_at: int | None = None


class Register:
    """`name` is the random id of this register, `view` what it has stored. Pings are numbered from above `start`, which is
    another one for each process, so that a late answer to an earlier one is known."""

    def __init__(self, config: RegisterConfig, name: str, view: View | None = None, start: int = 0) -> None:
        self._config, self._name, self.view = config, name, view
        self.now = 0
        self._seen = {replica: _Seen(at=0) for replica in config.replicas}
        self._start = self._seq = start
        self._pinged = -config.ping_ticks
        self._next: View | None = None
        self._storing = False
        self._send: list[Message] = []
        self._claim = NO_CLAIM
        self._served = False
        """A leader has been seen in office: the cluster has come up."""

    # Input ------------------------------------------------------------------------------------------------------

    def tick(self, passed: int = 1) -> None:
        self.now += passed
        if passed >= self._config.fresh_ticks:
            self._forgive()
        if self.now - self._pinged >= self._config.ping_ticks:
            self._ping()
        self._decide()

    def _forgive(self) -> None:
        """This process was away itself: nobody else was silent meanwhile."""
        for seen in self._seen.values():
            seen.at, seen.gone_at = self.now, None

    def step(self, message: Message) -> None:
        if message.to != self._config.id or message.sender not in self._seen:
            return
        match message:
            case Standing() if self._start < message.seq <= self._seq:
                self._on_standing(message)
            case Ask() if self._next is None:
                self._on_ask(message)
        self._decide()

    def unreachable(self, replica: NodeId, gone: bool) -> None:
        """A message to it was lost; `gone`: nobody listens there, its process has ended."""
        seen = self._seen.get(replica)
        if seen is not None and gone and seen.gone_at is None:
            seen.gone_at = self.now
            self._decide()

    def _on_standing(self, standing: Standing) -> None:
        seen = self._seen[standing.sender]
        if seen.standing is None or standing.seq >= seen.standing.seq:
            seen.at, seen.standing, seen.gone_at = self.now, standing, None

    def _on_ask(self, ask: Ask) -> None:
        """Only the leader of the stored view changes it; what it asked of an older one is over."""
        view = self.view
        if (
            view is None
            or self._stray()
            or ask.version != view.version
            or ask.sender != view.leader
            or ask.term != view.epoch
        ):
            return
        if ask.leader in ask.in_sync and set(ask.in_sync) <= set(self._seen):
            self._change(ask.leader, ask.in_sync, new_epoch=ask.leader != view.leader)

    # Deciding ---------------------------------------------------------------------------------------------------

    def _decide(self) -> None:
        if self._next is not None:
            return
        if self.view is None or self._stray():
            self._maybe_begin()
        else:
            self._maybe_replace(self.view)

    def _maybe_begin(self) -> None:
        """Store the first view of all, or go on from the latest that anyone remembers: once all whom that depends on have
        answered, and then promised to follow no other register."""
        latest = self._latest()
        asked = self._founders() if latest is None else self._witnesses(latest)
        if asked and self._promised(asked):
            able = self._able(asked if latest is None else latest.in_sync)
            if latest is None:
                self._next = View(self._name, 0, 1, 1, self._highest(asked), asked, self._predecessors())
            elif able:
                self._next = evolve(
                    latest, register=self._name, version=latest.version + 1, epoch=self._next_epoch(latest),
                    leader=self._highest(able), taken_over=self._predecessors(),
                )  # fmt: skip

    def _founders(self) -> dict[NodeId, str]:
        """All that live, where those that are expected do and nobody has a ledger; else nobody."""
        standings = {replica: seen.standing for replica, seen in self._seen.items() if seen.standing}
        empty = all(standing.empty and standing.term == 0 for standing in standings.values())
        if not empty or not all(self._lives(replica) for replica in self._config.expected):
            return {}
        return {replica: standing.uuid for replica, standing in standings.items() if self._lives(replica)}

    def _witnesses(self, latest: View) -> dict[NodeId, str]:
        """All replicas, where all live, and who is in sync in `latest` from the storage meant there; else nobody. Not those
        in sync alone: the view after it may be known to none of them, as they see when one joins who then leads alone."""
        if not all(map(self._lives, self._seen)) or not all(self._speaks_for(*member) for member in latest.in_sync.items()):
            return {}
        return {replica: seen.standing.uuid for replica, seen in self._seen.items() if seen.standing}

    def _promised(self, asked: Mapping[NodeId, str]) -> bool:
        """Have they promised? Where there is no claim yet, or a higher one was heard of, it is made now."""
        promises = {replica: seen.standing.promised for replica, seen in self._seen.items() if seen.standing}
        highest = max(promises.values())
        if self._claim == NO_CLAIM or highest > self._claim:
            self._claim = (highest[0] + 1, self._name)
            self._ping()
        return all(promises[replica] == self._claim for replica in asked)

    def _maybe_replace(self, view: View) -> None:
        self._served = self._served or self._leads(view)
        if self._leads(view) or not (self._lost(view) and self._has_looked_round(view)):
            return
        able = self._able(view.in_sync)
        if able:
            self._change(self._highest(able), view.in_sync, new_epoch=True)

    def _leads(self, view: View) -> bool:
        standing = self._seen[view.leader].standing
        return standing is not None and standing.leads and standing.view == view and not self._lost(view)

    def _lost(self, view: View) -> bool:
        """Its process has ended, it is silent, or it says that it does not lead this view, or is not fit to, or has another
        disk."""
        seen = self._seen[view.leader]
        if seen.gone_at is not None and self.now - seen.gone_at >= self._config.ping_ticks:
            return True
        if self.now - seen.at >= self._config.suspect_ticks:
            return True
        if seen.standing is None:
            return False
        declines = seen.standing.view == view and not (seen.standing.leads and seen.standing.fit)
        return declines or seen.standing.uuid != view.in_sync[view.leader]

    def _has_looked_round(self, view: View) -> bool:
        """When all start at once, the first to answer is not yet the only one that lives."""
        all_answer = all(self._lives(member) for member in view.in_sync)
        return self._served or all_answer or self.now >= self._config.suspect_ticks

    def _change(self, leader: NodeId, in_sync: Mapping[NodeId, str], new_epoch: bool) -> None:
        assert self.view is not None
        epoch = self._next_epoch(self.view) if new_epoch else self.view.epoch
        self._next = evolve(self.view, version=self.view.version + 1, epoch=epoch, leader=leader, in_sync=dict(in_sync))

    def _next_epoch(self, latest: View | None) -> int:
        """Above all that anyone has heard of."""
        terms = [seen.standing.term for seen in self._seen.values() if seen.standing]
        return max([latest.epoch if latest else 0, *terms]) + 1

    # What is known ----------------------------------------------------------------------------------------------

    def _lives(self, replica: NodeId) -> bool:
        seen = self._seen[replica]
        fresh = min(self._config.fresh_ticks, self._config.suspect_ticks)  # who is silent for too long to lead does not live
        answered = seen.standing is not None and self.now - seen.at < fresh
        return answered and seen.gone_at is None

    def _speaks_for(self, replica: NodeId, uuid: str) -> bool:
        """It answers, from that storage."""
        seen = self._seen.get(replica)
        return seen is not None and self._lives(replica) and seen.standing is not None and seen.standing.uuid == uuid

    def _able(self, in_sync: Mapping[NodeId, str]) -> dict[NodeId, str]:
        """Those of them that live, from the storage that is in sync, and are fit to lead."""
        return {
            replica: uuid
            for replica, uuid in in_sync.items()
            if self._speaks_for(replica, uuid) and (standing := self._seen[replica].standing) and standing.fit
        }

    def _highest(self, replicas: Iterable[NodeId]) -> NodeId:
        return max(replicas, key=self._config.replicas.index)

    def _remembered(self) -> list[View]:
        return [seen.standing.view for seen in self._seen.values() if seen.standing and seen.standing.view]

    def _stray(self) -> bool:
        """A replica knows of a view, an epoch or a register that this one does not."""
        epoch = 0 if self.view is None else self.view.epoch
        standings = [seen.standing for seen in self._seen.values() if seen.standing]
        later = any(standing.term > epoch for standing in standings)
        claimed = any(s.promised != NO_CLAIM and not self._follows(s.promised[1]) for s in standings)
        return later or claimed or any(not self._knows(view) for view in self._remembered())

    def _follows(self, register: str) -> bool:
        return self.view is not None and self.view.follows(register)

    def _knows(self, view: View) -> bool:
        return self.view is not None and self._follows(view.register) and view.place <= self.view.place

    def _latest(self) -> View | None:
        """The highest view that anyone remembers."""
        known = [*self._remembered(), *([self.view] if self.view else [])]
        return max(known, key=lambda view: view.place, default=None)

    def _predecessors(self) -> tuple[str, ...]:
        views = [*self._remembered(), *([self.view] if self.view else [])]
        names = {name for view in views for name in (view.register, *view.taken_over)}
        names |= {seen.standing.promised[1] for seen in self._seen.values() if seen.standing} - {""}
        return tuple(sorted(names - {self._name}))

    # What an operator may ask for -------------------------------------------------------------------------------

    def appoint(self, leader: NodeId, accept_loss: bool) -> View:
        """The view that names `leader`, which `ready` gives to be stored. With `accept_loss` it may be a replica that is
        not in sync: what it lacks is lost, and a new generation begins. Raises CannotAppoint."""
        if leader not in self._seen:
            raise CannotAppoint(f"there is no order replica {leader!r}; there are {', '.join(self._seen)}")
        if self._next is not None:
            raise CannotAppoint("another change is being stored; try again")
        standing = self._seen[leader].standing
        if standing is None or not self._lives(leader):
            raise CannotAppoint(f"{leader} does not answer")
        if accept_loss:
            able = [] if self.view is None or self._stray() else sorted(self._able(self.view.in_sync))
            if able:
                raise CannotAppoint(f"{_listed(able)} {'have' if len(able) > 1 else 'has'} everything: nothing need be lost")
            self._next = self._accept_loss(leader, standing.uuid)
        else:
            view = self.view
            if view is None or self._stray() or leader not in self._able(view.in_sync):
                raise CannotAppoint(f"{leader} is not in sync; to lose what it lacks, say so (--accept-loss)")
            if leader == view.leader:
                raise CannotAppoint(f"{leader} leads already")
            self._change(leader, view.in_sync, new_epoch=True)
        assert self._next is not None
        return self._next

    def _accept_loss(self, leader: NodeId, uuid: str) -> View:
        latest = self._latest()
        generation, version = latest.place if latest else (0, 0)
        epoch = self._next_epoch(latest)
        return View(self._name, generation + 1, version + 1, epoch, leader, {leader: uuid}, self._predecessors())

    def waits_for(self) -> str:
        """Why nobody leads, and whose answer would help; "" where a leader is in office or about to be."""
        if self._stray():
            latest = self._latest()
            members = latest.in_sync if latest else dict.fromkeys(self._seen, "")
            silent = [r for r in self._seen if not (self._speaks_for(r, members[r]) if r in members else self._lives(r))]
            return f"this register lacks the latest views; waiting for {_listed(silent)}" if silent else ""
        if self.view is None:
            silent = [replica for replica in self._config.expected if not self._lives(replica)]
            full = [r for r, seen in self._seen.items() if seen.standing and not seen.standing.empty]
            if full:
                return f"{_listed(full)} holds a ledger of which this register knows nothing"
            return f"waiting for the first answer of {_listed(silent)}" if silent else ""
        if not self._lost(self.view) or self._able(self.view.in_sync):
            return ""
        others = [r for r in self._seen if r not in self.view.in_sync and self._lives(r)]
        behind = f"; {_listed(others)} is alive, and may lack acknowledged orders" if others else ""
        return f"waiting for {_listed(list(self.view.in_sync), 'or')}, which has every acknowledged order{behind}"

    # Output -----------------------------------------------------------------------------------------------------

    def _ping(self) -> None:
        """Tell everyone the stored view, and ask how they stand."""
        self._pinged = self.now
        self._seq += 1
        term = 0 if self.view is None else self.view.epoch
        claim = self._claim if self.view is None or self._stray() else NO_CLAIM
        silent = tuple(replica for replica in self._seen if not self._lives(replica))
        self._send += [Ping(self._config.id, replica, term, self._seq, self.view, claim, silent) for replica in self._seen]

    def ready(self) -> RegisterReady:
        send, self._send = tuple(self._send), []
        view = None
        if self._next is not None and not self._storing:
            self._storing, view = True, self._next
        return RegisterReady(view, send)

    def stored(self) -> None:
        """What the last `ready` gave is on disk: now it counts, and everyone is told."""
        assert self._storing
        self.view, self._next, self._storing = self._next, None, False
        self._ping()

    def store_failed(self) -> None:
        """It may be on disk or not; it is tried again as it is, and nobody has been told."""
        assert self._storing
        self._storing = False


def _listed(names: list[NodeId], last: str = "and") -> str:
    return f" {last} ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
