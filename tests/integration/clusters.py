"""A whole cluster of real processes for a test: its config on free ports, `toystore up`, and what to do with
it."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, field

from toystore.commands.status import cluster_status
from toystore.commands.up import public_addresses
from toystore.ops.config import Config, load_config
from toystore.supervisor.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
TOYSTORE = (sys.executable, "-m", "toystore")
CATALOG = """name,price,quantity
Tux,15.99,100
Whale,25.99,100
Fox,12.99,100
Python,20.99,100
Barbie,55.99,100
Lego,45.99,100
Monopoly,10.99,100
Frisbee,5.99,100
Marbles,7.99,100
Giraffe,75.99,100
"""
T = TypeVar("T")


def write_config(
    path: Path,
    *,
    orders: int = 3,
    catalogs: int = 1,
    fronts: int = 1,
    dialects: Sequence[str] = ("v1", "toys"),
    cluster: str = "",
    timing: str = "",
    front: str = "",
    extra: str = "",
    catalog_csv: str = CATALOG,
) -> Path:
    """Write a config on free ports, and its catalog beside it. `cluster`, `timing`, `front` are further lines
    of these tables, such as `election = "appointed"`; `extra` stands at the end of the file."""
    (path.parent / "catalog.csv").write_text(catalog_csv)
    ports = iter(free_ports(orders + catalogs + fronts * (1 + len(dialects))))

    def listen() -> str:
        return f'listen = "tcp:{next(ports)}:interface=127.0.0.1"'

    def node(role: str, id_: int) -> list[str]:
        port = next(ports)
        address = f'listen = "tcp:{port}:interface=127.0.0.1"\nurl = "http://127.0.0.1:{port}"'
        return [f"[[{role}]]", f"id = {id_}", address]

    lines = ["[cluster]", 'name = "test"', 'catalog_csv = "catalog.csv"', cluster, "[timing]", timing]
    for role, count in (("order", orders), ("catalog", catalogs)):
        for id_ in range(1, count + 1):
            lines += node(role, id_)
    for id_ in range(1, fronts + 1):
        lines += [*node("front", id_), front]
        if id_ > 1:
            lines.append("appoints = false")
        for dialect in dialects:
            lines += ["[[front.public]]", f'dialect = "{dialect}"', listen()]
    path.write_text("\n".join([*lines, extra, ""]))
    return path


@define
class Ended:
    """A finished command."""

    code: int
    out: str
    err: str


class Cluster:
    """`toystore up` on one config. Whatever is waited for has a deadline; one that passes shows the last
    state seen."""

    def __init__(self, config_file: Path, data_dir: Path, up: Sequence[str] | None = None) -> None:
        """`up` is the command that brings it up, the real one where it is None."""
        self.config_file = config_file
        self.data_dir = data_dir
        self.config: Config = load_config(config_file, data_dir)
        self.lines: list[str] = []
        self._options = ["--config", str(config_file), "--data-dir", str(data_dir)]
        self._up = list(up) if up is not None else [*TOYSTORE, "up", *self._options]
        self._process: subprocess.Popen[str] | None = None
        self._said: queue.Queue[str | None] = queue.Queue()

    # Its life

    def start(self, *options: str, seconds: float = 30.0) -> Cluster:
        """`up`, until it says that it is ready."""
        self.launch(*options)
        self.expect("ready", seconds)
        return self

    def launch(self, *options: str) -> Cluster:
        """`up`, without waiting for anything."""
        self.lines, self._said = [], queue.Queue()
        self._process = subprocess.Popen(
            [*self._up, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=surroundings(),
            cwd=self.config_file.parent,
        )
        threading.Thread(target=self._listen, args=(self._process, self._said), daemon=True).start()
        return self

    @property
    def pid(self) -> int:
        """Of `up`."""
        assert self._process is not None, "not started"
        return self._process.pid

    def expect(self, start: str, seconds: float = 30.0) -> str:
        """The next line of `up` that starts with this."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._said.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line {start!r} within {seconds} s; {self.story()}") from None
            assert line is not None, f"`up` has ended without a line {start!r}; {self.story()}"
            self.lines.append(line)
            if line.startswith(start):
                return line

    def send(self, number: int) -> None:
        """To `up` itself."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = 20.0) -> int:
        """The exit code of `up`, once it has ended by itself."""
        assert self._process is not None, "not started"
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"`up` has not ended within {seconds} s; {self.story()}") from None
        while (line := self._said.get(timeout=5)) is not None:
            self.lines.append(line)
        self._process = None
        return code

    def stop(self, number: int = signal.SIGINT) -> int:
        """End `up` in order; its exit code."""
        self.send(number)
        return self.wait()

    def close(self) -> None:
        """Leave nothing behind, whatever state it is in."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)
        self._process = None

    # Its nodes

    def kill(self, node: str) -> None:
        """SIGKILL; it stays down until `start_node`. The others alike."""
        self.control("kill", node)

    def stop_node(self, node: str) -> None:
        self.control("stop", node)

    def start_node(self, node: str) -> None:
        self.control("start", node)

    def pause(self, node: str) -> None:
        self.control("pause", node)

    def resume(self, node: str) -> None:
        self.control("resume", node)

    def control(self, verb: str, node: str) -> None:
        """`toystore node VERB NODE`, which must succeed."""
        ended = self.run("node", verb, node)
        assert ended.code == 0, f"node {verb} {node}: {ended}; {self.story()}"

    # Asking

    def url(self, dialect: str = "v1", front: int = 0) -> str:
        """Where the customers of a dialect go."""
        return public_addresses(self.config)[dialect][front]

    def node_url(self, node: str) -> str:
        return next(found.url for found in self.config.nodes if found.name == node)

    def status(self) -> dict[str, Any]:
        """As `toystore status -o json`, without the cost of starting it; process ids are those that the nodes
        tell."""
        answers: dict[str, Any] = {}
        for node in self.config.nodes:
            try:
                answers[node.name] = fetch(f"{node.url}/status", seconds=1)[1]
            except OSError:
                answers[node.name] = None
        return cluster_status(self.config, answers, {})

    def node(self, name: str) -> dict[str, Any]:
        """Its row of the status."""
        return next(row for row in self.status()["nodes"] if row["name"] == name)

    def leader(self, seconds: float = 10.0) -> str:
        """The name of the leader, once there is one."""
        found: str = self.until(lambda: self.status()["leader"], seconds, "a leader")
        return found

    def until(self, look: Callable[[], T | None], seconds: float = 10.0, what: str = "it") -> T:
        """The first result of `look` that is true."""
        deadline = time.monotonic() + seconds
        while True:
            if found := look():
                return found
            assert time.monotonic() < deadline, f"{what} has not come within {seconds} s; {self.story()}"
            time.sleep(0.05)

    def run(self, *arguments: str, seconds: float = 60.0) -> Ended:
        """`toystore ARGUMENTS` on this cluster."""
        return run_toystore(*arguments, *self._options, seconds=seconds)

    def verify(self) -> Ended:
        """`toystore verify`."""
        return self.run("verify")

    def story(self) -> str:
        """What to know when something went wrong: what `up` said, the status, the ends of the logs."""
        parts = ["`up` said:", *self.lines[-20:], "status:", json.dumps(self.status(), indent=1)]
        for node in self.config.nodes:
            log = self.data_dir / node.name / "log"
            if log.exists():
                parts += [f"{node.name}:", log.read_text(errors="replace")[-1500:]]
        return "\n".join(parts)

    def _listen(self, process: subprocess.Popen[str], said: queue.Queue[str | None]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said.put(line.rstrip("\n"))
        said.put(None)


@define
class Clusters:
    """Makes clusters for one test, and stops them at its end."""

    directory: Path
    made: list[Cluster] = field(factory=list)

    def __call__(
        self,
        up: Callable[[Path, Path], Sequence[str]] | None = None,
        data_dir: Path | None = None,
        **shape: Any,
    ) -> Cluster:
        """A cluster that is not started. `shape` is for `write_config`; `up` gives another command than the
        real one, from config and data directory."""
        home = self.directory / f"cluster-{len(self.made) + 1}"
        home.mkdir()
        config_file, data_dir = write_config(home / "cluster.toml", **shape), data_dir or home / "data"
        cluster = Cluster(config_file, data_dir, up(config_file, data_dir) if up else None)
        self.made.append(cluster)
        return cluster

    def close(self) -> None:
        for cluster in self.made:
            cluster.close()


def clusters_in(directory: Path) -> Iterator[Clusters]:
    clusters = Clusters(directory)
    try:
        yield clusters
    finally:
        clusters.close()


def surroundings() -> dict[str, str]:
    """The environment in which this checkout is the one that runs."""
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def run_toystore(*arguments: str, seconds: float = 60.0, cwd: Path | None = None) -> Ended:
    """`toystore ARGUMENTS`."""
    done = subprocess.run(
        [*TOYSTORE, *arguments],
        capture_output=True,
        text=True,
        env=surroundings(),
        timeout=seconds,
        cwd=cwd,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def fetch(url: str, body: Any = None, seconds: float = 12, **headers: str) -> tuple[int, Any]:
    """GET, or POST a JSON body: the status and the decoded answer, whatever the status. Raises OSError."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {name.replace("_", "-"): text for name, text in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=seconds) as response:
            return response.status, json.loads(response.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
