"""`python -m tests.transcripts [DIALECT]...`: write down anew what the lines of the transcripts print."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.transcripts.stage import CLUSTERS, SCRIPTS, play


def main(dialects: list[str]) -> None:
    unknown = set(dialects) - set(CLUSTERS)
    if unknown:
        sys.exit(f"there is no dialect {', '.join(sorted(unknown))}; there are {', '.join(CLUSTERS)}")
    for dialect in dialects or CLUSTERS:
        with tempfile.TemporaryDirectory() as home:
            text = play(dialect, Path(home))
        (SCRIPTS / f"{dialect}.txt").write_text(text)
        print(f"docs/transcripts/{dialect}.txt")


if __name__ == "__main__":
    main(sys.argv[1:])
