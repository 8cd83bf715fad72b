"""`--seed N`: only that seed. What the replicas log is not shown: the trace is what to read."""

import pytest
from twisted.logger import globalLogBeginner


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help="simulate this seed only, and print its trace")


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
