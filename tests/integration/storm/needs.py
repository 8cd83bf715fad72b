"""What a test needs of the machine that it runs on."""

from __future__ import annotations

import os
import shutil

import pytest


def need(*programs: str) -> None:
    """Skip the test, and say why, where the machine has none of these programs. Where everything must be run (`CI` is
    true) that is a failure."""
    if not any(map(shutil.which, programs)):
        skip = pytest.fail if os.environ.get("CI", "").lower() in ("true", "1") else pytest.skip
        skip(f"needs {' or '.join(programs)}")
