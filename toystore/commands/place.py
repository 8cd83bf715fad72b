"""`--config` and `--data-dir`: which cluster a command is about."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from attrs import frozen

from toystore.commands.loop import USAGE, CommandFailed
from toystore.ops.config import Config, ConfigError, default_config_path, load_config, packaged_configs

DEFAULT_DATA_DIR = "toystore-data"


@frozen
class Place:
    """A cluster: its config, the file it was read from, and where its data is."""

    config: Config
    config_file: Path
    data_dir: Path


def find_place(config: Path | None, data_dir: Path | None) -> Place:
    """The cluster that the two options name. Raises CommandFailed (2) where the config is wrong."""
    file = default_config_path() if config is None else config
    if data_dir is None and config is None:
        data_dir = Path(DEFAULT_DATA_DIR)
    try:
        loaded = load_config(file, None if data_dir is None else data_dir.absolute())
    except (ConfigError, OSError) as error:
        raise CommandFailed(USAGE, str(error)) from error
    return Place(loaded, Path(file).absolute(), Path(loaded.cluster.data_dir))


def packaged_place(dialect: str, data_dir: Path | None) -> Place:
    """The first cluster that comes with the package and has customers who speak the dialect. Raises CommandFailed (2)."""
    for file in packaged_configs():
        place = find_place(file, data_dir or Path(DEFAULT_DATA_DIR))
        if any(public.dialect == dialect for front in place.config.fronts for public in front.publics):
            return place
    raise CommandFailed(USAGE, f"no config of the package has a public listener for the dialect {dialect}")


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--config` and `--data-dir`; it is called with `place`."""

    @click.option("--config", type=click.Path(path_type=Path), help="The cluster's TOML file [packaged toys.toml].")
    @click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help=f"Where its data is [as the config says; ./{DEFAULT_DATA_DIR} without one].",
    )
    @wraps(command)
    def with_place(config: Path | None, data_dir: Path | None, **rest: Any) -> Any:
        return command(place=find_place(config, data_dir), **rest)

    return with_place
