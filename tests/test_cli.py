"""The commands, without a cluster: what they make of answers, wrong usage and exit codes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from attrs import define, field
from click.testing import CliRunner
from rich.console import Console
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from tests.integration.clusters import write_config
from toystore.cli import main
from toystore.commands.asking import Asker, Unanswered
from toystore.commands.demo import introduction
from toystore.commands.loop import CommandFailed, _exit_code
from toystore.commands.place import find_place, packaged_place
from toystore.commands.shop import exit_code, in_words
from toystore.commands.status import LEDGER_FIELDS, cluster_status, status_table
from toystore.commands.up import public_addresses
from toystore.commands.verify import Findings, Verifier, count_orders
from toystore.ops.config import load_config
from toystore.shop.tally import Tally
from toystore.shop.verdict import Verdict
from toystore.supervisor.launch import Node

REPLICAS = [Node(f"order-{n}", "order", n, f"http://o{n}") for n in (1, 2, 3)]


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    return write_config(tmp_path / "cluster.toml", orders=3, catalogs=1)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(main, arguments)


# Usage


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        ("up", "--config", "missing.toml"),
        ("status", "-o", "yaml"),
        ("node", "eat", "order-1"),
        ("shop", "--url", "http://x"),
        ("shop", "--url", "http://x", "--dialect", "v1", "--p", "2"),
        ("shop", "--url", "http://x", "--dialect", "v1", "--quantity", "3..1"),
        ("shop", "--url", "http://x", "--dialect", "v1", "--iterations", "1", "--seconds", "1"),
        ("export", "everything"),
        ("appoint", "order-1"),
    ],
)
def test_wrong_usage_is_2(arguments: tuple[str, ...]) -> None:
    assert invoke(*arguments).exit_code == 2


def test_a_wrong_config_is_told_whole(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[cluster]\nnmae = 'x'\n")
    found = invoke("status", "--config", str(wrong))
    assert found.exit_code == 2
    assert f"{wrong}: cluster.nmae: unknown key" in found.output


@pytest.mark.parametrize("command", [[], *([name] for name in main.commands)])
def test_every_command_has_help(command: list[str]) -> None:
    found = invoke(*command, "--help")
    assert found.exit_code == 0
    assert len(found.output.splitlines()) > 4


def test_the_data_directory_is_where_it_is_said_to_be(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(config_file.parent)
    assert find_place(config_file, Path("here")).data_dir == config_file.parent / "here"
    assert find_place(config_file, None).data_dir == config_file.parent / "var/toys"
    assert find_place(None, None).data_dir == config_file.parent / "toystore-data"


@pytest.mark.parametrize(
    ("result", "code"),
    [(0, 0), (1, 1), (Failure(CommandFailed(2, "no")), 2), (Failure(CancelledError()), 3)],
)
def test_a_command_ends_with_its_code(result: int | Failure, code: int) -> None:
    assert _exit_code(result) == code


def test_an_error_of_ours_is_not_hidden() -> None:
    with pytest.raises(KeyError):
        _exit_code(Failure(KeyError("ours")))


def test_a_cancelled_question_is_no_missing_answer() -> None:
    asking = Deferred.fromCoroutine(Asker(MemoryReactorClock(), 1.0).get("http://127.0.0.1:1", "/status"))
    asking.cancel()
    found: list[Any] = []
    asking.addErrback(found.append)
    assert found[0].check(CancelledError)


def test_a_question_without_an_answer_ends_in_time() -> None:
    reactor = MemoryReactorClock()
    asking = Deferred.fromCoroutine(Asker(reactor, 5.0).get("http://127.0.0.1:1", "/status", 1.0))
    reactor.advance(1.0)
    found: list[Any] = []
    asking.addErrback(found.append)
    assert "http://127.0.0.1:1/status: no answer within 1 s" in str(found[0].value)


# Status


def replica(state: str, term: int, **more: object) -> dict[str, Any]:
    return {**dict.fromkeys(LEDGER_FIELDS), "state": state, "term": term, "pid": 7, "in_sync": True, **more}


def test_a_status_has_all_fields_whatever_is_known(config_file: Path) -> None:
    answers = {"order-1": replica("leader", 3, digest="ab" * 32), "front-1": {"state": "serving", "pid": 9}}
    status = cluster_status(load_config(config_file), answers, {"order-2": 5})
    assert list(status) == ["format", "cluster", "election", "leader", "nodes"]
    rows = {row["name"]: row for row in status["nodes"]}
    fields = ["name", "role", "state", "pid", "url", *LEDGER_FIELDS]
    assert [list(row) for row in rows.values()] == [fields] * 5
    assert (rows["order-2"]["state"], rows["order-2"]["pid"], rows["order-2"]["term"]) == ("down", 5, None)
    assert (rows["order-3"]["pid"], rows["front-1"]["state"], rows["front-1"]["lag"]) == (None, "serving", None)


@pytest.mark.fault(6)
def test_of_two_that_claim_to_lead_the_higher_term_does(config_file: Path) -> None:
    config = load_config(config_file)
    answers = {"order-1": replica("leader", 4), "order-2": replica("follower", 9), "order-3": replica("leader", 5)}
    assert cluster_status(config, answers, {})["leader"] == "order-3"
    assert cluster_status(config, {"order-2": replica("follower", 9)}, {})["leader"] is None


def test_a_table_reads_well_without_colour(config_file: Path) -> None:
    answers = {"order-1": replica("leader", 3, digest="ab" * 32, applied_index=12, in_sync=False)}
    out = io.StringIO()
    Console(file=out, width=200).print(status_table(cluster_status(load_config(config_file), answers, {})))
    text = out.getvalue()
    assert "\x1b" not in text
    assert "test (raft): order-1" in text
    assert "NO" in text
    assert "abababababab " in text
    assert len([line for line in text.splitlines() if " down " in line]) == 4


# Verify


@define
class Answers:
    """Stands in for `Asker`: a function for each path, called with the node's name and the query."""

    applied: dict[str, int]
    digest: Callable[[str, int], tuple[int, Any]] = lambda name, index: (200, {"digest": f"d{index}"})
    state: Callable[[str, int], tuple[int, Any]] = lambda name, index: (200, {"state_hash": f"h{index}"})
    orders: list[int] = field(factory=list)
    asked: list[str] = field(factory=list)

    async def get(self, url: str, path: str, timeout: float = 0) -> tuple[int, Any]:
        name = "order-" + url[-1]
        if name not in self.applied:
            raise Unanswered(f"{url}: nothing listens there")
        self.asked.append(f"{name}{path}")
        if path == "/status":
            return 200, {"applied_index": self.applied[name]}
        page, _, index = path.partition("?index=")
        return (self.digest if page == "/digest" else self.state)(name, int(index))

    async def fetch(self, url: str, path: str, timeout: float = 0) -> tuple[int, bytes]:
        start = int(path.partition("from=")[2].partition("&")[0])
        page = [number for number in self.orders if number >= start][:2]
        return 200, b"".join(json.dumps({"number": number}).encode() + b"\n" for number in page)


