"""What a power cut may leave of a database: images that are rebuilt from the record of its writes and syncs.

What was synced is there. Of what was written since the last sync of a file, any 512-byte sector may be there or not,
whatever its order; so may a truncation. A file that was made or removed since the last sync of its folder may be there or not.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
DATABASE, LOG, JOURNAL, FOLDER, SOCKET = range(1, 6)
NAMES = {DATABASE: "", LOG: "-wal", JOURNAL: "-journal"}
_HEAD = struct.Struct("=cB6xqQ")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened: w(rite), t(runcate), (s)y(nc), c(reate), u(nlink), or s(aid) over a socket."""

    operation: str
    file: int
    offset: int
    data: bytes


def read(record: Path) -> list[Entry]:
    """Everything that was recorded, in order."""
    raw = record.read_bytes()
    entries = []
    at = 0
    while at < len(raw):
        operation, file, offset, length = _HEAD.unpack_from(raw, at)
        at += _HEAD.size
        entries.append(Entry(operation.decode(), file, offset, raw[at : at + length]))
        at += length
    assert at == len(raw), "the record is whole"
    return entries


@dataclass(slots=True)
class _File:
    synced: bytearray = field(default_factory=bytearray)
    since: list[Entry] = field(default_factory=list)

    def sync(self) -> None:
        for entry in self.since:
            _apply(self.synced, entry)
        self.since.clear()


@dataclass(slots=True)
class Disk:
    """A disk at one moment. Feed it entries, then `cut` the power, as often as you like."""

    synced: dict[int, _File] = field(default_factory=dict)
    named: dict[int, _File] = field(default_factory=dict)

    def take(self, entry: Entry) -> None:
        """Let it happen."""
        match entry.operation:
            case "c":
                self.named[entry.file] = _File()
            case "u":
                self.named.pop(entry.file, None)
            case "w" | "t":
                self.named[entry.file].since.append(entry)
            case "y" if entry.file == FOLDER:
                self.synced = dict(self.named)
            case "y":
                self.named[entry.file].sync()
            case _:  # what was said is on no disk
                pass

    def whole(self) -> dict[str, bytes]:
        """What is there as long as the power is."""
        return {NAMES[kind]: _image(file, lambda _: True) for kind, file in self.named.items()}

    def cut(self, chance: random.Random) -> dict[str, bytes]:
        """What may be there afterwards, by what the file's name adds to that of the database."""
        share = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        image = {}
        for kind, suffix in NAMES.items():
            names = (self.named, self.synced)[chance.random() < 0.5]
            if kind in names:
                image[suffix] = _image(names[kind], lambda _: chance.random() < share)
        return image


def cuts(
    entries: Sequence[Entry], moments: Sequence[int], chance: random.Random
) -> Iterator[Mapping[str, bytes]]:
    """An image for each of these moments, which are numbers of entries, in order."""
    disk = Disk()
    done = 0
    for moment in moments:
        for entry in entries[done:moment]:
            disk.take(entry)
        done = moment
        yield disk.cut(chance)


def _image(file: _File, keeps: object) -> bytes:
    assert callable(keeps)
    image = bytearray(file.synced)
    for entry in file.since:
        if entry.operation == "t":
            if keeps(entry):
                _apply(image, entry)
            continue
        end = entry.offset + len(entry.data)
        at = entry.offset
        while at < end:
            until = min(end, (at // SECTOR + 1) * SECTOR)
            if keeps(entry):
                _apply(
                    image, Entry("w", entry.file, at, entry.data[at - entry.offset : until - entry.offset])
                )
            at = until
    return bytes(image)


def _apply(content: bytearray, entry: Entry) -> None:
    if entry.operation == "t":
        del content[entry.offset :]
        content.extend(bytes(entry.offset - len(content)))
        return
    content.extend(bytes(max(0, entry.offset - len(content))))
    content[entry.offset : entry.offset + len(entry.data)] = entry.data
