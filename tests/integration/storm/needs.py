"""What a test needs of the machine that it runs on."""

from __future__ import annotations

import shutil

import pytest


def need(*programs: str) -> None:
    """Skip the test, and say why, where the machine has none of these programs."""
    if not any(map(shutil.which, programs)):
        pytest.skip(f"needs {' or '.join(programs)}")
