"""The register of views over a light disk: what `frontend.appointer` does, decide, store and tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import define

from tests.core.timeline import Life
from toystore.consensus.messages import Message, NodeId
from toystore.consensus.register import Register, RegisterConfig
from toystore.consensus.views import View

if TYPE_CHECKING:
    from tests.core.world import CoreWorld

REGISTRAR = "front-1"


@define
class Store:
    """Its disk."""

    view: View | None = None


class Registrar:
    """The process that appoints, from one start to the next. It bears the names that `simulation.faults` knows it by."""

    def __init__(self, world: CoreWorld, save_seconds: Callable[[], float]) -> None:
        self.id = REGISTRAR
        self.up = False
        self.store = Store()
        self.clock = Life(world.timeline, ended=True)
        self._world, self._timeline = world, world.timeline
        self._save_seconds = save_seconds
        self._starts = self._names = 0
        self._writing: View | None = None

    def boot(self) -> None:
        assert not self.up
        config, timeline = self._world.config, self._timeline
        self._starts += 1
        self._writing = None
        self.clock = Life(timeline, runs_since=timeline.now)
        self._register = Register(
            RegisterConfig(
                self.id, config.voters, config.voters, config.heartbeat_ticks, config.election_ticks[1], config.suspect_ticks
            ),
            self.store.view.register if self.store.view else self._new_name(),
            self.store.view,
            self._starts * 1_000_000_000,
        )
        self.up = True
        self._tick_due = timeline.now + self._world.plan.shape.tick
        self.clock.later(self._world.plan.shape.tick, self._tick)

    def _new_name(self) -> str:
        self._names += 1
        return f"register:{self._names}"

    def _tick(self) -> None:
        now, seconds = self._timeline.now, self._world.plan.shape.tick
        count = 1 + int((now - self._tick_due) / seconds + 1e-9)
        self._tick_due += count * seconds
        self.clock.later(max(0.0, self._tick_due - now), self._tick)
        self._register.tick(count)
        self._act()

    def arrive(self, message: Message) -> None:
        if not self.up:
            self._world.refused(message)
        elif self.clock.paused:
            self.clock.later(0.0, self.arrive, message)
        else:
            self._register.step(message)
            self._act()

    def unreachable(self, peer: NodeId) -> None:
        self._register.unreachable(peer, True)
        self._act()

    def _act(self) -> None:
        ready = self._register.ready()
        for message in ready.send:
            self._world.carry(self, message)
        if ready.view is not None:
            self._writing = ready.view
            self.clock.later(self._save_seconds(), self._written, self._register)

    def _written(self, register: Register) -> None:
        self._keep()
        register.stored()
        self._act()

    def _keep(self) -> None:
        assert self._writing is not None
        self.store.view, self._writing = self._writing, None
        self._world.stored(self.store.view)

    @property
    def writing(self) -> bool:
        """A view is on its way to the disk."""
        return self._writing is not None

    def kill(self, keep: bool = False) -> None:
        """`keep`: a view that was being written has reached the disk."""
        self.clock.end()
        self.up = False
        if keep and self._writing is not None:
            self._keep()
        self._writing = None

    def lose(self) -> None:
        """Its disk is gone: who starts next is another register."""
        self.kill()
        self.store = Store()
