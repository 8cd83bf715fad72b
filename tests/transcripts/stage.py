"""Where a transcript is played: an example cluster on free ports, and a shell in which its commands mean what they say."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.integration.clusters import ROOT, TOYSTORE, Cluster, free_ports, surroundings
from tests.transcripts.script import played

SCRIPTS = ROOT / "docs" / "transcripts"
DATA = "toystore-data"

VERBATIM = """
[[front.public]]
dialect = "toys"
verbatim = true
listen = "tcp:12507:interface=127.0.0.1"
[[projection]]
format = "toys-orders"
path = "order_data/order_log_{id}.csv"
[[projection]]
format = "toys-raft"
path = "raft_data/raft_log_{id}.csv"
"""

CLUSTERS = {
    "toys": ("toys.toml", VERBATIM),
    "v1": ("toys.toml", ""),
    "trader": ("stocks.toml", ""),
    "bazaar": ("stocks.toml", ""),
    "flask": ("flask.toml", ""),
    "books": ("books.toml", ""),
}
"""The example that speaks a dialect, and what is added to it."""


def play(dialect: str, home: Path) -> str:
    """The transcript of this dialect as it is now; the cluster runs, and ends, in this directory."""
    config, addition = CLUSTERS[dialect]
    text = (ROOT / "etc" / config).read_text() + addition
    for catalog in (ROOT / "etc").glob("*.csv"):
        (home / catalog.name).write_bytes(catalog.read_bytes())
    shown = sorted(set(re.findall(r"\btcp:([0-9]+)", text)))
    ports = dict(zip(shown, map(str, free_ports(len(shown))), strict=True))
    config_file = home / "cluster.toml"
    config_file.write_text(re.sub(r"(\btcp:|//127\.0\.0\.1:)([0-9]+)", lambda found: found[1] + ports[found[2]], text))
    options = ["--config", str(config_file), "--data-dir", str(home / DATA)]
    cluster = Cluster(config_file, home / DATA, ["env", "TOYSTORE_LOG=debug", *TOYSTORE, "up", *options])
    try:
        return played((SCRIPTS / f"{dialect}.txt").read_text(), Shell(cluster.start(), options, ports).run)
    finally:
        cluster.close()


PATIENCE = 60.0
"""Seconds for one command."""

NOWHERE = "http://127.0.0.1:9"
"""The proxy of whatever is not this machine: a line with a slip in it must not reach anybody else."""

TOOLS = {
    "toystore": 'exec {python} -m toystore "$@" {options}',
    "leader": "toystore status -o json | grep -o '\"leader\": *\"order-[0-9]*\"' | grep -o 'order-[0-9]*' | head -n 1",
}


def kept_here(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """These variables of a process, so that what its curl sends to other machines ends at `NOWHERE`."""
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    return {
        **environment,
        **{variable: NOWHERE for name in proxies for variable in (name, name.upper())},
        "no_proxy": "localhost,127.0.0.1",
        "NO_PROXY": "localhost,127.0.0.1",
        # where curl would look for settings of somebody's own
        **dict.fromkeys(("HOME", "CURL_HOME", "XDG_CONFIG_HOME"), str(home)),
    }


class Shell:
    """`bash`, in the directory with the data, where `toystore` is the command on this cluster and `leader` tells the name
    of the replica that leads."""

    def __init__(self, cluster: Cluster, options: list[str], ports: dict[str, str]) -> None:
        self._home = cluster.config_file.parent
        self._story = cluster.story
        self._moved = _renaming(ports)
        self._back = _renaming({port: shown for shown, port in ports.items()})
        tools = self._home / "bin"
        tools.mkdir()
        for name, text in TOOLS.items():
            text = text.replace("{python}", sys.executable).replace("{options}", shlex.join(options))
            (tools / name).write_text(f"#!/bin/sh\n{text}\n")
            (tools / name).chmod(0o755)
        self._environment = kept_here(surroundings(), self._home)
        self._environment["PATH"] = f"{tools}:{self._environment['PATH']}"

    def run(self, command: str) -> str:
        """What it prints. Raises AssertionError where that takes more than a minute; all that it began is ended then."""
        running = subprocess.Popen(
            ["bash", "-c", self._moved(command)],
            cwd=self._home,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            printed, _ = running.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired as error:
            os.killpg(running.pid, signal.SIGKILL)
            running.communicate()
            said = f"it said {error.output!r}\n{self._story()}"
            raise AssertionError(f"not over after {PATIENCE:g} s: {command}\n{said}") from error
        return self._back(printed.decode())


def _renaming(ports: dict[str, str]) -> Callable[[str], str]:
    return lambda text: re.sub(
        r"\b(localhost:|127\.0\.0\.1:)([0-9]+)", lambda found: found[1] + ports.get(found[2], found[2]), text
    )
