"""The front end that appoints: drives the register of views (consensus/register.py) over its disk and the network.

Decide, store, tell: in that order, in one function. With it this front end answers at `POST /peer/view` what replicas
ask, and at `/views` what an operator asks.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from toystore.consensus.messages import Message, NodeId
from toystore.consensus.register import Register, RegisterConfig
from toystore.consensus.views import View
from toystore.replication.transport import Transport
from toystore.storage.interface import DiskFull
from toystore.storage.views import ViewStore

log = Logger()

RETRY_FULL = 1.0
"""Seconds after which a full disk is tried again."""


class Appointer:
    """`new_name` gives the id of a register that begins, `start` the number that its pings count from; `tick` is in
    seconds. `on_failure` is told of anything that must end the process."""

    def __init__(
        self,
        config: RegisterConfig,
        store: ViewStore,
        transport: Transport,
        clock: IReactorTime,
        new_name: Callable[[], str],
        start: int,
        on_failure: Callable[[Failure], None],
        tick: float = 0.01,
    ) -> None:
        self._config, self._store, self._transport, self._clock = config, store, transport, clock
        self._new_name, self._start, self._on_failure, self._tick_seconds = new_name, start, on_failure, tick
        self._register: Register | None = None
        self._waiting: list[Deferred[View]] = []
        self._ticking = LoopingCall.withCount(self._tick)
        self._ticking.clock = clock
        transport.attach(self)

    async def start(self) -> None:
        """Raises StorageError."""
        view = await self._store.open()
        name = self._new_name() if view is None else view.register
        self._register = Register(self._config, name, view, self._start)
        log.info("the register of views begins with {view}", view=view)
        self._ticking.start(self._tick_seconds, now=False).addErrback(self._fail)

    async def stop(self) -> None:
        self._end()
        await self._store.close()

    def _end(self) -> None:
        self._register = None
        if self._ticking.running:
            self._ticking.stop()
        self._transport.close()

    def _fail(self, failure: Failure) -> None:
        if self._register is not None:
            log.failure("the register of views can not go on", failure)
            self._end()
            self._on_failure(failure)

    # Input

    def _tick(self, count: int) -> None:
        """`count` is above 1 where the process was away: time has passed for the register too."""
        if self._register is not None:
            self._register.tick(count)
            self._act(self._register)

    def receive(self, messages: Sequence[Message]) -> Deferred[None]:
        register = self._register
        if register is not None:
            try:
                for message in messages:
                    register.step(message)
                self._act(register)
            except Exception:
                self._fail(Failure())
        return succeed(None)

    def unreachable(self, peer: NodeId, gone: bool) -> None:
        if self._register is not None:
            self._register.unreachable(peer, gone)
            self._act(self._register)

    # Decide, store, tell

    def _act(self, register: Register) -> None:
        ready = register.ready()
        for message in ready.send:
            self._transport.send(message)
        if ready.view is not None:
            self._go(self._keep(register, ready.view))

    def _go(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        Deferred.fromCoroutine(work).addErrback(self._fail)

    async def _keep(self, register: Register, view: View) -> None:
        try:
            await self._store.save(view)
        except DiskFull as error:
            log.error("no view can be stored: {reason}", reason=error)
            self._clock.callLater(RETRY_FULL, register.store_failed)
            return
        if register is not self._register:
            return
        register.stored()
        log.info(
            "view {version}: epoch {epoch}, leader {leader}, in sync {in_sync}",
            version=view.version, epoch=view.epoch, leader=view.leader, in_sync=", ".join(view.in_sync),
        )  # fmt: skip
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(view)
        self._act(register)

    # What it knows, and may be told

    @property
    def view(self) -> View | None:
        """The one that is stored."""
        return None if self._register is None else self._register.view

    def waits_for(self) -> str:
        """Why nobody leads, and whose answer would help; "" where that is not so."""
        return "" if self._register is None else self._register.waits_for()

    def appoint(self, leader: NodeId, accept_loss: bool) -> Deferred[View]:
        """An operator names the leader; fires with the view that does, once it is stored. Raises CannotAppoint."""
        assert self._register is not None, "not started"
        self._register.appoint(leader, accept_loss)
        if accept_loss:
            log.warn("an operator has accepted the loss of what {leader} lacks", leader=leader)
        stored: Deferred[View] = Deferred()
        self._waiting.append(stored)
        self._act(self._register)
        return stored
