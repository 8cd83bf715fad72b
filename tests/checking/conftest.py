"""`--opinion-seed N`: only that history of test_opinions.py."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--opinion-seed", type=int, help="judge the invented history of this seed only")
