"""Damage in a write-ahead log that SQLite passes over in silence.

SQLite takes the first frame whose checksum is wrong for the end of the log, as a power cut would leave it. But each
transaction is synced before the next one is written: a torn frame has at most the rest of its own transaction behind it.
If another transaction follows, what cannot be read was on disk, and acknowledged.

The format: https://sqlite.org/walformat.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from typing import BinaryIO

HEADER = 32  # bytes
_HEADER = struct.Struct(">8I")  # magic, version, page size, checkpoint, two salts, two checksums
_FRAME_HEADER = struct.Struct(">6I")  # page, size after commit or 0, two salts, two checksums
_MAGIC = 0x377F0682  # one more where the checksums are of big-endian words
_INDEX = struct.Struct("=IIIBBHI")  # version, unused, change, initialised, byte order, page size, frames
_INDEX_VERSION = 3007000


@dataclass(frozen=True, slots=True)
class _Frame:
    number: int  # from 1
    commits: bool
    salts: tuple[int, int]
    checksum: tuple[int, int]
    summed: bytes  # what the checksum is of, after that of the frame before


def lost(log: Path, index: Path, *, page_size: int, read: ExitStack) -> str | None:
    """What of the log at `log` is on disk but cannot be read; None where nothing is.

    `index` is SQLite's index of it (`-shm`), as a connection that is open now has made it. Both stay open in `read`.
    """
    try:
        file, shared = (read.enter_context(each.open("rb")) for each in (log, index))
        version, _, _, _, _, _, valid = _INDEX.unpack(shared.read(_INDEX.size))
        header = file.read(HEADER)
        magic, _, _, _, *salts, _, _ = _HEADER.unpack(header)
        if version != _INDEX_VERSION:
            return None
        frames = _frames(file, page_size, after=valid)
        if valid == 0 and not _sound(header):
            return _behind_a_broken_header(frames)
        return _behind_a_broken_frame((f for f in frames if f.salts == tuple(salts)), magic)
    except (FileNotFoundError, struct.error):  # no log, or one that holds nothing
        return None


def _behind_a_broken_frame(frames: Iterable[_Frame], magic: int) -> str | None:
    for before, frame in pairwise(frames):
        if before.commits and _follows(before, frame, magic):
            return f"its write-ahead log cannot be read before frame {frame.number}, and goes on there"
    return None


def _behind_a_broken_header(frames: Iterable[_Frame]) -> str | None:
    """The header is synced before the first frame is written, so a frame behind a broken one is no torn write."""
    for before, frame in pairwise(frames):
        if before.salts == frame.salts and any(_follows(before, frame, _MAGIC + order) for order in (0, 1)):
            return "the header of its write-ahead log cannot be read, and there is something behind it"
    return None


def _frames(file: BinaryIO, page_size: int, *, after: int) -> Iterator[_Frame]:
    """What stands in the log behind its frame number `after`, also what is left there from earlier."""
    size = _FRAME_HEADER.size + page_size
    file.seek(HEADER + after * size)
    for number in count(after + 1):
        raw = file.read(size)
        if len(raw) < size:
            return
        _, commit, salt, other_salt, *checksum = _FRAME_HEADER.unpack_from(raw)
        summed = raw[:8] + raw[_FRAME_HEADER.size :]
        yield _Frame(number, commit != 0, (salt, other_salt), (checksum[0], checksum[1]), summed)


def _follows(before: _Frame, frame: _Frame, magic: int) -> bool:
    adjacent = frame.number == before.number + 1
    return adjacent and frame.checksum == _checksum(frame.summed, before.checksum, magic)


def _sound(header: bytes) -> bool:
    magic, _, _, _, _, _, *checksum = _HEADER.unpack(header)
    return magic & ~1 == _MAGIC and tuple(checksum) == _checksum(header[:24], (0, 0), magic)


def _checksum(data: bytes, start: tuple[int, int], magic: int) -> tuple[int, int]:
    one, two = start
    for even, odd in struct.iter_unpack(">II" if magic & 1 else "<II", data):
        one = (one + even + two) & 0xFFFFFFFF
        two = (two + odd + one) & 0xFFFFFFFF
    return one, two
