"""Where the bytes of a snapshot wait: in memory, or in a file of the data directory."""

from __future__ import annotations

import hashlib
from pathlib import Path


class MemorySpool:
    def __init__(self) -> None:
        self._bytes = bytearray()

    def size(self) -> int:
        return len(self._bytes)

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self._bytes[offset : offset + length])

    def append(self, data: bytes) -> None:
        self._bytes += data

    def sha256(self) -> str:
        """In hexadecimal, over all bytes so far."""
        return hashlib.sha256(self._bytes).hexdigest()

    def close(self) -> None:
        self._bytes.clear()


class FileSpool:
    """A file that is removed when it is closed. What a crash leaves behind is removed by the next `open` of the
    storage; nothing in it needs to be synced, because a snapshot that was cut short is fetched again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("x+b")
        self._size = 0
        self._hash = hashlib.sha256()

    def size(self) -> int:
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)

    def append(self, data: bytes) -> None:
        self._file.seek(self._size)
        self._file.write(data)
        self._size += len(data)
        self._hash.update(data)

    def sha256(self) -> str:
        """In hexadecimal, over all bytes as they were appended."""
        return self._hash.hexdigest()

    def close(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)
