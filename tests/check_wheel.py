"""Install the wheel of a folder in a fresh environment and run all three plugins from an unrelated directory.

`python tests/check_wheel.py DIST`; exits 1 where a role does not run.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROLES = ("toystore-order", "toystore-catalog", "toystore-front")


def main(dist: Path) -> int:
    (wheel,) = dist.glob("*.whl")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        bin_folder = folder / "venv" / "bin"
        subprocess.run([bin_folder / "pip", "install", "--quiet", str(wheel)], check=True)
        failed = False
        for role in ROLES:
            result = run([bin_folder / "twistd", role, "--help"], folder)
            works = result.returncode == 0 and "--config" in result.stdout
            print(f"{role}: {'runs' if works else result.stdout + result.stderr}")
            failed = failed or not works
        result = run([bin_folder / "toystore", "status", "-o", "json"], folder)
        works = result.returncode == 3 and '"format":1' in result.stdout.replace(" ", "")  # 3: no node is up
        print(f"toystore status: {'runs' if works else result.stdout + result.stderr}")
        return 1 if failed or not works else 0


def run(command: list[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
