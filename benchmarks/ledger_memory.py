"""Does a ledger grow in memory with its orders? Applies a million of them to a SQLite storage, and says.

    python benchmarks/ledger_memory.py [--orders 1000000] [--batch 200] [--directory DIR]

Prints orders a second, and the resident memory of the process after the first tenth and at the end. Exit code 1 where
it grew by more than 40 MB between the two: an order takes 200 bytes on disk and more in memory, so that keeping even the
bare rows of 900,000 would take 180 MB, while the tables of remembered request ids, rebuilt now and then, leave gaps of
up to 20 MB in the heap, which come once and stay.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from toystore.consensus.messages import Entry, HardState, Kind
from toystore.encoding import encode_entry
from toystore.model import CatalogRow, Done, Line, LoadCatalog, PlaceOrder, Request
from toystore.storage.sqlite import SqliteStorage
from toystore.storage.thread import Inline

T = TypeVar("T")

PRODUCTS = 10
KEPT_ENTRIES = 10_000
ALLOWED_GROWTH_MB = 40


def now(result: Deferred[T]) -> T:
    """The result of a call that has been carried out already."""
    values: list[T] = []
    result.addCallbacks(values.append, lambda failure: failure.raiseException())
    return values[0]


def resident_mb() -> float:
    """What this process holds in memory at this moment."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def commands(orders: int) -> Iterator[Request]:
    """A catalog, then orders that sell and buy in turn, so that the stock lasts."""
    yield Request("catalog", LoadCatalog(tuple(CatalogRow(f"toy {n}", 1299, 100) for n in range(PRODUCTS))))
    for n in range(orders):
        line = Line(f"toy {n // 2 % PRODUCTS}", 1 + n // 2 % 9)
        yield Request(f"request-{n:020}", PlaceOrder("buy" if n % 2 else "sell", (line,), f"key-{n:020}"))


def run(storage: SqliteStorage, orders: int, batch: int) -> float:
    """Apply them all; the growth in megabytes after the first tenth."""
    now(storage.open())
    now(storage.save(HardState(1, None), []))
    waiting: list[Entry] = []
    early, placed, index = 0.0, 0, 0
    start = lap = time.perf_counter()
    for index, request in enumerate(commands(orders), 1):
        waiting.append(Entry(index, 1, Kind.COMMAND, encode_entry(index, request)))
        if len(waiting) < batch and index <= orders:
            continue
        now(storage.save(None, waiting))
        applied = now(storage.apply(waiting))
        assert all(isinstance(a.outcome, Done) for a in applied), "an order was refused"
        placed += len(waiting)
        waiting = []
        if index > KEPT_ENTRIES:
            now(storage.compact(index - KEPT_ENTRIES))
        if time.perf_counter() - lap > 10 or index > orders:
            lap = time.perf_counter()
            print(f"{index:>9} entries {placed / (lap - start):>8.0f}/s {resident_mb():>7.1f} MB", flush=True)
        if not early and index >= orders // 10:
            early = resident_mb()
    print(f"memory after {orders // 10} orders: {early:.1f} MB, after {orders}: {resident_mb():.1f} MB")
    growth = resident_mb() - early
    now(storage.close())
    return growth


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=200, help="orders in one transaction")
    parser.add_argument("--directory", help="where to keep the ledger (default: a temporary directory)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        reactor: Any = Clock()  # never asked for a thread: the jobs run inline
        storage = SqliteStorage(Path(directory) / "ledger", reactor, Inline())
        growth = run(storage, options.orders, options.batch)
    return 1 if growth > ALLOWED_GROWTH_MB else 0


if __name__ == "__main__":
    sys.exit(main())
