"""The members of a run: what their namespaces are called, their addresses, and the config of their cluster. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from toystore.ops.config import Timing

SHOP = "shop"
"""The member that is no node: where the customers are, and this program, which watches."""
NETWORK = "10.77.0"
"""The first three numbers of all addresses. They are used in namespaces of our own only, which have no way out."""
DEVICE = "net0"
PORT, PUBLIC_PORT = 12500, 8080
_TIMING = Timing()
PREFIX = "toystore"

PRODUCTS: Mapping[str, int] = {
    **dict.fromkeys(("Tux", "Whale", "Fox", "Python", "Elephant", "Dolphin"), 1_000_000),
    **dict.fromkeys(("Barbie", "Lego", "Marbles", "Giraffe"), 60),
}
"""What the store begins with: enough of most, and some of which there is soon too little."""


@frozen
class Layout:
    """A run of process `pid`, with members by role."""

    pid: int
    orders: int = 3
    catalogs: int = 2
    fronts: int = 2

    @property
    def order_names(self) -> list[str]:
        return _named("order", self.orders)

    @property
    def other_names(self) -> list[str]:
        return [*_named("catalog", self.catalogs), *self.front_names]

    @property
    def front_names(self) -> list[str]:
        return _named("front", self.fronts)

    @property
    def nodes(self) -> list[str]:
        return [*self.order_names, *self.other_names]

    @property
    def members(self) -> list[str]:
        return [*self.nodes, SHOP]

    def namespace(self, member: str) -> str:
        return f"{PREFIX}-{self.pid}-{member}"

    def address(self, member: str) -> str:
        return f"{NETWORK}.{self.members.index(member) + 1}"

    def url(self, node: str) -> str:
        return f"http://{self.address(node)}:{PORT}"

    def public_url(self, front: str) -> str:
        return f"http://{self.address(front)}:{PUBLIC_PORT}"


def _named(role: str, count: int) -> list[str]:
    return [f"{role}-{id_}" for id_ in range(1, count + 1)]


_OURS = re.compile(rf"{PREFIX}-([0-9]+)-([a-z]+(?:-[0-9]+)?)")


def owner(name: str) -> int | None:
    """The process whose run a namespace belongs to; None where it is none of ours."""
    found = _OURS.fullmatch(name)
    return int(found[1]) if found else None


def cluster_values(layout: Layout, election: str, patience: float = 1.0) -> dict[str, Any]:
    """The config of the cluster as tables (`rehearsal.to_toml` writes them): nothing is restocked, the caches are smaller
    than the catalog, and where leaders are appointed front-1 appoints. All times after which a silent node is given up are
    `patience` times the default."""

    def node(name: str) -> dict[str, Any]:
        listen = f"tcp:{PORT}:interface={layout.address(name)}"
        return {"id": int(name.rpartition("-")[2]), "listen": listen, "url": layout.url(name)}

    def front(name: str) -> dict[str, Any]:
        listen = f"tcp:{PUBLIC_PORT}:interface={layout.address(name)}"
        more = {"cache_size": 5, "appoints": name == "front-1", "public": [{"dialect": "v1", "listen": listen}]}
        return node(name) | more

    return {
        "cluster": {"name": "torture", "election": election, "data_dir": "data", "catalog_csv": "catalog.csv"},
        "timing": {
            "heartbeat": _TIMING.heartbeat * patience,
            "election": [limit * patience for limit in _TIMING.election],
            "suspect_after": _TIMING.suspect_after * patience,
        },
        "restock": {"every": 0.0},
        "order": [node(name) for name in layout.order_names],
        "catalog": [node(name) for name in _named("catalog", layout.catalogs)],
        "front": [front(name) for name in layout.front_names],
    }


def catalog_csv(products: Mapping[str, int] = PRODUCTS) -> str:
    return "name,price,quantity\n" + "".join(f"{name},15.99,{units}\n" for name, units in products.items())


# Command lines ------------------------------------------------------------------------------------------------------

Commands = Sequence[Sequence[str]]


def namespace_commands(layout: Layout, member: str) -> Commands:
    """A namespace with its loopback; its device is made by who opens it (`ground.open_device`)."""
    name = layout.namespace(member)
    return (("ip", "netns", "add", name), ("ip", "-n", name, "link", "set", "lo", "up"))


def device_commands(layout: Layout, member: str, mtu: int) -> Commands:
    """Give the device its address and set it up."""
    inside = ("ip", "-n", layout.namespace(member))
    return (
        (*inside, "addr", "add", f"{layout.address(member)}/24", "dev", DEVICE),
        (*inside, "link", "set", DEVICE, "mtu", str(mtu), "txqueuelen", "1000", "up"),
    )


def link_command(layout: Layout, member: str, up: bool) -> Sequence[str]:
    return ("ip", "-n", layout.namespace(member), "link", "set", DEVICE, "up" if up else "down")


def route_command(layout: Layout, verb: str, kind: str, member: str, other: str) -> Sequence[str]:
    """`verb` is replace or del; `kind` of route: unreachable or blackhole."""
    return ("ip", "-n", layout.namespace(member), "route", verb, kind, f"{layout.address(other)}/32")


def inside_command(layout: Layout, member: str, settings: Mapping[str, str]) -> tuple[str, ...]:
    """What to run a node under: in its namespace, with these variables set."""
    variables = [f"{name}={text}" for name, text in settings.items()]
    return ("ip", "netns", "exec", layout.namespace(member), "env", *variables)


def disk_commands(image: str, place: str, mebibytes: int) -> Commands:
    """A file system of its own in a file; what is not written takes no room."""
    return (
        ("truncate", "-s", f"{mebibytes}M", image),
        ("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,nodiscard", image),
        ("mount", "-o", "loop", image, place),
    )
