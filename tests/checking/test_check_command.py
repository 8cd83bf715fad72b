"""`toystore check`, on files."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner, Result

from benchmarks.checking import measure, write_run
from benchmarks.invented import invent
from toystore.checking.files import judge
from toystore.checking.history import HistoryWriter
from toystore.cli import main


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path, 2_000, seed=1)
    return tmp_path


def check(run: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["check", str(run / "history.jsonl"), "--final", str(run), *options])


def test_a_good_history(run: Path) -> None:
    result = check(run)
    assert result.exit_code == 0, result.output
    assert "2000 operations" in result.output
    assert "nothing to check  an order is refused for lack of stock" in result.output
    assert result.output.endswith("no anomaly\n")


def test_for_programs(run: Path) -> None:
    told = json.loads(check(run, "-o", "json", "--windows", "2").output)
    assert (told["format"], told["operations"], told["anomalies"]) == (1, 2000, 0)
    assert {"promise", "checked", "anomalies", "given_up", "told"} == set(told["checks"][0])


def test_a_lost_order(run: Path) -> None:
    orders = (run / "orders.jsonl").read_bytes().splitlines(keepends=True)
    (run / "orders.jsonl").write_bytes(b"".join(orders[:-1]))
    result = check(run)
    assert result.exit_code == 1
    assert f"answered as order {len(orders) - 1} (event " in result.output
    assert "is lost: the ledger has no order with this key" in result.output


def test_stale_reads_by_a_smaller_bound(run: Path) -> None:
    """Each front end here shows at once what the other was told of."""
    assert check(run, "--bound", "0").exit_code == 0


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("history.jsonl", b'{"index":3}\n', "line 1"),
        ("orders.jsonl", b"{}\n", "orders.jsonl, line 1"),
        ("initial.json", b'{"Tux":"many"}', "initial.json"),
    ],
)
def test_a_file_that_is_none(run: Path, name: str, content: bytes, why: str) -> None:
    (run / name).write_bytes(content)
    result = check(run)
    assert result.exit_code == 2
    assert why in result.output


def test_files_that_are_missing(run: Path) -> None:
    (run / "products.jsonl").unlink()
    assert check(run).exit_code == 2
    (run / "changes.jsonl").unlink()
    (run / "history.jsonl").unlink()
    assert check(run).exit_code == 2


def test_without_the_changes_stocks_are_not_checked(run: Path) -> None:
    (run / "changes.jsonl").unlink()
    result = check(run)
    assert result.exit_code == 0
    assert "nothing to check  no unit of stock appears or vanishes (0)" in result.output


def test_with_what_there_was_they_are(run: Path) -> None:
    (run / "changes.jsonl").unlink()
    (run / "initial.json").write_text(json.dumps({f"P{place}": 100_000 for place in range(50)}))
    assert "ok  no unit of stock appears or vanishes (50)" in check(run).output
    (run / "initial.json").write_text(json.dumps({f"P{place}": 100_001 for place in range(50)}))
    assert check(run).exit_code == 1


def test_the_benchmark_reads_and_checks_it(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seconds, good = measure(run)
    assert good
    assert seconds > 0
    assert "2000 operations: " in capsys.readouterr().out
    assert gc.isenabled()


def test_the_garbage_collector_is_left_as_it_was(run: Path) -> None:
    assert gc.isenabled()
    judge(run / "history.jsonl", run)
    assert gc.isenabled()
    (run / "orders.jsonl").write_bytes(b"{}\n")
    with pytest.raises(ValueError, match="line 1"):
        judge(run / "history.jsonl", run)
    assert gc.isenabled()


def test_a_history_that_was_cut_off_in_a_line(run: Path) -> None:
    """Whoever is under way then is as good as unknown."""
    data = (run / "history.jsonl").read_bytes()
    (run / "history.jsonl").write_bytes(data[:-25])
    result = check(run)
    assert result.exit_code == 0, result.output


def test_an_invented_history_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        with (tmp_path / name).open("wb") as file:
            invent(Random(5), 200, HistoryWriter(file).record)
        texts.append((tmp_path / name).read_bytes())
    assert texts[0] == texts[1]
