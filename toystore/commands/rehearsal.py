"""A cluster to try things on: one that comes with the package, changed as the trial needs, on free ports of this machine
and in a directory of its own."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from toystore.commands.place import Place, find_place, packaged_place
from toystore.ops.addresses import parse_listen
from toystore.supervisor.ports import free_ports

Table = dict[str, Any]
"""A table of a TOML file, as tomllib reads it."""


@frozen
class Changes:
    """What is other than in the packaged config; None: as there.

    `cache_sizes` has one for each front end, of which the first one appoints; `catalogs` is how many there are; `stock`
    is what each product begins with; `projections` are pairs of format and path; `hand_over_after` and `restock_every`
    are in seconds.
    """

    election: str | None = None
    leader_preference: str | None = None
    hand_over_after: float | None = None
    restock_every: float | None = None
    cache_sizes: Sequence[int] | None = None
    catalogs: int | None = None
    stock: int | None = None
    projections: Sequence[tuple[str, str]] | None = None


NONE = Changes()


def rehearsal(dialect: str, directory: Path, changes: Changes = NONE) -> Place:
    """The packaged cluster whose customers speak the dialect, to be run in this directory, which must exist.

    Writes `cluster.toml` and its catalog there; the data will be in `data`. Raises CommandFailed (2) where no cluster
    speaks the dialect or the changes give no valid config, NoFreePorts.
    """
    packaged = packaged_place(dialect, None)
    values = tomllib.loads(packaged.config_file.read_text(encoding="utf-8"))
    _change(values, changes)
    _move(values)
    catalog = packaged.config.cluster.catalog_csv
    if catalog is not None:
        text = catalog.read_text(encoding="utf-8")
        (directory / catalog.name).write_text(text if changes.stock is None else stocked(text, changes.stock), "utf-8")
        values["cluster"]["catalog_csv"] = catalog.name
    values["cluster"]["data_dir"] = "data"
    file = directory / "cluster.toml"
    file.write_text(to_toml(values), encoding="utf-8")
    return find_place(file, None)


def _change(values: Table, changes: Changes) -> None:
    settings = {
        ("cluster", "election"): changes.election,
        ("cluster", "leader_preference"): changes.leader_preference,
        ("timing", "hand_over_after"): changes.hand_over_after,
        ("restock", "every"): changes.restock_every,
    }
    for (table, key), value in settings.items():
        if value is not None:
            values.setdefault(table, {})[key] = value
    if changes.catalogs is not None:
        values["catalog"] = [{"id": id_} for id_ in range(1, changes.catalogs + 1)]
    if changes.cache_sizes is not None:
        first = values["front"][0]
        values["front"] = [
            {**first, "id": id_, "cache_size": size, "appoints": id_ == 1, "public": [*map(dict, first["public"])]}
            for id_, size in enumerate(changes.cache_sizes, 1)
        ]
    if changes.projections is not None:
        values["projection"] = [{"format": format_, "path": path} for format_, path in changes.projections]


def _move(values: Table) -> None:
    """To free ports of the loopback, all nodes and what customers reach."""
    nodes = [node for role in ("order", "catalog", "front") for node in values[role]]
    publics = [public for front in values["front"] for public in front["public"]]
    for place, port in zip((*nodes, *publics), free_ports(len(nodes) + len(publics)), strict=True):
        place["listen"] = f"tcp:{port}:interface=127.0.0.1"
    for node in nodes:
        node["url"] = f"http://127.0.0.1:{parse_listen(node['listen']).port}"


def stocked(catalog: str, quantity: int) -> str:
    """The text of a catalog CSV in which every product has this stock."""
    rows = csv.DictReader(io.StringIO(catalog))
    out = io.StringIO()
    writer = csv.DictWriter(out, rows.fieldnames or (), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "quantity": quantity} for row in rows)
    return out.getvalue()


# Writing TOML, which the standard library only reads ----------------------------------------------------------------


def to_toml(values: Mapping[str, Any]) -> str:
    """A document of tables, arrays of tables, and texts, numbers, truth values and arrays of these."""
    return "\n".join(_lines(values, "")) + "\n"


def _lines(table: Mapping[str, Any], path: str) -> Iterator[str]:
    inner = {key: value for key, value in table.items() if _is_table(value) or _is_tables(value)}
    for key, value in table.items():
        if key not in inner:
            yield f"{key} = {_value(value)}"
    for key, value in inner.items():
        for each in [value] if _is_table(value) else value:
            yield ""
            yield f"[{path}{key}]" if _is_table(value) else f"[[{path}{key}]]"
            yield from _lines(each, f"{path}{key}.")


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_table, value))


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False)  # whose escapes TOML has too
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case _:
            return str(value)