def check(answers: Answers, *what: str) -> Findings:
    clock, findings = Clock(), Findings()
    verifier = Verifier(clock, answers, REPLICAS)  # type: ignore[arg-type]
    for name in what:
        found: list[Any] = []
        Deferred.fromCoroutine(getattr(verifier, name)()).addBoth(found.append)
        clock.pump([0.1] * 100)
        assert not isinstance(found[0], Failure), found
        found[0].report(name, findings)
    return findings


def test_replicas_are_compared_at_the_highest_index_that_all_have() -> None:
    answers = Answers({"order-1": 9, "order-2": 7, "order-3": 8})
    findings = check(answers, "digests", "state_hashes")
    assert findings.exit_code(True) == 0
    assert "digests at index 7 is the same: order-1, order-2, order-3: d7" in findings.equal
    assert "order-2/state-hash?index=9" in answers.asked


@pytest.mark.parametrize("what", ["digest", "state"])
def test_a_difference_is_1(what: str) -> None:
    def differ(name: str, index: int) -> tuple[int, Any]:
        return 200, {"digest": name, "state_hash": name}

    answers = Answers(dict.fromkeys(["order-1", "order-2"], 5), **{what: differ})
    findings = check(answers, "digests", "state_hashes")
    assert findings.exit_code(False) == 1
    assert "differs: order-1: order-1; order-2: order-2" in findings.different[0]


