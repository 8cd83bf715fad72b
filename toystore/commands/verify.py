"""`toystore verify`: do all replicas hold the same? Asks the processes and opens no file of theirs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import click
from attrs import define, field
from twisted.internet.task import deferLater

from toystore.commands.asking import Asker, Unanswered
from toystore.commands.export import first_alive, pages, replicas_to_ask
from toystore.commands.loop import NO, UNSURE, YES, run
from toystore.commands.place import Place, cluster_options
from toystore.supervisor.launch import Node
from toystore.together import together

TRIES = 6
PAUSE = 0.5
"""Seconds between tries; also how far ahead, in time, the index for the hash of the state is chosen under
load."""
HASH_SECONDS = 20.0
"""How long a replica may take to reach an index and hash its whole state."""


@define
class Findings:
    """Sentences on what was found, sorted by what they mean for the exit code."""

    equal: list[str] = field(factory=list)
    different: list[str] = field(factory=list)
    unknown: list[str] = field(factory=list)

    def exit_code(self, can_tell: bool) -> int:
        """`can_tell`: there was enough to compare, whatever is unknown beside it."""
        if self.different:
            return NO
        return YES if can_tell else UNSURE


@define
class Comparison:
    """What each replica gave for one index; those that could not give it have a reason instead."""

    index: int
    values: dict[str, str]
    reasons: dict[str, str]

    def report(self, what: str, findings: Findings) -> None:
        groups: dict[str, list[str]] = defaultdict(list)
        for name, value in self.values.items():
            groups[value].append(name)
        told = "; ".join(f"{', '.join(names)}: {value[:16]}" for value, names in groups.items())
        if len(groups) > 1:
            findings.different.append(f"{what} at index {self.index} differs: {told}")
        elif groups:
            findings.equal.append(f"{what} at index {self.index} is the same: {told}")
        findings.unknown += [f"{what} of {name}: {reason}" for name, reason in self.reasons.items()]


class Verifier:
    """Compares the replicas of one cluster."""

    def __init__(self, reactor: Any, asker: Asker, replicas: Sequence[Node]) -> None:
        self._reactor = reactor
        self._asker = asker
        self._replicas = {node.name: node for node in replicas}

    async def digests(self) -> Comparison:
        """The chain of digests at the highest index that all who answer have applied and still hold."""
        for _ in range(TRIES):
            applied = await self._applied()
            if not applied:
                break
            index = min(applied.values())
            found = await self._each(applied, f"/digest?index={index}", "digest")
            if not found.reasons:
                break
            await deferLater(self._reactor, PAUSE)  # one that lags behind what others still hold may catch up
        else:
            return found
        return found if applied else Comparison(0, {}, {})

    async def state_hashes(self) -> Comparison:
        """The hash of the whole state at one index. While orders come in, one a little ahead is chosen, for
        which each replica waits; where one had passed it already, or it was never reached, another is
        tried."""
        found = Comparison(0, {}, {})
        ahead = 0
        for attempt in range(1, TRIES + 1):
            before = await self._applied()
            if not before:
                break
            found = await self._each(before, f"/state-hash?index={max(before.values()) + ahead}", "state_hash")
            if not found.reasons:
                break
            await deferLater(self._reactor, PAUSE)
            after = await self._applied()
            ahead = attempt * (max(after.values(), default=0) - max(before.values()))
        return found

    async def unreachable(self) -> dict[str, str]:
        """The replicas that do not answer, and why."""
        _, reasons = await self._statuses()
        return reasons

    async def _applied(self) -> dict[str, int]:
        statuses, _ = await self._statuses()
        return {name: status["applied_index"] for name, status in statuses.items()}

    async def _statuses(self) -> tuple[dict[str, Any], dict[str, str]]:
        answers = await self._ask(dict.fromkeys(self._replicas, "/status"), 2.0)
        good, reasons = {}, {}
        for name, (status, body) in answers.items():
            if status == 200 and isinstance(body, dict) and isinstance(body.get("applied_index"), int):
                good[name] = body
            else:
                reasons[name] = f"its status is {status} {json.dumps(body)}" if status else str(body)
        return good, reasons

    async def _each(self, names: Mapping[str, object], path: str, key: str) -> Comparison:
        answers = await self._ask(dict.fromkeys(names, path), HASH_SECONDS)
        values, reasons = {}, {}
        for name, (status, body) in answers.items():
            if status == 200 and isinstance(body, dict) and key in body:
                values[name] = str(body[key])
            else:
                reasons[name] = f"{path} answers {status} {json.dumps(body)}" if status else str(body)
        return Comparison(int(path.partition("=")[2]), values, reasons)

    async def _ask(self, paths: Mapping[str, str], timeout: float) -> dict[str, tuple[int, Any]]:
        """Status and body for each; 0 and the reason where nothing came."""

        async def one(name: str, path: str) -> tuple[int, Any]:
            try:
                return await self._asker.get(self._replicas[name].url, path, timeout)
            except Unanswered as error:
                return 0, str(error)

        answers = await together(one(name, path) for name, path in paths.items())
        return dict(zip(paths, answers, strict=True))


async def count_orders(asker: Asker, node: Node, findings: Findings) -> None:
    """Orders are numbered from 0 without a gap."""
    expected = 0
    try:
        async for lines in pages(asker, node, "orders"):
            for line in lines:
                number = json.loads(line)["number"]
                if number != expected:
                    findings.different.append(f"orders of {node.name}: {expected} expected, {number} found")
                    return
                expected += 1
    except Unanswered as error:
        findings.unknown.append(f"orders of {node.name}: {error}")
        return
    findings.equal.append(f"orders of {node.name}: {expected}, numbered without a gap")


async def compare_projections(reactor: Any, asker: Asker, orders: Sequence[Node], findings: Findings) -> None:
    """The files that order replicas keep are the same bytes; where orders come in, as of the same index once."""
    seen: dict[tuple[str, str], dict[str, tuple[int, str]]] = {}
    for _ in range(TRIES):
        answers = await together(_projections(asker, node) for node in orders)
        seen = {}
        for node, answer in zip(orders, answers, strict=True):
            for row in answer:
                seen.setdefault((row["format"], row["path"]), {})[node.name] = (row["index"], row["sha256"])
        if all(len({sha for _, sha in held.values()}) == 1 for held in seen.values()):
            break
        await deferLater(reactor, PAUSE)
    for (format_, path), held in seen.items():
        told = ", ".join(f"{name}: {sha[:16]}" for name, (_, sha) in held.items())
        at_one_index = len({index for index, _ in held.values()}) == 1
        if len({sha for _, sha in held.values()}) == 1:
            findings.equal.append(f"{format_} in {path} is the same: {told}")
        elif at_one_index:
            findings.different.append(f"{format_} in {path} differs: {told}")
        else:
            findings.unknown.append(f"{format_} in {path} was never seen at one index: {told}")


async def _projections(asker: Asker, node: Node) -> list[Any]:
    """Of a replica that does not answer none: that it is silent is told elsewhere."""
    try:
        status, body = await asker.get(node.url, "/projections", HASH_SECONDS)
    except Unanswered:
        return []
    return list(body["projections"]) if status == 200 else []


async def examine(reactor: Any, place: Place) -> tuple[Findings, int]:
    """Everything that can be compared, and the exit code for it."""
    replicas = replicas_to_ask(place, None)
    asker = Asker(reactor, HASH_SECONDS)
    verifier = Verifier(reactor, asker, replicas)
    findings = Findings()
    silent = await verifier.unreachable()
    findings.unknown += [f"{name} can not be asked: {reason}" for name, reason in silent.items()]
    digests, hashes = await verifier.digests(), await verifier.state_hashes()
    digests.report("digest", findings)
    hashes.report("state", findings)
    if len(silent) < len(replicas):
        await count_orders(asker, await first_alive(asker, replicas), findings)
        orders = [node for node in replicas if node.role == "order"]
        await compare_projections(reactor, asker, orders, findings)
    enough = min(2, len(replicas))
    return findings, findings.exit_code(len(digests.values) >= enough and len(hashes.values) >= enough)


async def verify(reactor: Any, place: Place) -> int:
    findings, code = await examine(reactor, place)
    for label, sentences in (
        ("same", findings.equal),
        ("UNKNOWN", findings.unknown),
        ("DIFFERENT", findings.different),
    ):
        for sentence in sentences:
            click.echo(f"{label:<9} {sentence}")
    verdict = {
        YES: "verified",
        NO: "NOT VERIFIED: replicas differ",
        UNSURE: "could not tell: not enough to compare",
    }
    click.echo(verdict[code] + (" (not all could be asked)" if code == YES and findings.unknown else ""))
    return code


@click.command("verify")
@cluster_options
def verify_command(place: Place) -> None:
    """Compare all replicas of a running cluster: digests, the hash of the whole state at one index, order
    numbers.

    A replica that can not be asked is named. Exit code 1 where something differs, 3 where no two replicas (of
    a cluster that has two) could be compared.
    """
    run(lambda reactor: verify(reactor, place))
