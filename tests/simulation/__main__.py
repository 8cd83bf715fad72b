"""Repeat a seed: `python -m tests.simulation 123 --trace`; `--without crash` takes one kind of fault away."""

from __future__ import annotations

import argparse
import sys

from attrs import fields
from twisted.logger import globalLogBeginner

from tests.simulation.faults import Faults
from tests.simulation.world import Failed, World


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many seeds, from that one on")
    parser.add_argument("--trace", action="store_true", help="print what happens, with virtual time")
    parser.add_argument("--messages", action="store_true", help="print each message as well")
    parser.add_argument("--hash", action="store_true", help="print the hash of the trace")
    parser.add_argument("--election", choices=("raft", "appointed"), default="raft", help="how the leader is chosen")
    kinds = [field.name for field in fields(Faults)]
    parser.add_argument("--without", action="append", default=[], choices=kinds, help="take a fault away")
    options = parser.parse_args()
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    failed = 0
    for seed in range(options.seed, options.seed + options.count):
        world = World(seed, tuple(options.without), print if options.trace else None, options.election)
        if options.messages:
            world.show_messages(print)
        try:
            world.play()
        except Failed as error:
            failed += 1
            print(error)
        print(f"seed {seed}: {', '.join(f'{n} {what}' for what, n in sorted(world.tally.items()))}")
        if options.hash:
            print(world.trace_hash)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
