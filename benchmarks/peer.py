"""The peer: FastAPI on uvicorn over asyncpg and one PostgreSQL, which commits to disk and is not replicated."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import field, frozen

from benchmarks.contender import STOCK, TOYS, Kind, Served
from benchmarks.daemon import Daemon, DidNotStart, answers, as_user, ask
from benchmarks.machine import offspring
from benchmarks.wrk import Volley
from toystore.supervisor.ports import free_ports

PACKAGES = ("fastapi", "uvicorn", "asyncpg")
APPLICATION = Path(__file__).with_name("peers")
UNPRIVILEGED = "postgres"
"""Whom PostgreSQL runs as where we are root, as which it refuses to run."""
START_SECONDS = 60


class Missing(Exception):
    """What the peer needs is not here; the message says what."""


@frozen
class Peer:
    """A running peer: the process ids of uvicorn and of PostgreSQL's first process."""

    url: str
    uvicorn: int
    postgres: int
    versions: dict[str, str] = field(factory=dict)
    label: str = "peer"

    def volley(self, kind: Kind) -> Volley:
        if kind == "buy":
            return Volley("POST", "/orders/", TOYS, '{"name": "%s", "quantity": 1}')
        return Volley("GET", "/products/%s", TOYS[:1] if kind == "hit" else TOYS)

    def served(self) -> Served:
        stocks = (ask(f"{self.url}/products/{toy}")["data"]["quantity"] for toy in TOYS)
        return Served(len(TOYS) * STOCK - sum(stocks))

    def processes(self) -> dict[str, list[int]]:
        return {"uvicorn": [self.uvicorn], "postgres": [self.postgres, *offspring(self.postgres)]}


def binaries() -> Path:
    """Where PostgreSQL's newest `initdb` and `postgres` are. Raises Missing."""
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(installed, key=lambda path: [int(part) for part in path.parts[-3].split(".")], default=None)
    found = newest or shutil.which("initdb")
    if found is None:
        raise Missing("PostgreSQL's initdb")
    return Path(found).resolve().parent


def check_packages() -> None:
    """Raises Missing."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise Missing(f"{', '.join(missing)} (pip install 'toystore[bench]')")


@contextmanager
def running(directory: str | None) -> Iterator[Peer]:
    """Makes a database in a temporary directory in `directory` (None: the system's), and serves from it. Raises Missing,
    DidNotStart."""
    check_packages()
    tools = binaries()
    with tempfile.TemporaryDirectory(dir=directory, prefix="peer-") as made:
        home, user = Path(made), None
        if os.geteuid() == 0:
            user = UNPRIVILEGED
            try:
                shutil.chown(home, user)
            except LookupError as error:
                raise Missing(f"a user called {user}, to run PostgreSQL as") from error
        port, public = free_ports(2)
        _make_database(tools, home, user)
        dsn = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        serve = [str(tools / "postgres"), "-D", str(home / "data"), "-h", "127.0.0.1", "-p", str(port), "-k", str(home)]
        with Daemon(serve, home / "postgres.log", user=user, ending=signal.SIGINT) as postgres:
            postgres.wait_until(lambda: "ready to accept connections" in postgres.said(), START_SECONDS)
            versions = _versions(tools, port)
            options = ["--app-dir", str(APPLICATION), "--port", str(public), "--log-level", "warning", "--no-access-log"]
            command = [sys.executable, "-m", "uvicorn", "fastapi_pg:app", *options]
            with Daemon(command, home / "uvicorn.log", surroundings={"PEER_DSN": dsn}) as uvicorn:
                url = f"http://127.0.0.1:{public}"
                uvicorn.wait_until(lambda: answers(f"{url}/products/Tux"), START_SECONDS)
                yield Peer(url, uvicorn.pid, postgres.pid, versions)


def _make_database(tools: Path, home: Path, user: str | None) -> None:
    options = ["-D", str(home / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"]
    made = subprocess.run(
        [str(tools / "initdb"), *options],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=home,
        check=False,
        **as_user(user),
    )
    if made.returncode:
        raise DidNotStart(f"initdb ended with {made.returncode}: {made.stderr.strip()}")


def _versions(tools: Path, port: int) -> dict[str, str]:
    """Of its parts, and what makes its commits durable, as PostgreSQL itself says."""
    shown = {"server_version": "PostgreSQL", "fsync": "its fsync", "synchronous_commit": "its synchronous_commit"}
    question = ", ".join(f"current_setting('{name}')" for name in shown)
    command = [
        str(tools / "psql"),
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-U",
        "postgres",
        "-AtF",
        "|",
        "-c",
        f"select {question}",
    ]
    said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if said.returncode:
        raise DidNotStart(f"PostgreSQL does not answer: {said.stderr.strip()}")
    found = dict(zip(shown.values(), (value.split()[0] for value in said.stdout.strip().split("|")), strict=True))
    for name in (*PACKAGES, "uvloop", "httptools"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found
