"""What the ledger holds at the end, and what is wrong with it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.task import deferLater

from toystore.checking.events import BadHistory
from toystore.checking.files import judge
from toystore.checking.final import CHANGES, INITIAL, ORDERS, PRODUCTS
from toystore.commands.asking import Asker, Unanswered
from toystore.commands.export import first_alive, pages, replicas_to_ask
from toystore.commands.loop import CommandFailed
from toystore.commands.place import Place
from toystore.commands.status import ask_nodes
from toystore.commands.verify import examine
from toystore.torture.layout import PRODUCTS as STOCK

HISTORY, LEDGER = "history.jsonl", "final"
"""Where a run keeps what was asked and told, and what there was at the end."""

REST_SECONDS = 30.0
"""How long all replicas may take to come to rest at one index, once nobody asks for anything."""


@define
class Verdict:
    """`anomalies` are sentences on what is wrong, `findings` on what was looked at and is as it should be; `seconds` is how
    long the check of the history took."""

    anomalies: list[str] = field(factory=list)
    findings: list[str] = field(factory=list)
    seconds: float = 0.0

    def add(self, other: Verdict) -> None:
        self.anomalies += other.anomalies
        self.findings += other.findings
        self.seconds += other.seconds


async def closing(reactor: Any, place: Place, asker: Asker) -> Verdict:
    """Wait until the replicas rest, and compare them: digests, states, order numbers."""
    verdict = Verdict()
    deadline = reactor.seconds() + REST_SECONDS
    while (unrest := await _unrest(place, asker)) and reactor.seconds() < deadline:
        await deferLater(reactor, 0.5)
    if unrest:
        verdict.anomalies.append(f"not at rest {REST_SECONDS:.0f} s after the last request: {unrest}")
    try:
        findings, _ = await examine(reactor, place)
    except CommandFailed as error:
        verdict.anomalies.append(f"the replicas could not be compared: {error.message}")
        return verdict
    verdict.findings += findings.equal
    verdict.anomalies += [*findings.different, *(f"could not be compared: {reason}" for reason in findings.unknown)]
    return verdict


async def _unrest(place: Place, asker: Asker) -> str:
    """Why they do not rest; empty where all replicas have applied the same."""
    statuses = await ask_nodes(place.config, asker)
    replicas = [node.name for node in place.config.nodes if not node.name.startswith("front")]
    silent = [name for name in replicas if statuses[name] is None]
    if silent:
        return f"{', '.join(silent)} does not answer"
    indexes = {name: (statuses[name] or {})["applied_index"] for name in replicas}
    return "" if len(set(indexes.values())) == 1 else f"applied {json.dumps(indexes)}"


async def keep_ledger(asker: Asker, place: Place, directory: Path) -> list[str]:
    """Write what the ledger holds as `checking.final` has it; what went wrong with that."""
    directory.mkdir(exist_ok=True)
    (directory / INITIAL).write_text(json.dumps(dict(STOCK)))
    try:
        node = await first_alive(asker, replicas_to_ask(place, None))
        for table, name in (("orders", ORDERS), ("products", PRODUCTS), ("changes", CHANGES)):
            with (directory / name).open("wb") as file:
                async for lines in pages(asker, node, table):
                    file.writelines(line + b"\n" for line in lines)
    except (CommandFailed, Unanswered) as error:
        return [f"the ledger could not be read: {error}"]
    return []


def check_history(directory: Path) -> Verdict:
    """Hold the recorded history against the ledger that was kept beside it."""
    began = time.monotonic()
    try:
        report = judge(directory / HISTORY, directory / LEDGER)
    except (BadHistory, OSError) as error:
        return Verdict([f"the history can not be judged: {error}"])
    verdict = Verdict(seconds=time.monotonic() - began)
    for check in report.checks:
        if check.count:
            told = [f"{check.promise}: {anomaly.text}" for anomaly in check.anomalies]
            left = check.count - len(told)
            verdict.anomalies += [*told, f"{check.promise}: {left} more"] if left else told
        else:
            verdict.findings.append(f"{check.promise} ({check.checked} checked)")
    return verdict
