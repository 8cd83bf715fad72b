"""The rules of the core and of the views (design 3 and 3.1), told what happens in a run.

`Witness` calls this from its hooks; what must never happen is in checkers.py and view_checkers.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tests.simulation.checkers import CommitRises, OwnTermCounts
from tests.simulation.cluster import Process
from tests.simulation.view_checkers import Changes, Followers, Joining, Offices, Registers, Views
from tests.simulation.watch import holds_on_disk, term_on_disk
from toystore.consensus.messages import Append, Ask, Entry, HardState, Heartbeat, Message, Ping
from toystore.consensus.views import NO_CLAIM, View

if TYPE_CHECKING:
    from tests.simulation.witness import Witness


class Rules:
    """`views` has the latest stored view (`views.present`)."""

    def __init__(self, world: Witness, voters: Sequence[str]) -> None:
        self._world, self._check = world, world.check
        self._appointed = world.plan.election == "appointed"
        self.views, self._changes, self._joining = Views(), Changes(), Joining()
        self._registers = Registers(voters)
        self._rises, self._own_term = CommitRises(), OwnTermCounts()
        self._offices, self._followers = Offices(), Followers()
        self._asked: dict[tuple[str, int], list[Ask]] = {}
        self._office: dict[str, int | None] = {}
        self._disks: dict[str, str] = {}

    # Processes

    def started(self, process: Process) -> None:
        if self._disks.setdefault(process.id, process.disk.uuid) != process.disk.uuid:
            self._forgot(process)
        self._office[process.id] = None
        if self._appointed:  # a crash may have kept a write of which nobody heard the end
            hard_state = process.disk.hard_state
            if hard_state.view is not None:
                self._check(self._registers.held, process.id, hard_state.view)
            if hard_state.promised != NO_CLAIM:
                self._registers.promised(process.id, hard_state.promised[1])
        self._check(self._rises.started, process.id, process.disk.uuid, process.node.log.applied)

    def _forgot(self, process: Process) -> None:
        """Its disk is another one."""
        self._disks[process.id] = process.disk.uuid
        for checker in (self.views, self._followers, self._registers):
            checker.forgot(process.id)

    def killed(self, process: Process) -> None:
        self._offices.over(process.id, process.starts)

    def seen(self, process: Process) -> None:
        """It has had a turn."""
        self._check(self._rises.committed, process.id, process.node.log.commit)
        self._look_at_office(process)

    def _look_at_office(self, process: Process) -> None:
        node = process.node
        leads, led = node.hard_state.term if node.leadership is not None else None, self._office[process.id]
        if leads == led:
            return
        self._office[process.id] = leads
        if led is not None and self._appointed:
            if process.disk.full or not node.writable:
                self._offices.over(process.id, process.starts)
            self._check(self._offices.left, process.id, led, node.hard_state.term)
        if leads is not None and self._appointed:
            self._check(self._offices.begins, process.id, process.starts, leads, process.disk.hard_state.view)

    # Messages

    def sent(self, message: Message) -> None:
        match message:
            case Append() | Heartbeat() if self._appointed:
                self._acts(message)
            case Ask():
                self._acts(message)
                self._asks(message)
            case Ping() if message.view is not None:
                self._check(self.views.told, message.view)

    def _acts(self, message: Message) -> None:
        process = self._world.processes[message.sender]
        self._look_at_office(process)
        self._check(self._offices.acts, message.sender, process.starts, message.term)

    def _asks(self, ask: Ask) -> None:
        voters = self._world.voters
        self._asked.setdefault((ask.sender, ask.term), []).append(ask)
        self._changes.asked(ask.sender, ask.term, ask.version, ask.leader, ask.in_sync)
        disks = {voter.id: voter.disk.uuid for voter in voters}
        holds = {voter.id: self._holds(voter) for voter in voters}
        self._check(self._joining.asked, ask.term, ask.version, ask.in_sync, disks, holds)

    def asked_by(self, process: Process) -> list[Mapping[str, str]]:
        """The in-sync sets that it, as the leader it is, has asked for, and that may have been stored meanwhile."""
        view, term = self.views.present, process.term()
        if view is None or process.node.leadership is None:
            return []
        asked = self._asked.get((process.id, term), ())
        return [ask.in_sync for ask in asked if ask.version >= view.version]

    def _holds(self, voter: Process) -> int:
        """Up to which index its disk has what is committed."""
        committed = self._world.committed
        for index in range(committed.last, 0, -1):
            term = committed.term_of(index)
            if term is not None and holds_on_disk(voter, index, term):
                return index
        return 0

    # Logs

    def commits(self, process: Process, index: int, term: int) -> None:
        node = process.node
        self._joining.committed(index, term)
        if node.leadership is not None and index == node.log.commit:
            self._check(self._own_term.leader_commits, process.id, node.hard_state.term, index, term)

    def saves(self, process: Process, entries: Sequence[Entry]) -> None:
        """Over what is on its disk."""
        state, during = process.disk.state, process.term()
        new = {entry.index: entry.term for entry in entries}
        for index in range(max(entries[0].index, state.base_index + 1), state.last_index() + 1):
            term = term_on_disk(process, index)
            if new.get(index) != term:
                self._check(self._world.committed.dropped, process.id, index, term, during)
        if self._appointed and process in self._world.voters:
            self._check(self._followers.takes, process.id, during)

    def applied(self, process: Process, first: int, last: int) -> None:
        self._check(self._rises.committed, process.id, process.node.log.commit)
        self._check(self._rises.applied, process.id, first, last)

    def installed(self, process: Process, index: int) -> None:
        self._check(self._rises.installed, process.id, index)

    # Views

    def stored(self, view: View) -> None:
        self._check(self.views.stored, view)
        self._check(self._changes.stored, view)
        self._joining.stored(view)
        empty = [voter.id for voter in self._world.voters if voter.disk.state.last_index() == 0]
        self._check(self._registers.stored, view, empty)

    def synced(self, process: Process, hard_state: HardState) -> None:
        """A term, vote, view or promise is on its disk."""
        if not self._appointed:
            return
        if self._disks[process.id] != process.disk.uuid:
            self._forgot(process)
        if hard_state.promised != NO_CLAIM:
            self._registers.promised(process.id, hard_state.promised[1])
        if hard_state.view is not None:
            self._check(self.views.held, process.id, hard_state.view)
            self._check(self._registers.held, process.id, hard_state.view)
            self._followers.held(process.id, hard_state.view)
            self._back_to(self.views.present)

    def register_lost(self) -> None:
        """Its disk is gone, with a view that may be on no replica's disk yet."""
        self.views.lost()
        self._back_to(self.views.present)

    def _back_to(self, view: View | None) -> None:
        """The latest is this one: what was lost before anybody had it does not count, what was found again does."""
        for checker in (self._changes, self._joining, self._registers):
            checker.present = view
