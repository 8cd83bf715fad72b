"""What the replicas log is not shown: the trace is what to read."""

import pytest
from twisted.logger import globalLogBeginner


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
