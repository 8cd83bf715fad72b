"""Plays the core: `python -m tests.core 123 --trace`, `python -m tests.core 1 --count 1000 --election appointed`.

`--plan FILE` plays the plan in a file, `--write FILE` writes that of the seed.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from statistics import median
from time import process_time

from tests.core.swarm import draw
from tests.core.world import CoreWorld
from tests.simulation.plan import Plan
from tests.simulation.world import Failed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.core", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many seeds, from that one on")
    parser.add_argument("--election", choices=("raft", "appointed"), default="raft", help="how the leader is chosen")
    parser.add_argument("--plan", type=Path, help="play this plan instead")
    parser.add_argument("--write", type=Path, help="write the plan of the first seed, and play nothing")
    parser.add_argument("--without", action="append", default=[], metavar="KIND", help="take a kind of fault away")
    parser.add_argument("--theme", default="", help="play only this theme (see tests.core.swarm)")
    parser.add_argument("--until-violation", action="store_true", help="end with the first run that fails")
    parser.add_argument("--trace", action="store_true", help="print what happens, with virtual time")
    parser.add_argument("--messages", action="store_true", help="print each message as well")
    parser.add_argument("--hash", action="store_true", help="print the fingerprint of each run")
    options = parser.parse_args()
    if options.plan is not None:
        plans = iter([Plan.from_json(options.plan.read_bytes())])
    else:
        seeds = range(options.seed, options.seed + options.count)
        plans = (draw(seed, options.election, options.theme) for seed in seeds)
    if options.write is not None:
        options.write.write_text(next(plans).without(*options.without).to_json())
        return 0
    tallies: list[Counter[str]] = []
    points: Counter[str] = Counter()
    failed, began = 0, process_time()
    for count, plan in enumerate(plans, 1):
        plan = plan.without(*options.without)
        world = CoreWorld(plan, print if options.trace else None, _show if options.messages else None)
        try:
            world.play()
        except Failed as error:
            failed += 1
            print(f"run {count}: {error}", flush=True)
        tallies.append(world.tally)
        points += world.mischief.points
        if options.hash:
            print(plan.seed, world.fingerprint)
        if failed and options.until_violation:
            break
    _report(tallies, points, failed, process_time() - began)
    return 1 if failed else 0


def _report(tallies: list[Counter[str]], points: Counter[str], failed: int, seconds: float) -> None:
    runs, total = len(tallies), sum(tallies, Counter[str]())
    each = ", ".join(f"{median(t[what] for t in tallies):g} {what}" for what in ("commits", "elections", "faults", "reads"))
    print(
        f"{runs} schedules in {seconds:.1f} s of CPU in one process ({60 * runs / max(seconds, 1e-9):.0f} a minute of it),"
        f" {total['seconds'] / max(seconds, 1e-9):.0f} simulated hours an hour; in the median {each}; {len(points)} points"
        f" hit; {failed} failed"
    )
    print("in all: " + ", ".join(f"{n} {what}" for what, n in sorted(total.items())))


def _show(now: float, message: object, delays: object) -> None:
    print(f"{now:10.6f}     {message} {delays}")


if __name__ == "__main__":
    sys.exit(main())
