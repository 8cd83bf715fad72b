"""The configuration: what is valid, what each default is, and that every fault is told, all at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from toystore.ops.addresses import parse_listen
from toystore.ops.config import (
    Cluster,
    Config,
    ConfigError,
    FrontNode,
    Projection,
    Public,
    Restock,
    Storage,
    Timing,
    default_config_path,
    load_config,
)

MINIMAL = """
[cluster]
name = "corner shop"
[[order]]
id = 1
listen = "tcp:7001"
url = "http://shop.example:7001/"
[[catalog]]
id = 1
listen = "tcp:7002"
url = "http://shop.example:7002"
[[front]]
id = 1
listen = "tcp:7003"
url = "http://shop.example:7003"
[[front.public]]
dialect = "trader"
listen = "tcp:7004"
"""

Load = Callable[[str], Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load_text(text: str) -> Config:
        (tmp_path / "shop.toml").write_text(text, encoding="utf-8")
        return load_config(tmp_path / "shop.toml")

    return load_text


def faults_of(load: Load, text: str) -> list[str]:
    """The faults without the file they all begin with."""
    with pytest.raises(ConfigError) as caught:
        load(text)
    lines = str(caught.value).splitlines()
    assert all("/shop.toml: " in line or ".csv: " in line for line in lines), lines
    return [line.split("/shop.toml: ")[-1] for line in lines]


def test_the_packaged_config_is_valid() -> None:
    config = load_config(default_config_path())
    assert [node.name for node in config.nodes] == [*("order-1", "order-2", "order-3", "catalog-1", "catalog-2", "front-1")]
    assert [node.url.rsplit(":", 1)[1] for node in config.nodes] == [*("12502", "12504", "12505", "12501", "12506", "12510")]
    assert [(p.dialect, parse_listen(p.listen).port) for p in config.front(1).publics] == [
        ("v1", 8080),
        ("toys", 12503),
    ]
    assert config.warnings == ()
    assert config.cluster.catalog_csv == default_config_path().parent / "toys.csv"


def test_the_packaged_config_shows_the_defaults() -> None:
    config = load_config(default_config_path())
    assert evolve(config.cluster, data_dir=Path("var/toys"), catalog_csv=Path("toys.csv")) == Cluster("toys")
    assert (config.timing, config.restock, config.storage, config.projections) == (Timing(), Restock(), Storage(), ())
    front = config.front(1)
    assert front == FrontNode(front.id, front.listen, front.url, publics=front.publics)
    assert dict(front.publics[1].options) == {"first": 0, "verbatim": False}


def test_one_of_each_and_only_what_is_required(load: Load, tmp_path: Path) -> None:
    config = load(MINIMAL)
    assert config.cluster == Cluster("corner shop", data_dir=tmp_path / "var/toys", catalog_csv=None)
    assert config.order(1).url == "http://shop.example:7001"
    assert config.front(1).publics == (Public("trader", "tcp:7004", {"first": 1}),)
    assert config.directory_of(config.catalog(1)) == tmp_path / "var/toys/catalog-1"


def test_a_catalog_beside_the_file_is_taken_unless_refused(load: Load, tmp_path: Path) -> None:
    (tmp_path / "toys.csv").write_text("name,price,quantity\nTux,1.00,1\n")
    assert load(MINIMAL).cluster.catalog_csv == tmp_path / "toys.csv"
    none = MINIMAL.replace("[[order]]", 'catalog_csv = ""\n[[order]]', 1)
    assert load(none).cluster.catalog_csv is None


def test_the_data_directory_given_by_hand_wins(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(MINIMAL)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load_config("../shop.toml", "data").cluster.data_dir == tmp_path / "elsewhere" / "data"


def test_projections_for_all_replicas_and_for_one(load: Load, tmp_path: Path) -> None:
    config = load(
        MINIMAL.replace("[[catalog]]", '[[order.projection]]\nformat="toys-raft"\npath="r.csv"\n[[catalog]]')
        + '[[projection]]\nformat = "toys-orders"\npath = "order_log_{id}.csv"\n'
    )
    both = config.projections_of(config.order(1))
    assert both == (Projection("toys-orders", "order_log_{id}.csv"), Projection("toys-raft", "r.csv"))
    assert both[0].path_for(3, tmp_path) == tmp_path / "order_log_3.csv"


def test_an_unknown_id_names_those_that_are_known(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"no \[\[order\]\] with id 4; known ids are 1"):
        load(MINIMAL).order(4)


ONE_FAULT = {
    "unknown key": (
        'name = "corner shop"',
        'name = "x"\ncurency = "EUR"',
        "cluster.curency: unknown key; did you mean 'currency'?",
    ),
    "unknown table": (
        "[[order]]",
        "[cache]\nsize = 1\n[[order]]",
        "cache: unknown key; known keys are cluster,",
    ),
    "missing key": ('name = "corner shop"', "", "cluster.name: missing; this key is required"),
    "missing role": ("[[catalog]]", "[[catalogue]]", "catalog: missing"),
    "wrong type": ("id = 1", "id = true", "order[1].id: expected a whole number from 1 to 999, found true"),
    "id too low": ("id = 1", "id = 0", "order[1].id: expected a whole number from 1 to 999, found 0"),
    "table for array": (
        "[[order]]",
        "[order]",
        "order: expected an array of tables, [[order]], found a table",
    ),
    "not an endpoint": ("tcp:7001", "tpc:7001", "order[1].listen: expected a Twisted endpoint such as"),
    "no port": ("tcp:7001", "tcp:http", "order[1].listen: expected a Twisted endpoint such as"),
    "port too high": ("tcp:7001", "tcp:70010", "order[1].listen: expected a Twisted endpoint such as"),
    "url without port": ("shop.example:7001/", "shop.example", "order[1].url: expected a URL such as"),
    "url with a path": ("shop.example:7001/", "shop.example:7001/x", "order[1].url: expected a URL such as"),
    "url of another kind": ("http://shop.example:7001", "ftp://shop.example:7001", "order[1].url: expected"),
    "dialect": ('"trader"', '"traders"', "front[1].public[1].dialect: expected one of 'v1', 'toys',"),
    "option of another dialect": (
        '"trader"',
        '"trader"\nverbatim = true',
        "front[1].public[1].verbatim: unknown key",
    ),
    "option of a wrong type": (
        '"trader"',
        '"trader"\nfirst = "1"',
        "front[1].public[1].first: expected a whole",
    ),
    "same port": (
        "tcp:7002",
        "tcp:7001",
        "catalog[1].listen: expected a port or path of its own, found port 7001, which order[1]",
    ),
    "same port of a public": (
        "tcp:7004",
        "tcp:7003:interface=127.0.0.1",
        "front[1].public[1].listen: expected a port",
    ),
    "same url": ("shop.example:7002", "shop.example:7001", "catalog[1].url: expected a URL of its own"),
    "election mode": (
        "[[order]]",
        'election = "bully"\n[[order]]',
        "cluster.election: expected one of 'raft', 'appointed'",
    ),
    "preference": (
        "[[order]]",
        'leader_preference = "high"\n[[order]]',
        "cluster.leader_preference: expected",
    ),
    "currency": ("[[order]]", 'currency = "usd"\n[[order]]', "cluster.currency: expected a currency code"),
    "no catalog file": (
        "[[order]]",
        'catalog_csv = "nothing.csv"\n[[order]]',
        "nothing.csv: can not be read: No such",
    ),
    "a second node": (
        "[[catalog]]",
        '[[order]]\nid = 1\nlisten = "tcp:9001"\nurl = "http://b.example:1"\n[[catalog]]',
        "order[2].id: expected an id of its own, found a second order-1; the first is order[1]",
    ),
    "heartbeat": (
        "[[order]]",
        "[timing]\nheartbeat = 0.3\n[[order]]",
        "timing.heartbeat: expected less than",
    ),
    "election times": (
        "[[order]]",
        "[timing]\nelection = [0.6, 0.3]\n[[order]]",
        "timing.election: expected [lowest, highest], found [0.6, 0.3]",
    ),
    "election not a pair": (
        "[[order]]",
        "[timing]\nelection = [0.6]\n[[order]]",
        "timing.election: expected an array of two",
    ),
    "time zero": (
        "[[order]]",
        "[timing]\nrequest = 0\n[[order]]",
        "timing.request: expected a number of seconds above 0",
    ),
    "time nan": (
        "[[order]]",
        "[timing]\nrequest = nan\n[[order]]",
        "timing.request: expected a number of seconds above 0",
    ),
    "suspicion": (
        "[[order]]",
        "[timing]\nsuspect_after = 0.05\n[[order]]",
        "timing.suspect_after: expected more",
    ),
    "storage": ("[[order]]", "[storage]\nscrub_every = -1\n[[order]]", "storage.scrub_every: expected a number of seconds"),
    "restock": ("[[order]]", "[restock]\nto = 0\n[[order]]", "restock.to: expected a whole number from 1"),
    "cache": (
        "[[front.public]]",
        "cache_size = -1\n[[front.public]]",
        "front[1].cache_size: expected a whole number",
    ),
    "nobody appoints": ("[[order]]", 'election = "appointed"\n[[order]]', None),
    "projection": (
        "[[catalog]]",
        '[[order.projection]]\nformat = "toys-order"\npath = "a"\n[[catalog]]',
        "order[1].projection[1].format: expected one of",
    ),
    "projection path": (
        "[[catalog]]",
        '[[order.projection]]\nformat = "toys-raft"\npath = "{node}"\n[[catalog]]',
        "order[1].projection[1].path: expected a path, in which {id}",
    ),
}


@pytest.mark.parametrize("case", ONE_FAULT)
def test_a_fault_is_named_with_its_key(load: Load, case: str) -> None:
    old, new, expected = ONE_FAULT[case]
    assert old in MINIMAL
    text = MINIMAL.replace(old, new, 1)
    if expected is None:
        load(text)  # the only front end appoints by default
        text = text.replace("[[front.public]]", "appoints = false\n[[front.public]]")
        expected = "front: in appointed mode exactly one has appoints = true (the default), found 0"
    faults = faults_of(load, text)
    assert any(expected in fault for fault in faults), faults
    assert len(faults) == (2 if case == "missing role" else 1), faults


def test_all_faults_are_told_at_once(load: Load, tmp_path: Path) -> None:
    (tmp_path / "toys.csv").write_text("name,price,quantity\nTux,1.005,1\nFox,1,-1\n")
    text = MINIMAL.replace('name = "corner shop"', "currency = 3").replace("id = 1", "id = 0", 2)
    text = text.replace("tcp:7003", "tcp:7002").replace('"trader"', '"trade"')
    keys = [fault.split(": ")[0] for fault in faults_of(load, text)]
    assert keys == [
        *("cluster.name", "cluster.currency", "order[1].id", "catalog[1].id"),
        *("front[1].public[1].dialect", "front[1].listen"),
    ]
    text = MINIMAL.replace("id = 1", "id = 0", 1)
    assert [fault.split(": ")[1] for fault in faults_of(load, text)[1:]] == ["line 2", "line 3"]


def test_a_fault_of_syntax_names_its_line(load: Load) -> None:
    assert "line 3" in faults_of(load, "[cluster]\nname = 'x'\nelection = raft\n")[0]


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: can not be read: No such file"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"binary\.toml: not TOML: "):
        load_config(tmp_path / "binary.toml")


def test_machines_of_their_own_may_use_the_same_port(load: Load) -> None:
    second = '[[order]]\nid = 2\nlisten = "tcp:7001"\nurl = "http://other.example:7001"\n'
    config = load(MINIMAL + second)
    assert config.warnings[0].endswith("2 replicas survive no more failures than 1; 3 or 5 are better")


def test_only_one_front_end_appoints(load: Load) -> None:
    second = '[[front]]\nid = 2\nlisten = "tcp:7013"\nurl = "http://shop.example:7013"\n'
    text = MINIMAL.replace("[[order]]", 'election = "appointed"\n[[order]]') + second
    assert faults_of(load, text)[0].endswith("found 2")
    assert load(text + "appoints = false\n").cluster.election == "appointed"


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("tcp:80", "tcp:80", True),
        ("tcp:80", "tcp:port=80:interface=127.0.0.1", True),
        ("tcp:80:interface=127.0.0.2", "tcp:80:interface=127.0.0.1", False),
        ("tcp6:80:interface=\\:\\:", "tcp:80:interface=127.0.0.1", True),
        ("tcp:80", "tcp:81", False),
        ("tcp:0", "tcp:0", False),
        ("unix:/run/a", "unix:address=/run/a:mode=660", True),
        ("unix:/run/a", "unix:/run/b", False),
        ("unix:/run/a", "tcp:80", False),
    ],
)
def test_which_endpoints_clash(one: str, other: str, clash: bool) -> None:
    assert parse_listen(one).clashes(parse_listen(other)) is clash
    assert parse_listen(other).clashes(parse_listen(one)) is clash


@pytest.mark.parametrize("text", ["", "tcp", "tcp:", "8080", "tcp:80:colour=red", "unix:", "ssl:443", "tcp:-1"])
def test_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(ValueError, match="a Twisted endpoint such as"):
        parse_listen(text)


VALUES = st.recursive(
    st.integers() | st.text(max_size=5) | st.booleans() | st.floats(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
KEYS = st.sampled_from(["cluster", "order", "catalog", "front", "timing", "restock", "storage", "projection", "else"])


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_nonsense_is_refused_and_never_breaks_the_reader(
    tmp_path_factory: pytest.TempPathFactory, tables: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "nonsense.toml"
    path.write_text("\n".join(f"{key} = {toml(value)}" for key, value in tables.items()), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert "cluster: " in str(caught.value)


def toml(value: object) -> str:
    match value:
        case bool() | float():
            return str(value).lower()
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case str():
            return '"' + "".join(f"\\U{ord(c):08X}" for c in value if not "\ud800" <= c <= "\udfff") + '"'
        case _:
            return str(value)
