"""The folders in which a change can alter what a load of the configuration finds."""

from __future__ import annotations

import glob
import stat
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path
from typing import Final

from alertbridge.config.sight import Sight

_MOST_LINKS: Final = 40  # as the kernel
_ROOT: Final = Path("/")


@dataclass(frozen=True, slots=True)
class Places:
    """`names` leads from each folder that exists to the patterns of the names that matter in it.

    `identities` are the folders' devices and inodes, in the same order: another folder of the same name is another place.
    """

    names: Mapping[Path, frozenset[str]]
    identities: tuple[tuple[int, int], ...]

    def concern(self, path: Path) -> bool:
        """Whether a change at `path` may be one that matters."""
        return any(fnmatchcase(path.name, pattern) for pattern in self.names.get(path.parent, ()))


def find_places(sight: Sight) -> Places:
    """Every folder that is searched on the way to a file or a pattern of `sight`, links followed.

    So it is noticed where a link is exchanged, wherever it lies, and where a folder is made, deleted or moved away.
    """
    names: dict[Path, set[str]] = defaultdict(set)
    for path, _ in sight.files:
        for folder, name in _way(path):
            names[folder].add(glob.escape(name))
    for base, pattern in sight.patterns:
        for folder, name in _searched(base, pattern):
            names[folder].add(name)
    found = {folder: identity for folder in sorted(names) if (identity := _identity(folder))}
    return Places({folder: frozenset(names[folder]) for folder in found}, tuple(found.values()))


def _way(path: Path) -> Iterator[tuple[Path, str]]:
    """Each folder, itself without links, with the name that is looked up in it on the way to `path`."""
    folder, ahead, links = _ROOT, [*(Path.cwd() / path).parts], 0
    while ahead and links <= _MOST_LINKS:
        name = ahead.pop(0)
        if name == "/":
            folder = _ROOT
        elif name == "..":
            folder = folder.parent
        else:
            yield folder, name
            try:
                ahead = [*(folder / name).readlink().parts, *ahead]
                links += 1
            except (OSError, ValueError):  # no link, or nothing at all
                folder /= name


def _searched(base: Path, pattern: str) -> Iterator[tuple[Path, str]]:
    """Each folder that a pattern looks into, with the pattern of the names that it looks for there."""
    parts = Path(pattern).parts
    fixed = [*takewhile(lambda part: glob.escape(part) == part, parts)]
    root = base.joinpath(*fixed)
    yield from ((folder, glob.escape(name)) for folder, name in _way(root))
    for index in range(len(fixed), len(parts)):
        deep = parts[index] == "**"
        before = "/".join([glob.escape(str(root)), *parts[len(fixed) : index + deep], ""])
        for folder in glob.iglob(before, recursive=True):  # noqa: PTH207 - as the patterns themselves are
            yield Path(folder).resolve(), "*" if deep else parts[index]


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None
