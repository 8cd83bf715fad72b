"""Look for a state of the disk that the storage does not come back from: `python -m tests.disks --states 2000 --seed 1`.

With `--state`, lay that one state of a recording in a directory, say what is pending there, and open a copy of it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from tests.disks.campaign import Campaign, Plan, campaign, plans
from tests.disks.explore import Spec
from tests.disks.mutants import MUTANTS
from tests.disks.recording import End
from tests.disks.trace import Note
from tests.disks.workload import WORKLOADS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.disks", description=__doc__)
    parser.add_argument("--states", type=int, default=2000, help="distinct states to look at (default: 2000)")
    parser.add_argument("--seed", type=int, default=1, help="of the first recording (default: 1)")
    parser.add_argument("--workload", choices=WORKLOADS, help="only this one")
    parser.add_argument("--steps", type=int, help="of each recording (default: by the workload)")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="of a storage that keeps less than it promises")
    parser.add_argument("--end", type=End.read, action="append", default=[], help="of a process: kill:NUMBER or fail:NUMBER")
    parser.add_argument("--after", type=Spec.read, help="a power failure in the same recording, which left this state")
    parser.add_argument("--state", type=Spec.read, help="one state: EVENTS:FILE SYSTEM:FATES")
    parser.add_argument("--keep", type=Path, help="the directory to lay it in")
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    options = parser.parse_args()
    if options.mutant or options.end or options.after or options.state:
        workload = options.workload or (MUTANTS[options.mutant].workload if options.mutant else "ledger")
        plan = Plan(workload, options.seed, options.steps or 30, options.mutant, tuple(options.end), options.after)
        return lay(plan, options.state, options.keep) if options.state else report(one(plan, options.states))
    tell = (lambda line: None) if options.quiet else (lambda line: print(line, flush=True))
    return report(campaign(options.states, plans(options.seed, options.workload, options.steps), tell))


def one(plan: Plan, states: int) -> Campaign:
    result = Campaign()
    result.add(plan, states)
    return result


def report(result: Campaign) -> int:
    print(result.report())
    return 1 if result.violated else 0


def lay(plan: Plan, spec: Spec, keep: Path | None) -> int:
    recording, explorer = plan.explorer()
    point = explorer.point(spec)
    known = explorer.judge.known(spec.events)
    print(f"after {spec.events} of {len(recording.trace)} events; calls acknowledged {known.durable}, begun {known.begun}:")
    for number, made in enumerate(explorer.calls[: known.begun], 1):
        print(f"  call {number}: {made.call}{'' if number <= known.durable else ' (not acknowledged)'}")
    print("before it:")
    for event in recording.trace[max(0, spec.events - 12) : spec.events]:
        print(f"  {'(a note)' if isinstance(event, Note) else event}")
    print("what waited, and what became of it:")
    for pending, fate in zip(point.pending, spec.choice, strict=True):
        print(f"  {fate} {pending.change}")
    state = point.state(spec.choice)
    if keep is not None:
        if keep.exists():
            shutil.rmtree(keep)
        keep.mkdir(parents=True)
        state.lay(keep)
        print(f"the state is in {keep}")
    wrong = explorer.verdict(state)(spec.events)
    print(f"violation: {wrong}" if wrong else "it is as it should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
