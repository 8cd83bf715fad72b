"""How long a replica takes to read all that it keeps anew, and what that costs its commits.

    python -m benchmarks.scrub [--orders 100000] [--commits 2000] [--batch 8] [--directory DIR]

Fills a storage with orders, and measures on its own thread, as in a replica:

- a pass without rests: what it takes of the storage's time, and the longest slice, which is what a commit may wait;
- commits of `--batch` orders one after the other (save and apply), without a scrub, with one that rests as a replica's does,
  and without one again: half of them take no longer than p50.

A replica's pass rests 19 times as long as it reads, so that it takes about 20 times the first figure.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from benchmarks.machine import percentile
from toystore.consensus.messages import Entry, HardState, Kind
from toystore.encoding import encode_entry
from toystore.model import CatalogRow, Line, LoadCatalog, PlaceOrder, Request
from toystore.replication.scrubbing import Scrubber
from toystore.storage.sqlite import SqliteStorage

PRODUCTS = 10
KEPT_ENTRIES = 16_384
FILL_BATCH = 500


def requests(chance: random.Random) -> Iterator[Request]:
    """A catalog, then orders that sell and buy in turn; ids and keys are as random as those of customers."""
    yield Request("catalog", LoadCatalog(tuple(CatalogRow(f"toy {n}", 1299, 100) for n in range(PRODUCTS))))
    for n in count():
        request_id = f"{chance.getrandbits(96):024x}"
        line = Line(f"toy {n // 2 % PRODUCTS}", 1 + n // 2 % 9)
        yield Request(request_id, PlaceOrder("buy" if n % 2 else "sell", (line,), request_id))


@define
class Bench:
    reactor: Any
    storage: SqliteStorage
    _source: Iterator[Request]
    _last: int = 0
    slices: list[float] = field(factory=list)

    async def commit(self, orders: int) -> None:
        entries = []
        for request in islice(self._source, orders):
            self._last += 1
            entries.append(Entry(self._last, 1, Kind.COMMAND, encode_entry(self._last, request)))
        saved, applied = self.storage.save(None, entries), self.storage.apply(entries)
        await saved
        await applied

    async def fill(self, orders: int) -> None:
        await self.storage.open()
        await self.storage.save(HardState(1, None), [])
        for _ in range(-(-orders // FILL_BATCH)):
            await self.commit(FILL_BATCH)
            if self._last > KEPT_ENTRIES:
                await self.storage.compact(self._last - KEPT_ENTRIES)
        await self.storage.flush()

    async def whole_pass(self) -> tuple[int, float, float]:
        """Rows, seconds and processor seconds of a pass that never rests; `slices` has the time of each slice."""
        began, spent = time.perf_counter(), time.process_time()
        last = began

        def pause() -> Deferred[None]:
            nonlocal last
            now = time.perf_counter()
            self.slices.append(now - last)
            last = now
            return succeed(None)

        rows = await self.storage.scrub(pause)
        return rows, time.perf_counter() - began, time.process_time() - spent

    async def commits(self, number: int, batch: int) -> list[float]:
        """Milliseconds of each."""
        taken = []
        for _ in range(number):
            began = time.perf_counter()
            await self.commit(batch)
            taken.append(1000 * (time.perf_counter() - began))
        return taken

    async def beside_a_scrub(self, number: int, batch: int) -> list[float]:
        found: list[Failure] = []
        scrubber = Scrubber(self.storage, self.reactor, 0.001, lambda: 0, found.append)
        scrubber.start()
        taken = await self.commits(number, batch)
        scrubber.stop()
        if found:
            found[0].raiseException()
        return taken


async def measure(bench: Bench, options: argparse.Namespace) -> None:
    began = time.perf_counter()
    await bench.fill(options.orders)
    print(f"{options.orders} orders were placed in {time.perf_counter() - began:.0f} s")
    rows, seconds, cpu = await bench.whole_pass()
    slices = ", ".join(f"p{part:g} {1000 * percentile(bench.slices, part / 100):.1f} ms" for part in (50, 99, 100))
    print(
        f"a pass: {rows} rows, {seconds:.2f} s of the storage's time, {cpu:.2f} s of a core ({rows / cpu:.0f} rows/s);"
        f" a slice {slices}; with its rests some {20 * seconds:.0f} s"
    )
    for name, work in (
        ("without a scrub", bench.commits),
        ("beside a scrub", bench.beside_a_scrub),
        ("without again", bench.commits),
    ):
        taken = await work(options.commits, options.batch)
        figures = ", ".join(f"{label} {percentile(taken, part):.2f}" for label, part in (("p50", 0.5), ("p99", 0.99)))
        print(f"a commit of {options.batch} orders {name}: {figures}, longest {max(taken):.2f} ms")
    await bench.storage.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--commits", type=int, default=2000, help="of each kind")
    parser.add_argument("--batch", type=int, default=8, help="orders in one commit")
    parser.add_argument("--directory", help="where to keep the ledger (default: a temporary directory)")
    options = parser.parse_args()
    from twisted.internet import reactor as installed

    reactor: Any = installed
    failures: list[Failure] = []
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        storage = SqliteStorage(Path(directory) / "ledger", reactor)
        bench = Bench(reactor, storage, requests(random.Random(1)))

        def begin() -> None:
            Deferred.fromCoroutine(measure(bench, options)).addErrback(failures.append).addBoth(lambda _: reactor.stop())

        reactor.callWhenRunning(begin)
        reactor.run()
    for failure in failures:
        failure.printTraceback()
    return 3 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
