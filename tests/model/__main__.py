"""Search the model: `python -m tests.model --epochs 3 --entries 2`; `--mutant NAME` shows what a weakened rule breaks."""

from __future__ import annotations

import argparse
import sys

from attrs import fields

from tests.model.actions import Bounds
from tests.model.mutants import MUTANTS
from tests.model.search import Found, search
from tests.model.witnesses import ALWAYS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    for bound in fields(Bounds):
        default = bound.default if bound.default is not None else "as many as the epochs allow"
        parser.add_argument(f"--{bound.name}", type=int, default=bound.default, help=f"default: {default}")
    parser.add_argument("--without", type=int, nargs="*", default=(), help="reductions not to use (reduction.py), by number")
    parser.add_argument("--mutant", choices=sorted(mutant.name for mutant in MUTANTS), help="at the bounds of its test")
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    options = parser.parse_args()
    tell = None if options.quiet else lambda found: print(found, flush=True)
    if options.mutant is not None:
        (mutant,) = [mutant for mutant in MUTANTS if mutant.name == options.mutant]
        return report(mutant.search(tell))
    bounds = Bounds(**{bound.name: getattr(options, bound.name) for bound in fields(Bounds)})
    return report(search(bounds, without=frozenset(options.without), witnesses=ALWAYS, tell=tell))


def report(found: Found) -> int:
    for name, depth in sorted(found.seen.items(), key=lambda item: item[1]):
        print(f"seen at depth {depth}: {name}")
    print(found)
    print(found.counterexample or "every state is as it should be")
    return 0 if found.counterexample is None else 1


if __name__ == "__main__":
    sys.exit(main())
