"""A whole cluster of replicas in one process and in virtual time: the production loop over disks in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tests.simulation.clock import Timeline, VirtualClock
from toystore.consensus.messages import Message, NodeId
from toystore.consensus.node import Node, NodeConfig
from toystore.consensus.register import RegisterConfig
from toystore.consensus.views import View
from toystore.frontend.appointer import Appointer
from toystore.replication.loopback import Fate, Loopback, prompt
from toystore.replication.replicator import Pace, Replicator
from toystore.replication.transport import Inbox
from toystore.storage.memory import MemoryDisk, MemoryStorage
from toystore.storage.views import MemoryViewStore

REGISTRAR = "front-1"


class Process:
    """One replica, from one start to the next: what runs has the process's own clock, what survives is its `disk`."""

    def __init__(self, cluster: Cluster, node: NodeId, disk: MemoryDisk) -> None:
        self.id, self.disk = node, disk
        self.failure: Failure | None = None
        """Why the last incarnation ended by itself."""
        self.up = False
        self._cluster = cluster
        self.starts = 0
        """Which of its lives this is."""
        self._rate = 1.0
        self.led_since = 0.0
        self.stopping = False
        self._mourners: dict[Callable[[], None], None] = {}

    def boot(self) -> None:
        """Start it; whatever ran before must have ended."""
        assert not self.up
        cluster = self._cluster
        self.starts += 1
        self.failure = None
        self.clock = VirtualClock(cluster.timeline, self._turn_over, self._rate)
        self.plug = _Plug(self, cluster.network)
        self.disk.stalled = self.stopping = False
        self.replica = Replicator(
            evolve(cluster.config, id=self.id),
            cluster.open_storage(self),
            self.plug,
            self.clock,
            cluster.streams(f"replica/{self.id}/{self.starts}"),
            lambda: int(1_000 * (cluster.timeline.now + 1_000 + cluster.skew.get(self.id, 0.0))),
            self._ended,
            cluster.pace,
        )
        self.starting = Deferred.fromCoroutine(self.replica.start())
        self.starting.addCallbacks(self._started, self._ended)

    def _started(self, _: None) -> None:
        self.up = True
        self._cluster.started(self)

    def _ended(self, failure: Failure) -> None:
        """It can not go on: the process ends itself, as soon as it has said so."""
        self.failure = failure
        self._cluster.clock.callLater(0, self._cluster.ended, self, self.clock)

    def kill(self, keep: int = 0) -> None:
        """SIGKILL. `keep`: so many of the calls under way have been carried out by the disk."""
        self.clock.end()
        self.plug.close()
        self.disk.crash(keep)
        self.up = False
        mourners, self._mourners = self._mourners, {}
        for mourner in mourners:
            self._cluster.clock.callLater(0.0005, mourner)

    def set_rate(self, rate: float) -> None:
        """Its monotonic clock runs at so many seconds a second, also after the next start."""
        self._rate = rate
        self.clock.run_at(rate)

    def when_dead(self, mourner: Callable[[], None]) -> Callable[[], None]:
        """Tell `mourner` when it has died, once; the result takes that back."""
        self._mourners[mourner] = None
        return lambda: self._mourners.pop(mourner, None)

    @property
    def ended(self) -> bool:
        return self.clock.ended

    @property
    def node(self) -> Node:
        return self.replica.node

    @property
    def leads(self) -> bool:
        return self.up and self.node.leadership is not None

    def term(self) -> int:
        return self.node.hard_state.term

    def act(self) -> None:
        """Do what its core has ready."""
        self.replica._act()

    def compact_disk(self, index: int) -> None:
        self.replica._storage.compact(index).addErrback(self.replica._fail)

    def release(self) -> None:
        """Let a stalled disk go on; a process that is paused hears of it later."""
        self.clock.callLater(0, self.disk.release)

    def _turn_over(self) -> None:
        if self.up:
            self._cluster.seen(self)

    def arrived(self, inbox: Inbox, messages: Sequence[Message]) -> None:
        if self.clock.paused:
            self.clock.callLater(0, inbox.receive, messages)
        else:
            self._cluster.arrives(self, messages)
            inbox.receive(messages)
            self._turn_over()


