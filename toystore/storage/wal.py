"""What a crash leaves at the end of SQLite's write-ahead log, and what only bit rot does.

SQLite reads its log up to the first frame whose checksum is wrong, and takes the rest for what a crash cut short: one
flipped bit would silently take back everything that was synced after it. But each commit syncs the log before the next one
begins. So where a frame follows one that ends a transaction, and its checksum goes on from there, that transaction had been
synced; if SQLite has not taken it, it is broken now. (Which of the two it is can not be told of the very last transaction;
Alagappan et al., "Protocol-aware recovery for consensus-based storage", FAST 2018, section 3.3.) What is left from before
has other salts: with each opening all is checkpointed, so that the log begins a new round.

The format: https://www.sqlite.org/fileformat2.html, section 4, "The write-ahead log".
"""

from __future__ import annotations

import struct
from pathlib import Path
from sys import byteorder
from typing import BinaryIO

from attrs import frozen

from toystore.storage.interface import Rotten

HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
_MAGIC = 0x377F0682
"""With the lowest bit set, the words that a checksum covers are big-endian."""


@frozen
class _Frame:
    """Its `page` is the checksummed part of its header and the page; it ends a transaction where it is a `commit`."""

    salts: bytes
    commit: bool
    page: bytes
    checksum: tuple[int, int]


@frozen
class WalBefore:
    """The log of a database as it was before SQLite opened it; `salts` b"" where there is none.

    Its header is synced with the first transaction. Where that was cut short the header may be anything, and so may all that
    follows it; where the frames follow from one another all the same, it is the header that is broken now.
    """

    path: Path
    salts: bytes
    page_size: int
    words: str
    frames: int

    @classmethod
    def look(cls, path: Path, page_size: int) -> WalBefore:
        """`page_size` in bytes."""
        try:
            with path.open("rb") as file:
                header = file.read(HEADER_BYTES)
                first = file.read(FRAME_HEADER_BYTES)
                size = file.seek(0, 2)
        except FileNotFoundError:
            header, first, size = b"", b"", 0
        if len(first) < FRAME_HEADER_BYTES:
            return cls(path, b"", page_size, "", 0)
        (magic,) = struct.unpack(">I", header[:4])
        known = magic & ~1 == _MAGIC
        words = (">" if magic & 1 else "<") if known else ("<" if byteorder == "little" else ">")
        whole = known and checksum((0, 0), header[:24], words) == struct.unpack(">2I", header[24:])
        frames = (size - HEADER_BYTES) // (FRAME_HEADER_BYTES + page_size)
        return cls(path, header[16:24] if whole else first[8:16], page_size, words, frames)

    def check(self, taken: int) -> None:
        """SQLite has taken the first `taken` frames. Rotten where more of them had been synced."""
        if not self.salts or taken >= self.frames:
            return
        with self.path.open("rb") as file:
            before = self._frame(file, taken + 1)
            for number in range(taken + 2, self.frames + 1):
                frame = self._frame(file, number)
                if before.commit and self._meant(before) and self._follows(frame, before):
                    raise Rotten(f"{self.path.name} is broken between frame {taken} and {number}, in what had been synced")
                before = frame

    def _follows(self, frame: _Frame, before: _Frame) -> bool:
        return frame.salts == self.salts and checksum(before.checksum, frame.page, self.words) == frame.checksum

    def _meant(self, frame: _Frame) -> bool:
        """It was written since the log began anew; not there at all, where one of an older round is still in its place.
        The salts of two rounds differ in many bits."""
        return (int.from_bytes(frame.salts) ^ int.from_bytes(self.salts)).bit_count() <= 1

    def _frame(self, file: BinaryIO, number: int) -> _Frame:
        """Counted from 1."""
        file.seek(HEADER_BYTES + (number - 1) * (FRAME_HEADER_BYTES + self.page_size))
        header, page = file.read(FRAME_HEADER_BYTES), file.read(self.page_size)
        _, size = struct.unpack(">2I", header[:8])
        first, second = struct.unpack(">2I", header[16:])
        return _Frame(header[8:16], size != 0, header[:8] + page, (first, second))


def checksum(seed: tuple[int, int], data: bytes, words: str) -> tuple[int, int]:
    """SQLite's running checksum of whole pairs of 32-bit words."""
    first, second = seed
    numbers = struct.unpack(f"{words}{len(data) // 4}I", data)
    for even, odd in zip(numbers[::2], numbers[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
