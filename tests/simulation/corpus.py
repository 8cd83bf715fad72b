"""Plans that failed once: on a mutant, or before a bug was fixed. All of them hold now, and are replayed first.

Each is a file of `corpus/`: a plan as `Plan.to_json` writes it, with three things before it: `found`, a line that says what
it finds; `says`, the kind of violation; and `hits`, the fault points that it hits on the program, where all must go well. (A
fault after the moment at which a mutant differs may strike on the mutant only.) This takes one in, or writes its hits anew::

    python -m tests.simulation.corpus SHORT.json NAME "what it found" "the violation"
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from attrs import frozen
from twisted.logger import globalLogBeginner

from tests.simulation.lanes import lane_of
from tests.simulation.plan import Plan
from tests.simulation.shrink import kind_of

FOLDER = Path(__file__).parent / "corpus"


@frozen
class Kept:
    name: str
    found: str
    says: str
    hits: tuple[str, ...]
    plan: Plan

    @classmethod
    def read(cls, path: Path) -> Kept:
        """Raises KeyError, ValueError."""
        text = path.read_bytes()
        told = json.loads(text)
        return cls(path.stem, told["found"], told["says"], tuple(told["hits"]), Plan.from_json(text))

    def to_json(self) -> str:
        return (
            json.dumps({"found": self.found, "says": self.says, "hits": self.hits})[:-1] + ",\n " + self.plan.to_json()[1:]
        )


def corpus() -> list[Kept]:
    return [Kept.read(path) for path in sorted(FOLDER.glob("*.json"))]


def replayed(plan: Plan) -> tuple[str, tuple[str, ...]]:
    """Which promise it breaks, "" for none, and the fault points that it hits."""
    outcome = lane_of(plan).play(plan)
    return outcome.what, tuple(sorted(outcome.points))


def main() -> int:
    source, name, found, violation = sys.argv[1:]
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    plan = Plan.from_json(Path(source).read_bytes())
    broken, hits = replayed(plan)
    if broken or not hits:
        print(f"{name} is not kept: {broken or 'none of its faults strikes'}")
        return 1
    (FOLDER / f"{name}.json").write_text(Kept(name, found, kind_of(violation), hits, plan).to_json())
    print(f"{name} is kept: {len(plan.faults)} faults, hits {', '.join(hits)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
