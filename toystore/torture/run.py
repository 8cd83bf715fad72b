"""A whole run from nothing to its report: ground, cluster, customers, ordeal, verdict."""

from __future__ import annotations

import json
import shutil
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import asdict, define, frozen

from toystore.checking.events import INFO, NEMESIS
from toystore.checking.history import HistoryWriter
from toystore.commands.asking import Asker, Unanswered
from toystore.commands.loop import CommandFailed
from toystore.commands.place import Place, find_place
from toystore.commands.rehearsal import to_toml
from toystore.supervisor.launch import nodes_of, twistd_command
from toystore.torture import layout as lay
from toystore.torture.customers import Customers
from toystore.torture.ground import Ground
from toystore.torture.kinds import Kind, chosen
from toystore.torture.layout import Layout
from toystore.torture.nodes import Nodes
from toystore.torture.ordeal import Journal, Ordeal, Stuck
from toystore.torture.planner import Shape, bursts
from toystore.torture.report import Report, Wishes
from toystore.torture.shims import Shims, find_shims
from toystore.torture.stage import Sky, Stage
from toystore.torture.verdict import HISTORY, LEDGER, Verdict, check_history, closing, keep_ledger
from toystore.torture.watch import Observer

START_SECONDS = 60.0
"""How long the cluster may take until all nodes are ready."""
ASK_SECONDS = 20.0
"""For whatever is asked of a node at the end."""
DISK_MEBIBYTES = 8
BYTES_AN_OPERATION = 2048
"""What an operation takes of a replica's disk at most, on average."""


@frozen
class Plan:
    """What is to be done, once it is known what the machine can do."""

    wishes: Wishes
    directory: Path
    layout: Layout
    kinds: Sequence[Kind]
    missing: Sequence[str]
    shims: Shims

    @property
    def disk_mebibytes(self) -> int:
        written = BYTES_AN_OPERATION * self.wishes.rate * (self.wishes.seconds + 60)
        return DISK_MEBIBYTES + int(written / 2**20)


def plan_for(wishes: Wishes, directory: Path, pid: int) -> Plan:
    """Raises UnknownKind."""
    shims = find_shims(directory / "shims")
    kinds, impossible = chosen(wishes.only, wishes.without, shims.available)
    missing = [f"{kind.name}: this machine has no {kind.needs}" for kind in impossible]
    return Plan(wishes, directory, Layout(pid, wishes.orders), kinds, missing, shims)


def shape_of(layout: Layout, kinds: Sequence[Kind]) -> Shape:
    return Shape(layout.order_names, layout.other_names, kinds)


def write_config(plan: Plan) -> Place:
    """`cluster.toml`, its catalog, and what was wished for."""
    directory = plan.directory
    (directory / "catalog.csv").write_text(lay.catalog_csv())
    file = directory / "cluster.toml"
    file.write_text(to_toml(lay.cluster_values(plan.layout, plan.wishes.election, plan.wishes.patience)))
    (directory / "torture.json").write_text(json.dumps(asdict(plan.wishes), indent=1) + "\n")
    return find_place(file, None)


