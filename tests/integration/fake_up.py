"""`toystore up` with stand-ins for the real roles: `fake_up.py CONFIG DATA_DIR [NODE=OPTION,...]... [--
UP_OPTION...]`.

The options are those of fake_role.py; those of `up` are `--without NODE` and `--prefix COMMAND`.
"""

import sys
from pathlib import Path
from urllib.parse import urlsplit

from toystore.commands.loop import run
from toystore.commands.place import find_place
from toystore.commands.up import Wishes, keep_up
from toystore.supervisor.launch import Node

ROLE = str(Path(__file__).with_name("fake_role.py"))
config, data_dir, *rest = sys.argv[1:]
split = rest.index("--") if "--" in rest else len(rest)
options = {node: found.split(",") for node, _, found in (text.partition("=") for text in rest[:split])}
flags = list(zip(rest[split + 1 :: 2], rest[split + 2 :: 2], strict=True))


def command(node: Node) -> list[str]:
    return [sys.executable, "-S", ROLE, str(urlsplit(node.url).port), node.name, *options.get(node.name, [])]


wishes = Wishes(
    without=tuple(value for flag, value in flags if flag == "--without"),
    prefixes=tuple(value for flag, value in flags if flag == "--prefix"),
    command=command,
)
place = find_place(Path(config), Path(data_dir))
run(lambda reactor: keep_up(reactor, place, wishes))
