"""What a run has shown, for people and as JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import asdict, field, frozen


@frozen
class Wishes:
    """What a run was asked for. `only` and `without` name kinds of faults; `rate` is operations a second, `patience` a
    factor on the times after which nodes give one another up, and on those within which the store must recover."""

    minutes: float = 5.0
    election: str = "raft"
    seed: int = 1
    orders: int = 3
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    clients: int = 24
    rate: float = 200.0
    patience: float = 1.0

    @property
    def seconds(self) -> float:
        return 60 * self.minutes

    def command(self) -> str:
        """What repeats the schedule."""
        options = [f"--minutes {self.minutes:g}", f"--election {self.election}", f"--seed {self.seed}"]
        options += [f"--orders {self.orders}", f"--clients {self.clients}", f"--rate {self.rate:g}"]
        options += [f"--patience {self.patience:g}"] if self.patience != 1 else []
        options += [f"--only {shlex.quote(kind)}" for kind in self.only]
        options += [f"--without {shlex.quote(kind)}" for kind in self.without]
        return " ".join(["toystore torture", *options])


@frozen
class Report:
    """All counts by name; times in seconds. `anomalies` are sentences, empty where all promises were kept; `findings` is
    what was compared and counted on the way; `missing` are kinds of faults that the machine has no tools for."""

    wishes: Wishes
    seconds: float
    faults: Mapping[str, int]
    skipped: Mapping[str, int]
    operations: Mapping[str, Mapping[str, int]]
    errors: Mapping[str, int]
    longest_gap: float
    recoveries: Sequence[float]
    reigns: int
    starts: int
    packets: Mapping[str, int]
    check_seconds: float = 0.0
    anomalies: Sequence[str] = ()
    findings: Sequence[str] = ()
    missing: Sequence[str] = ()
    cluster: Mapping[str, Any] = field(factory=dict)

    @property
    def good(self) -> bool:
        return not self.anomalies

    def json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    def text(self) -> str:
        return "\n".join([*self._head(), "", *self._table(), "", *self._tail()])

    def _head(self) -> list[str]:
        total = sum(self.faults.values())
        lines = [
            f"torture, {self.wishes.election}, seed {self.wishes.seed}: {self.seconds / 60:.1f} minutes, {total} faults",
            f"again: {self.wishes.command()}",
            "",
            "faults        " + _counted(self.faults),
        ]
        if self.skipped:
            lines.append("left out      " + _counted(self.skipped))
        lines += [f"NOT TRIED     {reason}" for reason in self.missing]
        return lines

    def _table(self) -> list[str]:
        lines = [f"{'operation':<12}{'ok':>9}{'fail':>9}{'unknown':>9}"]
        for f, counts in self.operations.items():
            lines.append(f"{f:<12}{counts.get('ok', 0):>9}{counts.get('fail', 0):>9}{counts.get('info', 0):>9}")
        total = sum(sum(counts.values()) for counts in self.operations.values())
        lines.append(f"{total} operations, {total / self.seconds if self.seconds else 0:.0f} a second")
        lines += [f"  {times:>7}  {error}" for error, times in list(self.errors.items())[:12]]
        return lines

    def _tail(self) -> list[str]:
        recovered = sorted(self.recoveries) or [0.0]
        packets = self.packets
        return [
            f"longest time without success   {self.longest_gap:.1f} s",
            f"recovery after a burst         {recovered[len(recovered) // 2]:.1f} s median, {recovered[-1]:.1f} s longest",
            f"leaders seen                   {self.reigns}",
            f"processes started              {self.starts}",
            f"packets                        {packets.get('forwarded', 0)} forwarded, {packets.get('lost', 0)} lost, "
            f"{packets.get('delayed', 0)} delayed, {packets.get('duplicated', 0)} twice",
            f"history checked in             {self.check_seconds:.1f} s",
            *(f"same      {finding}" for finding in self.findings),
            *(f"ANOMALY   {anomaly}" for anomaly in self.anomalies),
            "no anomaly" if self.good else f"NOT AS PROMISED: {len(self.anomalies)} anomalies",
        ]


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {times}" for name, times in sorted(counts.items())) or "none"
