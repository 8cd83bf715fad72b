"""What a role tells on stderr."""

from __future__ import annotations

import json

import pytest
from twisted.logger import ILogObserver, Logger, LogLevel

from toystore.ops.logs import log_observer


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOYSTORE_LOG", "TOYSTORE_LOG_FORMAT"):
        monkeypatch.delenv(name, raising=False)


def told(capsys: pytest.CaptureFixture[str], observer: ILogObserver, namespace: str = "toystore.shop") -> str:
    log = Logger(namespace, observer=observer)
    log.debug("looked at {name}", name="Fox")
    log.info("sold {n} of {name}", n=2, name="Fox")
    log.warn("{name} is out of stock", name="Fox")
    return capsys.readouterr().err


def test_one_line_an_event_from_info_up(capsys: pytest.CaptureFixture[str]) -> None:
    observer = log_observer("order-1")
    observer({"log_time": 0.5, "log_level": LogLevel.info, "log_namespace": "a.b", "log_format": "hello"})
    assert capsys.readouterr().err == "1970-01-01T00:00:00.500Z order-1 info a.b: hello\n"
    lines = told(capsys, observer).splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        "order-1 info toystore.shop: sold 2 of Fox",
        "order-1 warn toystore.shop: Fox is out of stock",
    ]


def test_the_level_by_argument_or_environment(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(capsys, log_observer("n", "debug")).count("\n") == 3
    monkeypatch.setenv("TOYSTORE_LOG", "warn")
    assert told(capsys, log_observer("n")).count("\n") == 1
    monkeypatch.setenv("TOYSTORE_LOG", "loud")
    with pytest.raises(ValueError, match="TOYSTORE_LOG is 'loud'; it must be one of debug, info, warn"):
        log_observer("n")


def test_a_failure_is_told_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise RuntimeError("the disk is gone")
    except RuntimeError:
        Logger("toystore", observer=log_observer("n")).failure("can not go on")
    text = capsys.readouterr().err
    assert "n critical toystore: can not go on\n" in text
    assert "builtins.RuntimeError: the disk is gone" in text


def test_json_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOYSTORE_LOG_FORMAT", "json")
    events = [json.loads(line) for line in told(capsys, log_observer("order-1")).splitlines()]
    assert [(event["node"], event["name"], event["log_namespace"]) for event in events] == [
        ("order-1", "Fox", "toystore.shop"),
        ("order-1", "Fox", "toystore.shop"),
    ]


def test_the_factories_of_twisted_are_quiet_below_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, log_observer("n", "debug"), "twisted.web.client._HTTP11ClientFactory")
    assert text.splitlines()[0].endswith("Fox is out of stock")
