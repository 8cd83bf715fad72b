"""Plays runs: `python -m tests.simulation 123 --trace`, `python -m tests.simulation 1 --count 100 --election appointed`.

`--plan FILE` plays the plan in a file, `--write FILE` writes that of the seed; `--shrink FILE` reduces the first that fails
to a few faults, and writes what is left.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from time import process_time

from twisted.logger import globalLogBeginner

from tests.simulation.plan import Plan
from tests.simulation.swarm import draw
from tests.simulation.world import Failed, World


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many seeds, from that one on")
    parser.add_argument("--election", choices=("raft", "appointed"), default="raft", help="how the leader is chosen")
    parser.add_argument("--plan", type=Path, help="play this plan instead")
    parser.add_argument("--write", type=Path, help="write the plan of the first seed, and play nothing")
    parser.add_argument("--without", action="append", default=[], metavar="KIND", help="take a kind of fault away")
    parser.add_argument("--until-violation", action="store_true", help="end with the first run that fails")
    parser.add_argument("--trace", action="store_true", help="print what happens, with virtual time")
    parser.add_argument("--messages", action="store_true", help="print each message as well")
    parser.add_argument("--hash", action="store_true", help="print the hash of the trace")
    options = parser.parse_args()
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    if options.plan is not None:
        plans = [Plan.from_json(options.plan.read_bytes())]
    else:
        seeds = range(options.seed, options.seed + options.count)
        plans = [draw(seed, options.election) for seed in seeds]
    if options.write is not None:
        options.write.write_text(plans[0].without(*options.without).to_json())
        return 0
    failed, total = 0, Counter[str]()
    began = process_time()
    for count, plan in enumerate(plans, 1):
        world = World(plan.without(*options.without), print if options.trace else None, _show if options.messages else None)
        try:
            world.play()
        except Failed as error:
            failed += 1
            print(f"run {count}: {error}")
        total += world.tally
        if options.hash:
            print(world.trace_hash)
        if failed and options.until_violation:
            break
    seconds = process_time() - began
    print(
        f"{count} runs in {seconds:.1f} s: {', '.join(f'{n} {what}' for what, n in sorted(total.items()))}; {failed} failed"
    )
    return 1 if failed else 0


def _show(now: float, message: object, delays: object) -> None:
    print(f"{now:10.6f}     {message} {delays}")


if __name__ == "__main__":
    sys.exit(main())
