"""How long it takes to check a long history: invents one, writes it down as `toystore torture` would, reads and checks it.

    python -m benchmarks.checking [--operations 1500000] [--directory DIR]

Prints the seconds of reading and of each step after it, and the peak of resident memory. Exit code 1 where all takes longer
than a minute, or where an anomaly is found: there is none.
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from benchmarks.invented import invent
from toystore.checking.files import read_final, read_recording
from toystore.checking.final import CHANGES, ORDERS, PRODUCTS, Final
from toystore.checking.history import HistoryWriter
from toystore.checking.report import check
from toystore.encoding import encode_rows

ALLOWED_SECONDS = 60.0


def write_run(directory: Path, operations: int, seed: int) -> None:
    """`history.jsonl` and the rest of it in `directory`."""
    with (directory / "history.jsonl").open("wb") as file:
        final = invent(Random(seed), operations, HistoryWriter(file).record)
    write_final(directory, final)


def write_final(directory: Path, final: Final) -> None:
    for name, rows in ((ORDERS, final.orders), (PRODUCTS, final.products), (CHANGES, final.changes or ())):
        (directory / name).write_bytes(b"".join(line + b"\n" for line in encode_rows(tuple(rows))))


def measure(directory: Path) -> tuple[float, bool]:
    """Seconds for all, and whether no anomaly was found."""
    start, worked = time.monotonic(), time.process_time()
    gc.disable()  # as `judge` does
    recording = read_recording(directory / "history.jsonl")
    print(f"history read: {time.monotonic() - start:.1f} s, {recording.count} operations")
    final = read_final(directory)
    print(f"ledger read: {time.monotonic() - start:.1f} s, {len(final.orders)} orders")
    report = check(recording, final)
    gc.enable()
    seconds = time.monotonic() - start
    print(report.text())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = (directory / "history.jsonl").stat().st_size / 1e6
    print(
        f"{size:.0f} MB of history, {recording.count} operations: {seconds:.1f} s in all"
        f" ({time.process_time() - worked:.1f} s of work), at most {peak:.0f} MB of memory"
    )
    return seconds, report.good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=1_500_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--directory", help="where the run is written, and kept (default: a temporary directory)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(options.directory or temporary)
        if not (directory / "history.jsonl").exists():
            write_run(directory, options.operations, options.seed)
        seconds, good = measure(directory)
    return 0 if good and seconds < ALLOWED_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