@define
class Run:
    """One run on a ground that is made; `say` is told what happens."""

    reactor: Any
    plan: Plan
    ground: Ground
    say: Callable[[str], None]

    async def report(self) -> Report:
        """Carry it out. Raises CommandFailed (3) where the cluster does not even start."""
        plan, place = self.plan, write_config(self.plan)
        began = self.reactor.seconds()
        async with AsyncExitStack() as stack:
            history = HistoryWriter(stack.enter_context((plan.directory / HISTORY).open("wb")))
            journal = Journal(
                stack.enter_context((plan.directory / "faults.jsonl").open("w")),
                lambda: float(self.reactor.seconds() - began),
                self.say,
            )
            asker = Asker(self.reactor, ASK_SECONDS)
            stage = await stack.enter_async_context(self._stage(place, asker, history, journal))
            await self._all_ready(place, asker)
            journal.note("ready", "all nodes serve")
            customers = self._customers(history)
            customers.start()
            stack.callback(customers.drop)
            ordeal = Ordeal(
                stage, customers, journal, plan.wishes.seconds, plan.wishes.patience, _nemesis(self.reactor, history)
            )
            stuck = await ordeal.run(bursts(plan.wishes.seed, shape_of(plan.layout, plan.kinds)))
            await customers.end()
            seconds = self.reactor.seconds() - began
            verdict = await self._close(place, asker, stage, stuck)
        verdict.add(check_history(plan.directory))
        if verdict.anomalies:
            self._keep_disks()
        return self._told(ordeal, customers, stage, verdict, seconds)

    @asynccontextmanager
    async def _stage(self, place: Place, asker: Asker, history: HistoryWriter, journal: Journal) -> AsyncIterator[Stage]:
        """The cluster on its ground, started; all processes are ended with it."""
        plan, layout = self.plan, self.plan.layout
        for node in layout.nodes:
            plan.shims.calm(node)
        named = {node.name: node for node in nodes_of(place.config)}
        sky = Sky(
            self.reactor,
            {member: (layout.address(member), fd) for member, fd in self.ground.devices.items()},
            plan.wishes.seed,
        )
        nodes = Nodes(
            self.reactor,
            named,
            twistd_command(place.config_file, place.data_dir, layout.order_names),
            lambda name: lay.inside_command(layout, name, plan.shims.settings(name)),
            plan.directory / "logs",
            lambda text: journal.note("died", text),
            _front_lost(self.reactor, history),
        )
        observer = Observer(self.reactor, asker, [node for node in named.values() if node.role != "front"])
        stage = Stage(
            self.reactor, layout, nodes, plan.shims, sky, observer, self.ground.disk, _front_lost(self.reactor, history)
        )
        try:
            nodes.start_all()
            observer.start()
            yield stage
        finally:
            observer.stop()
            await nodes.end()
            await sky.close()

    async def _all_ready(self, place: Place, asker: Asker) -> None:
        patience = START_SECONDS * self.plan.wishes.patience
        deadline = self.reactor.seconds() + patience
        for node in nodes_of(place.config):
            reason = ""
            while reason != "ready":
                if self.reactor.seconds() > deadline:
                    raise CommandFailed(3, f"{node.name} is not ready after {patience:.0f} s: {reason}")
                try:
                    status, answer = await asker.get(node.url, "/readyz", 1.0)
                    reason = "ready" if status == 200 else json.dumps(answer)
                except Unanswered as error:
                    reason = str(error)

    def _customers(self, history: HistoryWriter) -> Customers:
        layout, wishes = self.plan.layout, self.plan.wishes
        fronts = [(front, layout.public_url(front)) for front in layout.front_names]
        return Customers(self.reactor, history, fronts, list(lay.PRODUCTS), wishes.clients, wishes.rate, wishes.seed)

    async def _close(self, place: Place, asker: Asker, stage: Stage, stuck: Stuck | None) -> Verdict:
        verdict = await closing(self.reactor, place, asker)
        ledger = self.plan.directory / LEDGER
        verdict.anomalies += await keep_ledger(asker, place, ledger)
        if stuck is not None:
            verdict.anomalies.insert(0, stuck.what)
        verdict.anomalies += [f"{death.node} {death.how}, and nobody had asked for it" for death in stage.nodes.deaths]
        return verdict

    def _keep_disks(self) -> None:
        """What a failure can be found out from; the file systems go."""
        for order in self.plan.layout.order_names:
            shutil.copytree(self.ground.disk(order), self.plan.directory / "left" / order, dirs_exist_ok=True)

    def _told(self, ordeal: Ordeal, customers: Customers, stage: Stage, verdict: Verdict, seconds: float) -> Report:
        pulse = customers.pulse
        operations: dict[str, Counter[str]] = defaultdict(Counter)
        for (f, type_), times in sorted(pulse.outcomes.items()):
            operations[f][type_] += times
        observer = stage.watch
        assert isinstance(observer, Observer), "it was made here"
        return Report(
            wishes=self.plan.wishes,
            seconds=seconds,
            faults=dict(ordeal.done),
            skipped=dict(ordeal.skipped),
            operations={f: dict(counts) for f, counts in operations.items()},
            errors=dict(pulse.errors.most_common()),
            longest_gap=pulse.longest_gap,
            recoveries=ordeal.recoveries,
            reigns=len(observer.reigns),
            starts=stage.nodes.starts,
            packets=stage.sky.counts,
            check_seconds=verdict.seconds,
            anomalies=verdict.anomalies,
            findings=verdict.findings,
            missing=self.plan.missing,
        )


def _nemesis(reactor: Any, history: HistoryWriter) -> Callable[[str, str], None]:
    """Writes into the history what was done to the cluster."""

    def seen(kind: str, text: str) -> None:
        history.record(int(reactor.seconds() * 1e9), NEMESIS, INFO, kind, {"text": text})

    return seen


def _front_lost(reactor: Any, history: HistoryWriter) -> Callable[[str], None]:
    """Writes into the history that the process of a front end ends."""

    def lost(node: str) -> None:
        if node.startswith("front"):
            history.record(int(reactor.seconds() * 1e9), NEMESIS, INFO, "front-lost", {}, front=node)

    return lost


def save(report: Report, directory: Path) -> None:
    (directory / "report.json").write_text(report.json() + "\n")
    (directory / "report.txt").write_text(report.text() + "\n")