def test_an_index_that_was_passed_is_tried_again_further_on() -> None:
    answers = Answers({"order-1": 100, "order-2": 100, "order-3": 100})

    def state(name: str, index: int) -> tuple[int, Any]:
        for replica_name in answers.applied:
            answers.applied[replica_name] += 10
        return (200, {"state_hash": "h"}) if index >= answers.applied[name] else (409, {"error": "index_passed"})

    answers.state = state
    findings = check(answers, "state_hashes")
    assert (findings.unknown, len(findings.equal)) == ([], 1)


def test_an_index_that_is_never_reached_is_not_waited_for_twice() -> None:
    answers = Answers({"order-1": 5, "order-2": 5})
    tries: list[int] = []

    def state(name: str, index: int) -> tuple[int, Any]:
        tries.append(index)
        if len(tries) == 1:
            answers.applied["order-1"] = answers.applied["order-2"] = 9
        if index < answers.applied[name]:
            return 409, {"error": "index_passed"}
        if index > answers.applied[name]:
            raise Unanswered("no answer within 20 s")
        return 200, {"state_hash": "h"}

    answers.state = state
    assert check(answers, "state_hashes").unknown == []


def test_digests_that_are_gone_are_unknown() -> None:
    answers = Answers({"order-1": 9, "order-2": 3}, digest=lambda name, index: (404, {"error": "not_kept"}))
    findings = check(answers, "digests")
    assert findings.exit_code(can_tell=False) == 3
    assert any(sentence.startswith("digests of order-1:") for sentence in findings.unknown)


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ([0, 1, 2, 3, 4], "5, numbered without a gap"),
        ([], "0, numbered without a gap"),
        ([0, 1, 3], "2 expected, 3 found"),
        ([1], "0 expected, 1 found"),
    ],
)
@pytest.mark.fault(2)
def test_orders_are_counted_from_zero(numbers: list[int], sentence: str) -> None:
    findings = Findings()
    answers: Any = Answers({}, orders=numbers)
    counting = Deferred.fromCoroutine(count_orders(answers, REPLICAS[0], findings))
    assert counting.called
    assert (findings.equal + findings.different) == [f"orders of order-1: {sentence}"]


# Shop and demo


@pytest.mark.parametrize(
    ("verdict", "code", "words"),
    [
        (Verdict(3, [], []), 0, "ALL ORDERS VERIFIED: 3"),
        (Verdict(2, ["order 1 is gone"], [7]), 1, "order 1 is gone\nMISMATCH: 2 of 4"),
        (Verdict(2, [], [7]), 3, "NOT SURE: 1 of 3 orders could not be asked for"),
    ],
)
def test_the_verdict_of_the_shoppers(verdict: Verdict, code: int, words: str) -> None:
    tally = Tally()
    tally.count("lookup", "2xx", 0.1)
    assert exit_code(tally, verdict) == code
    assert in_words(verdict).startswith(words)


def test_where_nothing_was_answered_nothing_can_be_told() -> None:
    tally = Tally()
    tally.count("lookup", "unreachable", 0.1)
    assert exit_code(tally, Verdict(0, [], [])) == 3


def test_the_introduction_says_how_to_kill_the_leader(config_file: Path) -> None:
    place = find_place(config_file, Path("/some where"))
    text = introduction(place, "order-2")
    assert f"node kill order-2 --config {config_file} --data-dir '/some where'" in text
    assert public_addresses(place.config)["v1"][0] + "/v1/orders" in text
    assert '"name": "Tux"' in text, "the first product of the catalog"


@pytest.mark.parametrize(
    ("dialect", "cluster"),
    [("v1", "toys"), ("toys", "toys"), ("trader", "stocks"), ("bazaar", "stocks"), ("flask", "flask"), ("books", "books")],
)
def test_a_demo_is_of_the_packaged_cluster_that_speaks_the_dialect(dialect: str, cluster: str, tmp_path: Path) -> None:
    place = packaged_place(dialect, tmp_path)
    assert (place.config.cluster.name, place.data_dir) == (cluster, tmp_path)


def test_a_dialect_that_nobody_speaks_has_no_demo(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"no config of the package .* klingon"):
        packaged_place("klingon", tmp_path)


def test_a_range_may_be_one_number() -> None:
    from toystore.commands.shop import span

    context = click.Context(main)
    assert span(context, click.Option(["--q"]), "3") == (3, 3)
    assert span(context, click.Option(["--q"]), "2..9") == (2, 9)
