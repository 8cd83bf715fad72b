"""A run: bursts of faults while customers go on, each followed by a calm in which the store must recover.

That it recovers is a check like any other: once all faults of a burst are gone, every client must be served by the leader
within `SERVED_SECONDS`, and every replica must be in sync again within `WHOLE_SECONDS` (times the patience that was asked
for). Where not, the run ends there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, TextIO

from attrs import define, field, frozen

from toystore.together import together
from toystore.torture.blows import Down, KillElected, Pause, RestartAll, Rolling, Wipe, down_politely
from toystore.torture.customers import Customers
from toystore.torture.disks import Clock, FullDisk, SlowDisk
from toystore.torture.network import BadLink, LinkDown, OneWay, Split
from toystore.torture.planner import Burst, Planned
from toystore.torture.stage import Fault, Skipped, Stage, out_of_sync

SERVED_SECONDS = 30.0
WHOLE_SECONDS = 60.0

FAULTS: Mapping[str, Callable[[Planned], Fault]] = {
    "kill": Down,
    "kill-leader": Down,
    "kill-elected": KillElected,
    "pause": Pause,
    "pause-leader": Pause,
    "stop": down_politely,
    "hand-over": down_politely,
    "restart-all": RestartAll,
    "rolling": Rolling,
    "link-down": LinkDown,
    "one-way": OneWay,
    "split": Split,
    "bad-link": BadLink,
    "full-disk": FullDisk,
    "slow-disk": SlowDisk,
    "clock": Clock,
    "wipe": Wipe,
}


@frozen
class Stuck:
    """The store has not recovered from a burst: what is wrong with it, and since when (seconds of the monotonic clock)."""

    at: float
    what: str


@define
class Journal:
    """What was done, as JSON lines and for people; `note` takes the seconds since the run began from `now`."""

    file: TextIO
    now: Callable[[], float]
    say: Callable[[str], None]

    def note(self, what: str, text: str, **more: Any) -> None:
        at = self.now()
        self.file.write(json.dumps({"at": round(at, 3), "what": what, "text": text, **more}) + "\n")
        self.file.flush()
        self.say(f"{at:7.1f} s  {what:<12} {text}")


@define
class Ordeal:
    """`seconds`: no burst begins later; `patience`: a factor on the bounds above; `seen` is told
    of each fault that has begun, by the name of its kind."""

    stage: Stage
    customers: Customers
    journal: Journal
    seconds: float
    patience: float
    seen: Callable[[str, str], None]
    done: Counter[str] = field(factory=Counter)
    skipped: Counter[str] = field(factory=Counter)
    recoveries: list[float] = field(factory=list)
    """How long each calm took until all was well, in seconds."""

    async def run(self, bursts: Iterator[Burst]) -> Stuck | None:
        """What it got stuck on, None where it has survived."""
        until = self.stage.reactor.seconds() + self.seconds
        for number, burst in enumerate(bursts, 1):
            if self.stage.reactor.seconds() >= until:
                return None
            self.journal.note("burst", f"{number}: {len(burst)} faults")
            remaining = until - self.stage.reactor.seconds()
            await together(self._hit(planned) for planned in burst if planned.at < remaining)
            stuck = await self.calm()
            if stuck is not None:
                self.journal.note("STUCK", stuck.what)
                return stuck
        return None

    async def _hit(self, planned: Planned) -> None:
        stage, kind = self.stage, planned.kind.name
        await stage.pause(planned.at)
        fault = FAULTS[kind](planned)
        try:
            text = await fault.begin(stage)
        except Skipped as reason:
            self.skipped[kind] += 1
            self.journal.note(kind, f"left out: {reason}", number=planned.number, skipped=True)
            return
        self.done[kind] += 1
        self.seen(kind, text)
        self.journal.note(kind, f"{text}, for {planned.seconds:.1f} s", number=planned.number)
        await stage.pause(planned.seconds)
        await fault.end(stage)
        self.journal.note(kind, "over", number=planned.number)

    async def calm(self) -> Stuck | None:
        """All faults are over: wait until all is well again; what is wrong if it does not become so."""
        stage = self.stage
        began = stage.reactor.seconds()
        served_seconds, whole_seconds = SERVED_SECONDS * self.patience, WHOLE_SECONDS * self.patience

        async def all_served() -> bool:
            return not self._unserved(began)

        if not await stage.until(all_served, served_seconds):
            names = ", ".join(self._unserved(began))
            return await self._stuck(f"not served within {served_seconds:.0f} s after all faults were over: {names}")
        replicas = [name for name in stage.layout.nodes if not name.startswith("front")]

        async def whole() -> bool:
            return not out_of_sync(await stage.watch.look(), replicas)

        if not await stage.until(whole, began + whole_seconds - stage.reactor.seconds()):
            names = ", ".join(out_of_sync(await stage.watch.look(), replicas))
            return await self._stuck(f"not in sync within {whole_seconds:.0f} s after all faults were over: {names}")
        self.recoveries.append(stage.reactor.seconds() - began)
        self.journal.note("calm", f"all served and in sync again after {self.recoveries[-1]:.1f} s")
        return None

    def _unserved(self, since: float) -> list[str]:
        served = self.customers.pulse.served
        return [name for name in self.customers.names() if served.get(name, 0.0) < since]

    async def _stuck(self, what: str) -> Stuck:
        said = await self.stage.watch.look()
        shown = {
            name: status and {key: status.get(key) for key in ("state", "leader", "term", "commit_index", "reasons")}
            for name, status in said.items()
        }
        return Stuck(self.stage.reactor.seconds(), f"{what}; {json.dumps(shown)}")


def schedule(bursts: Iterator[Burst], count: int) -> Iterator[str]:
    """The first bursts for people, a line a fault."""
    for number, burst in enumerate(islice(bursts, count), 1):
        for planned in burst:
            told = f"{planned.at:5.1f} s for {planned.seconds:4.1f} s  {planned.kind.name:<12}"
            yield f"{number:3}  {told} {planned.targets[0]} {dict(planned.draw) or ''}".rstrip()
