"""The units for systemd: that it accepts them, and that they start the roles there are as the roles want it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins

from toystore.daemon import EX_USAGE
from toystore.ops.options import RoleOptions

UNITS = Path(__file__).resolve().parent.parent / "etc" / "systemd"
ROLES = ("order", "catalog", "front")


def settings_of(role: str) -> dict[str, str]:
    """The last value of each setting of a role's unit."""
    lines = (UNITS / f"toystore-{role}@.service").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for unit in UNITS.iterdir():
        text = unit.read_text().replace("/opt/toystore/bin/twistd", "/bin/true")
        # The account is made by whoever installs; here it need not exist.
        (tmp_path / unit.name.replace("@", "@1")).write_text(text.replace("User=toystore", "DynamicUser=yes"))
    names = sorted(str(path) for path in tmp_path.iterdir())
    assert len(names) == 4
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True, timeout=60, check=False
    )
    ours = [line for line in (verified.stdout + verified.stderr).splitlines() if "toystore" in line]
    assert (verified.returncode, ours) == (0, [])


@pytest.mark.parametrize("role", ROLES)
def test_a_unit_starts_its_role(role: str) -> None:
    settings = settings_of(role)
    twistd, *words = shlex.split(settings["ExecStart"].replace("%i", "2"))
    assert twistd.endswith("/bin/twistd")
    assert words[:3] == ["--nodaemon", "--pidfile=", f"toystore-{role}"]
    options = RoleOptions()
    options.parseOptions(words[3:])
    assert (options["config"], options.node_id) == ("/etc/toystore/toys.toml", 2)
    assert options["data-dir"] == f"/var/lib/{settings['StateDirectory']}"


@pytest.mark.parametrize("role", ROLES)
def test_a_unit_comes_back_unless_its_config_is_wrong(role: str) -> None:
    settings = settings_of(role)
    assert (settings["Restart"], settings["StartLimitIntervalSec"]) == ("always", "0")
    assert settings["RestartPreventExitStatus"] == str(EX_USAGE)
    assert settings["WantedBy"] == settings["PartOf"] == "toystore.target"


def test_there_is_a_plugin_for_each_unit() -> None:
    assert {f"toystore-{role}" for role in ROLES} <= {maker.tapname for maker in getPlugins(IServiceMaker)}