class _Plug:
    """A process's end of the network: what arrives while the process is paused waits in its inbox."""

    def __init__(self, process: Process | Registrar, network: Loopback) -> None:
        self._process = process
        self._transport = network.transport(process.id)

    def attach(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._transport.attach(self)

    def receive(self, messages: Sequence[Message]) -> Deferred[None]:
        self._process.arrived(self._inbox, messages)
        return Deferred()

    def unreachable(self, peer: NodeId, gone: bool) -> None:
        self._process.clock.callLater(0, self._inbox.unreachable, peer, gone)

    def send(self, message: Message) -> None:
        self._transport.send(message)

    def close(self) -> None:
        self._transport.close()


class Registrar:
    """The process that appoints, from one start to the next; what survives it is `store`."""

    def __init__(self, cluster: Cluster) -> None:
        self.id = REGISTRAR
        self.up = False
        self.store = MemoryViewStore(self._when)
        self.latency: Callable[[], float] = lambda: 0.001
        self._cluster = cluster
        self._starts = 0
        self._names = 0
        self._in_flight: Callable[[], None] | None = None

    def boot(self) -> None:
        assert not self.up
        cluster, config = self._cluster, self._cluster.config
        self._starts += 1
        self.clock = VirtualClock(cluster.timeline)
        self.plug = _Plug(self, cluster.network)
        self.appointer = Appointer(
            RegisterConfig(
                self.id, config.voters, config.voters, config.heartbeat_ticks, config.election_ticks[1], config.suspect_ticks
            ),
            self.store,
            self.plug,
            self.clock,
            self._new_name,
            self._starts * 1_000_000_000,
            lambda failure: failure.raiseException(),
            cluster.pace.tick,
        )
        Deferred.fromCoroutine(self.appointer.start())
        self.up = True

    def _new_name(self) -> str:
        self._names += 1
        return f"register:{self._names}"

    def _when(self, write: Callable[[], None], tell: Callable[[], None]) -> None:
        def written() -> None:
            self._in_flight = None
            write()
            assert self.store.view is not None
            self._cluster.stored(self.store.view)

        def done() -> None:
            written()
            tell()

        self._in_flight = written
        self.clock.callLater(self.latency(), done)

    @property
    def writing(self) -> bool:
        """A view is on its way to the disk."""
        return self._in_flight is not None

    def kill(self, keep: bool = False) -> None:
        """`keep`: a view that was being written has reached the disk."""
        self.clock.end()
        self.plug.close()
        self.up = False
        if keep and self._in_flight is not None:
            self._in_flight()
        self._in_flight = None

    def lose(self) -> None:
        """Its disk is gone: who starts next is another register."""
        self.kill()
        self.store.view = None

    def arrived(self, inbox: Inbox, messages: Sequence[Message]) -> None:
        if self.clock.paused:
            self.clock.callLater(0, inbox.receive, messages)
        else:
            inbox.receive(messages)


class Cluster:
    """Replicas by the names of their nodes. Subclasses watch: `open_storage`, `started`, `seen`, `ended`.

    Where the config says that leaders are appointed, `registrar` is the process that does. `skew` is by how many seconds
    the wall clock of a node is wrong.
    """

    def __init__(
        self,
        voters: int = 3,
        learners: int = 0,
        *,
        config: NodeConfig | None = None,
        pace: Pace | None = None,
        fate: Fate = prompt,
        streams: Callable[[str], Random] = Random,
    ) -> None:
        names = tuple(f"order-{n}" for n in range(1, voters + 1))
        followers = tuple(f"catalog-{n}" for n in range(1, learners + 1))
        config = config or NodeConfig("", ())
        appointed = config.election == "appointed"
        self.config = evolve(config, voters=names, learners=followers, register=REGISTRAR if appointed else None)
        self.pace = pace or Pace()
        self.streams = streams
        self.skew: dict[NodeId, float] = {}
        self.timeline = Timeline()
        self.clock = VirtualClock(self.timeline)
        self.network = Loopback(self.clock, fate)
        self.processes = {node: Process(self, node, self._new_disk(node)) for node in (*names, *followers)}
        self.registrar = Registrar(self) if appointed else None

    def _new_disk(self, node: NodeId) -> MemoryDisk:
        uuids = (f"{node}:{count}" for count in range(1, 1_000_000))
        return MemoryDisk(lambda: next(uuids))

    def open_storage(self, process: Process) -> MemoryStorage:
        return MemoryStorage(process.disk, process.clock)

    def started(self, process: Process) -> None:
        """It has opened its storage and runs."""

    def arrives(self, process: Process, messages: Sequence[Message]) -> None:
        """It is about to take these in."""

    def seen(self, process: Process) -> None:
        """It has had a turn: a call of its clock, or a message."""

    def ended(self, process: Process, clock: VirtualClock) -> None:
        """It could not go on, in the incarnation that had this clock."""
        if process.clock is clock and not clock.ended:
            process.kill()

    # What tests do with it

    def boot(self) -> None:
        for process in self.processes.values():
            process.boot()
        if self.registrar is not None:
            self.registrar.boot()

    def stored(self, view: View) -> None:
        """The registrar has it on its disk."""

    def run(self, seconds: float) -> None:
        end = self.timeline.now + seconds
        while self.timeline.advance(end):
            pass

    def run_until(self, holds: Callable[[], bool], within: float = 5.0) -> None:
        """Until `holds` does; it is a failure if that takes longer than `within` seconds."""
        end = self.timeline.now + within
        while not holds():
            assert self.timeline.advance(end), f"not so within {within} s: {holds}"

    @property
    def voters(self) -> list[Process]:
        return [self.processes[node] for node in self.config.voters]

    def leader(self) -> Process | None:
        return leading(self.voters)


def leading(voters: Sequence[Process]) -> Process | None:
    """The one that leads in the highest term."""
    return max((voter for voter in voters if voter.leads), key=lambda voter: voter.term(), default=None)
