"""Measure contenders in turn, and put the rounds together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median

from attrs import field, frozen

from benchmarks import wrk
from benchmarks.contender import CASES, Case, Contender, Served
from benchmarks.machine import cpu_seconds
from benchmarks.wrk import Report

SETTLE_SECONDS = 0.3
"""After a run: what wrk has left half done is finished before the books are read."""
STRAY_SHARE = 0.01
"""So many lookups, and each client's first, may miss the cache in a run of hits, or the other way round."""

Work = Mapping[str, Mapping[int, float]]
"""Processor time so far, in seconds, of each process id, under the names of `Contender.processes`."""


@frozen
class Run:
    """One contender in one case of one round. `cpu`: microseconds of processor time a request, by process. A run with
    `faults` counts for nothing; `remarks` say what happened without harm to the clients."""

    round: int
    case: Case
    label: str
    report: Report
    cpu: Mapping[str, float]
    faults: Sequence[str] = ()
    remarks: Sequence[str] = ()


@frozen
class Summary:
    """The medians of a contender's rounds in one case; latencies in milliseconds. `lowest` and `highest` are the rates of
    single rounds."""

    rate: float
    p50: float
    p99: float
    lowest: float
    highest: float
    cpu: Mapping[str, float] = field(factory=dict)


def measure(contender: Contender, case: Case, round_: int, seconds: int) -> Run:
    """Raises Unusable (wrk), OSError (the contender does not answer)."""
    before, began = contender.served(), _work(contender)
    report = wrk.fire(contender.url, contender.volley(case.kind), case.connections, seconds)
    ended = _work(contender)
    time.sleep(SETTLE_SECONDS)
    cpu = {name: spent * 1e6 / max(1, report.requests) for name, spent in cpu_spent(began, ended).items()}
    faults = faults_of(case, report, before, contender.served())
    return Run(round_, case, contender.label, report, cpu, faults, changes(began, ended))


def _work(contender: Contender) -> Work:
    return {name: cpu_seconds(pids) for name, pids in contender.processes().items()}


def cpu_spent(began: Work, ended: Work) -> dict[str, float]:
    """Seconds by name. A process that came in between counts from its start, one that has gone not at all."""
    known = {pid: seconds for processes in began.values() for pid, seconds in processes.items()}
    return {
        name: sum(seconds - known.get(pid, 0.0) for pid, seconds in processes.items()) for name, processes in ended.items()
    }


def changes(began: Work, ended: Work) -> list[str]:
    """Which processes do another job than before: the leader, after an election."""
    was = {pid: name for name, processes in began.items() for pid in processes}
    found = [(was.get(pid, name), name) for name, processes in ended.items() for pid in processes]
    return [f"a {before} has become {after}" for before, after in found if before != after]


def faults_of(case: Case, report: Report, before: Served, after: Served) -> list[str]:
    """Why a run is worth nothing: errors, or work that is not the work that was asked for."""
    faults = []
    if str(report.errors) != "none":
        faults.append(f"failed requests: {report.errors}")
    if not report.requests:
        faults.append("no request was answered")
    answered, sold = (report.requests if case.kind == "buy" else 0), after.sold - before.sold
    unanswered = case.connections if case.kind == "buy" else 0  # what was under way when wrk stopped
    if not answered <= sold <= answered + unanswered:
        faults.append(f"{answered} orders were acknowledged, {sold} units were sold")
    if case.kind != "buy" and None not in (before.hits, after.hits, before.misses, after.misses):
        hits, misses = (after.hits or 0) - (before.hits or 0), (after.misses or 0) - (before.misses or 0)
        if (misses if case.kind == "hit" else hits) > STRAY_SHARE * report.requests + case.connections:
            faults.append(f"of the lookups {hits} hit the cache and {misses} missed it")
    return faults


def measure_all(contenders: Sequence[Contender], rounds: int, seconds: int, say: Callable[[str], None]) -> list[Run]:
    """Round by round and case by case the contenders take turns, so that whatever else the machine does meets all."""
    for contender in contenders:
        wrk.fire(contender.url, contender.volley("buy"), 8, 2)  # the first requests of a process are slow
        time.sleep(SETTLE_SECONDS)
    runs = []
    for round_ in range(1, rounds + 1):
        for case in CASES:
            for contender in contenders:
                run = measure(contender, case, round_, seconds)
                runs.append(run)
                outcome = f"INVALID: {'; '.join(run.faults)}" if run.faults else f"{run.report.rate:.0f}/s"
                say(f"round {round_}, {case.name}, {contender.label}: {outcome}")
    return runs


def summarise(runs: Iterable[Run]) -> dict[tuple[Case, str], Summary | None]:
    """By case and contender; None where a round was not valid."""
    gathered: dict[tuple[Case, str], list[Run]] = {}
    for run in runs:
        gathered.setdefault((run.case, run.label), []).append(run)
    return {key: _median_of(rounds) for key, rounds in gathered.items()}


def _median_of(rounds: Sequence[Run]) -> Summary | None:
    if any(run.faults for run in rounds):
        return None
    reports = [run.report for run in rounds]
    rates = [report.rate for report in reports]
    names = {name: None for run in rounds for name in run.cpu}
    return Summary(
        rate=median(rates),
        p50=median(report.p50 for report in reports),
        p99=median(report.p99 for report in reports),
        lowest=min(rates),
        highest=max(rates),
        cpu={name: median(run.cpu[name] for run in rounds if name in run.cpu) for name in names},
    )
