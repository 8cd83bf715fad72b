"""What the storage does so that names and contents are durable: `toystore/storage/files.py`."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from toystore.storage import files
from toystore.storage.files import make_directory, write_again


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The directories that were synced."""
    paths: list[Path] = []
    monkeypatch.setattr(files, "sync_directory", paths.append)
    return paths


def test_every_directory_that_is_made_has_its_name_synced(tmp_path: Path, synced: list[Path]) -> None:
    make_directory(tmp_path / "a" / "b" / "c")
    assert stat.S_IMODE((tmp_path / "a" / "b" / "c").stat().st_mode) == 0o700
    assert sorted(synced) == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]


def test_the_name_of_one_that_is_there_is_synced_too(tmp_path: Path, synced: list[Path]) -> None:
    (tmp_path / "a").mkdir()
    make_directory(tmp_path / "a")
    assert synced == [tmp_path]


@pytest.mark.parametrize("there", [True, False])
def test_a_directory_above_that_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(files, "sync_directory", refuse)
    if there:
        (tmp_path / "a").mkdir()
        make_directory(tmp_path / "a")
    else:
        with pytest.raises(PermissionError):
            make_directory(tmp_path / "a")


@pytest.mark.parametrize("size", [0, 1, files.AT_ONCE, 2 * files.AT_ONCE + 3])
def test_a_file_that_is_written_again_is_the_same(tmp_path: Path, synced: list[Path], size: int) -> None:
    file, data = tmp_path / "file", os.urandom(size)
    file.write_bytes(data)
    write_again(file)
    assert file.read_bytes() == data
    assert synced == [tmp_path]
