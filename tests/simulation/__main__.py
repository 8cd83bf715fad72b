"""Plays runs: `python -m tests.simulation 123 --trace`, `python -m tests.simulation 1 --count 100 --election appointed`.

`--lane core` plays the core alone, `--lane whole` the whole store.
`--plan FILE` plays the plan in a file, `--write FILE` writes that of the seed. `--shrink [FILE]` takes the plan in the file,
or else the first of the seeds that fails, and reduces it to a few faults; `--out FILE` keeps what is left.
`--diagram` draws what was said and done before the violation, `--svg FILE` as a picture.
`python -m tests.simulation.figures` measures.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from time import process_time

from twisted.logger import globalLogBeginner

from tests.simulation import diagram
from tests.simulation.lanes import ELECTIONS, LANES, Lane, lane_of
from tests.simulation.plan import Plan
from tests.simulation.shrink import Budget, HoldsError, shrink
from tests.simulation.tape import Tape
from tests.simulation.witness import Failed


def main() -> int:
    parser = _options()
    options = parser.parse_args()
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    plan = options.plan or (options.shrink if isinstance(options.shrink, Path) else None)
    if plan is not None:
        plans = [Plan.from_json(plan.read_bytes())]
    else:
        seeds = range(options.seed, options.seed + options.count)
        try:
            plans = [LANES[options.lane or "orders"].draw(seed, options.election, options.theme) for seed in seeds]
        except ValueError as error:
            parser.error(str(error))
    plans = [plan.without(*options.without) for plan in plans]
    if options.write is not None:
        options.write.write_text(plans[0].to_json())
        return 0
    if options.diagram or options.svg is not None:
        return _draw(plans[0], options)
    if options.shrink:
        return _shrink(plans, options)
    return _play(plans, options)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    add = parser.add_argument
    add("seed", type=int, nargs="?", default=1, help="the first seed")
    add("--count", type=int, default=1, help="how many seeds, from that one on")
    add("--election", choices=ELECTIONS, default="raft", help="how the leader is chosen")
    add("--lane", choices=tuple(LANES), help="what is simulated (default: orders, or what the plan is of)")
    add("--theme", default="", help="only plans with this theme (see tests.simulation.themes, and those of the lane)")
    add("--plan", type=Path, help="play this plan instead")
    add("--write", type=Path, help="write the plan of the first seed, and play nothing")
    add("--without", action="append", default=[], metavar="KIND", help="take a kind of fault away")
    add("--until-violation", action="store_true", help="end with the first run that fails")
    add("--trace", action="store_true", help="print what happens, with virtual time")
    add("--messages", action="store_true", help="print each message as well")
    add("--hash", action="store_true", help="print the hash of the trace")
    add("--diagram", action="store_true", help="draw the end of the first run")
    add("--svg", type=Path, help="draw it into this file")
    add("--nodes", default="", metavar="A,B", help="draw these nodes only (default: all)")
    add("--last", type=float, metavar="MS", help="draw the last so many milliseconds (default: as much as fits)")
    add("--rows", type=int, default=44, help="how many rows to draw at most")
    add("--shrink", type=Path, nargs="?", const=True, metavar="FILE", help="reduce the plan that fails")
    add("--out", type=Path, help="where to write what is left of it (default: short.json)", default=Path("short.json"))
    add("--runs", type=int, default=Budget().runs, help="how many runs shrinking may take")
    add("--seconds", type=float, default=Budget().seconds, help="how many seconds of CPU shrinking may take")
    return parser


def _lane(plan: Plan, options: argparse.Namespace) -> Lane:
    return LANES[options.lane] if options.lane else lane_of(plan)


def _play(plans: list[Plan], options: argparse.Namespace) -> int:
    failed, total, points = 0, Counter[str](), Counter[str]()
    began = process_time()
    for count, plan in enumerate(plans, 1):
        outcome = _lane(plan, options).play(plan, print if options.trace else None, _show if options.messages else None)
        if outcome.what:
            failed += 1
            print(f"run {count}: {Failed(plan, outcome.at, outcome.what)}", flush=True)
        total += outcome.tally
        points += outcome.points
        if options.hash:
            print(plan.seed, outcome.fingerprint)
        if failed and options.until_violation:
            break
    seconds = process_time() - began
    tally = ", ".join(f"{n} {what}" for what, n in sorted(total.items()))
    print(f"{count} runs in {seconds:.1f} s: {tally}; {len(points)} points hit; {failed} failed")
    return 1 if failed else 0


def _draw(plan: Plan, options: argparse.Namespace) -> int:
    tape = Tape.of(plan)
    outcome = _lane(plan, options).play(plan, tape.line, tape.message)
    nodes = [name for name in options.nodes.split(",") if name]
    last = options.last / 1_000 if options.last is not None else None
    chosen = diagram.rows(tape, nodes, last, options.rows)
    if options.svg is not None:
        options.svg.write_text(diagram.svg(tape, chosen, nodes))
    else:
        print("\n".join(f"  {fault}" for fault in plan.faults))
        print(diagram.text(tape, chosen, nodes))
    print(Failed(plan, outcome.at, outcome.what) if outcome.what else "holds: no promise was broken")
    return 1 if outcome.what else 0


def _show(now: float, message: object, delays: object) -> None:
    print(f"{now:10.6f}     {message} {delays}")


def _shrink(plans: list[Plan], options: argparse.Namespace) -> int:
    """0 once a plan that fails is reduced, 1 where none fails."""
    for plan in plans:
        try:
            shrunk = shrink(
                plan,
                _lane(plan, options).play,
                Budget(options.runs, options.seconds),
                lambda line: print(f"... {line}", flush=True),
            )
        except HoldsError:
            continue
        options.out.write_text(shrunk.plan.to_json())
        print(f"seed {plan.seed}, {plan.election}: {shrunk}")
        lane = f" --lane {options.lane}" if options.lane else ""
        print(f"To repeat it: python -m tests.simulation --plan {options.out}{lane} --diagram")
        return 0
    print(f"none of {len(plans)} plans breaks a promise: there is nothing to shrink")
    return 1


if __name__ == "__main__":
    sys.exit(main())
