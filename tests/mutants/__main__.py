"""Search for the mutants: `python -m tests.mutants [NAME...]`; prints how soon each is found, and by what.

`--record` keeps, for each that is found, a plan with few faults under which it breaks a promise (and the program none).
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.mutants.mutant import PLANS, ROOT, Found, Mutant, hunt, mutants
from tests.mutants.replay import made_small, replay
from tests.simulation.lanes import LANES


def search(mutant: Mutant, first: int, schedules: int) -> list[tuple[str, Found]]:
    with mutant.tree() as tree:
        return [(election, hunt(mutant, tree, election, first, schedules)) for election in mutant.elections]


def record(mutant: Mutant, found: Found) -> None:
    """Keep its plan, made small; the program itself must hold what it promises under it."""
    with mutant.tree() as tree:
        plan = made_small(tree, mutant.lane, found.plan)
    broken = replay(ROOT, mutant.lane, plan)
    if broken is not None:
        raise AssertionError(f"the program itself breaks a promise under a plan of {mutant.name}: {broken['what']}\n{plan}")
    PLANS.mkdir(exist_ok=True)
    mutant.recorded.write_text(plan)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutants; all that are searched for, where none is named")
    parser.add_argument("--schedules", type=int, help="search so many, instead of as many as each patch states")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2, help="how many searches at once")
    parser.add_argument("--lane", choices=tuple(LANES), action="append", help="only mutants that this lane is to find")
    parser.add_argument("--record", action="store_true", help="keep a small plan for each")
    options = parser.parse_args()
    chosen = [mutant for mutant in mutants(tuple(options.names)) if mutant.lane in (options.lane or LANES)]
    chosen = [mutant for mutant in chosen if options.schedules or mutant.schedules]
    missed = 0
    print(f"{'mutant':32} {'election':10} {'theme':14} {'after':>9} {'seconds':>8}  found")
    with ThreadPoolExecutor(options.jobs) as pool:
        searches = [pool.submit(search, m, options.seed, options.schedules or m.schedules) for m in chosen]
        for mutant, ended in zip(chosen, searches, strict=True):
            for election, found in ended.result():
                missed += not found.schedule
                after = f"{found.schedule or '-'} / {options.schedules or mutant.schedules}"
                where = f"{mutant.name:32} {election:10} {mutant.theme or '-':14} {after:>9}"
                if options.record and found.plan and (mutant.elections[0] == election):
                    record(mutant, found)
                print(f"{where} {found.seconds:8.1f}  {found.what[:100] or 'NOT FOUND'}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
