"""Purity and direction: who may import whom (docs/architecture.rst)."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "toystore"

PURE = (
    "model", "ledger", "names", "money", "consensus", "frontend.cache", "frontend.slots", "frontend.balance",
    "checking.events", "checking.final", "checking.findings", "checking.linearizability", "checking.operations",
    "checking.orders", "checking.realtime", "checking.report", "checking.second_opinion", "checking.staleness",
    "checking.stock", "checking.store_model", "checking.timeline",
)  # fmt: skip
"""These import the standard library and attrs only, and nothing of it that has a clock, I/O or a global random."""

IMPURE_STANDARD = {
    "asyncio", "datetime", "io", "logging", "multiprocessing", "os", "pathlib", "select", "shutil", "socket", "sqlite3",
    "subprocess", "tempfile", "threading", "time", "uuid", "secrets", "urllib",
}  # fmt: skip

LEVELS = (
    ("model", "ledger", "names", "money", "encoding", "consensus"),
    ("storage.interface", "replication.interface", "web.interface"),
    ("projections", "together", "checking"),
    ("storage", "web", "replication", "ops"),
    ("orders", "catalog", "frontend", "shop"),
    ("compose", "daemon", "supervisor"),
    ("orders.tap", "catalog.tap", "frontend.tap", "drills", "commands", "cli", "__main__"),
)
"""From the bottom up; a module imports from its own level and from those below."""

ROLES = ("orders", "catalog", "frontend")


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path
    return found


MODULES = modules()


def imports(name: str) -> set[str]:
    """What a module imports, by full name; `from a import b` counts as a.b where that is a module of ours."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            assert node.module is not None
            ours = {f"{node.module}.{alias.name}" for alias in node.names}
            inner = {full for full in ours if full.removeprefix("toystore.") in MODULES}
            found |= inner or {node.module}
    return found


def within(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")


def level(name: str) -> int:
    """The level of the longest part of LEVELS that holds the module."""
    ranked = [(len(part), i) for i, parts in enumerate(LEVELS) for part in parts if within(name, part)]
    assert ranked, f"{name} stands on no level"
    return max(ranked)[1]


@pytest.mark.parametrize("name", [name for name in MODULES if any(within(name, part) for part in PURE)])
def test_pure_modules_import_the_standard_library_and_attrs_only(name: str) -> None:
    for imported in imports(name):
        top = imported.split(".")[0]
        if top == "toystore":
            inner = imported.removeprefix("toystore").lstrip(".")
            assert any(within(inner, part) for part in PURE), f"{name} is pure and imports {imported}"
        else:
            assert top == "attrs" or top in sys.stdlib_module_names, f"{name} is pure and imports {imported}"
            assert top not in IMPURE_STANDARD, f"{name} is pure and imports {imported}"


@pytest.mark.parametrize("name", [name for name in MODULES if any(within(name, part) for part in PURE)])
def test_pure_modules_use_no_global_random(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text())
    aliases = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name == "random"
    }
    for node in ast.walk(tree):
        called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if called and isinstance(node.func.value, ast.Name) and node.func.value.id in aliases:
            assert node.func.attr == "Random", f"{name}:{node.lineno} uses the global random"


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_imports_go_downward(name: str) -> None:
    for imported in imports(name):
        if imported.split(".")[0] != "toystore" or imported == "toystore":
            continue
        inner = imported.removeprefix("toystore.")
        assert level(inner) <= level(name), f"{name} imports {imported}, which stands above it"


@pytest.mark.parametrize("name", [name for name in MODULES if name.split(".")[0] in ROLES])
def test_roles_do_not_import_one_another(name: str) -> None:
    role = name.split(".")[0]
    for imported in imports(name):
        parts = imported.split(".")
        if parts[0] == "toystore" and len(parts) > 1 and parts[1] in ROLES:
            assert parts[1] == role, f"{name} imports {imported}"


def test_only_compose_and_taps_name_the_reactor() -> None:
    allowed = ("compose", "daemon", "orders.tap", "catalog.tap", "frontend.tap", "supervisor", "commands", "cli", "shop")
    for name in MODULES:
        if not any(within(name, part) for part in allowed):
            assert "twisted.internet.reactor" not in imports(name), name
            assert "from twisted.internet import reactor" not in MODULES[name].read_text(), name


@pytest.mark.fault(10)
def test_nothing_reads_bytes_that_could_run() -> None:
    for name, path in MODULES.items():
        assert not imports(name) & {"pickle", "marshal", "shelve", "dill", "yaml"}, name
        called = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
        assert not called & {"eval", "exec", "compile"}, name


def test_there_are_no_rooms_for_leftovers() -> None:
    forbidden = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}
    for name in MODULES:
        assert not forbidden & set(name.split(".")), name


def test_the_plugin_file_holds_three_makers_and_nothing_else() -> None:
    plugins = ROOT / "twisted" / "plugins"
    assert not (plugins / "__init__.py").exists()
    assert not (ROOT / "twisted" / "__init__.py").exists()
    tree = ast.parse((plugins / "toystore_plugins.py").read_text())
    makers = [node for node in tree.body if isinstance(node, ast.Assign)]
    assert len(makers) == 3
    assert len(tree.body) == 5, "a docstring, an import and three makers"
