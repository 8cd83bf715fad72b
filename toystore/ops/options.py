"""The command line of a role: `twistd toystore-order --config FILE --id N [--data-dir DIR]`."""

from __future__ import annotations

from twisted.python.usage import Options, UsageError

from toystore.ops.config import Config, load_config


class RoleOptions(Options):
    optParameters = [  # noqa: N815
        ["config", "c", None, "The TOML file of the cluster."],
        ["id", "i", None, "The id of this node, as in the config."],
        ["data-dir", "d", None, "Where all nodes keep their data; overrides the config."],
    ]

    def postOptions(self) -> None:  # noqa: N802
        for name in ("config", "id"):
            if self[name] is None:
                raise UsageError(f"--{name} is missing")
        if not self["id"].isascii() or not self["id"].isdigit():
            raise UsageError(f"--id is {self['id']!r}; it must be a number, as in the config")

    def read_config(self) -> Config:
        """Raises ConfigError."""
        return load_config(self["config"], self["data-dir"])

    @property
    def node_id(self) -> int:
        return int(self["id"])


class FrontOptions(RoleOptions):
    optParameters = [  # noqa: N815
        *RoleOptions.optParameters,
        [
            "bootstrap",
            "b",
            None,
            "Where leaders are appointed, in a cluster that has just been made: the order replicas that must answer before"
            " the first view, as order-1,order-2; the disks of the others are known to be empty. [all]",
        ],
    ]

    @property
    def bootstrap(self) -> tuple[str, ...] | None:
        """None where it is not given."""
        return None if self["bootstrap"] is None else tuple(self["bootstrap"].split(","))
