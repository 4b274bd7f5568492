"""What a load of the configuration looked at: enough to tell later whether another load would find anything else."""

from __future__ import annotations

import glob
import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from alertbridge.config.reading import UnreadableError, read_bytes


@dataclass(frozen=True, slots=True)
class Sight:
    """What was found where. Equal sights make the same configuration, or the same mistakes.

    `files` lead from a path, and how many bytes were read of it, to their digest or to why there are none; `patterns`
    from a folder, and a pattern that begins there, to the files that matched.
    """

    files: Mapping[tuple[Path, int], str] = field(default_factory=dict, repr=False)
    patterns: Mapping[tuple[Path, str], tuple[Path, ...]] = field(default_factory=dict)

    def again(self) -> Sight:
        """What is found at the same places now."""
        return Sight(
            {
                (path, most): before if _is_stream(path) else _look(path, most)[1]
                for (path, most), before in self.files.items()
            },
            {(base, pattern): tuple(matching(pattern, base)) for base, pattern in self.patterns},
        )

    def differing(self, other: Sight) -> list[str]:
        """The files that are not the same in `other`, which looked at the same places."""
        paths = {path for (path, most), found in self.files.items() if other.files.get((path, most)) != found}
        for place, found in self.patterns.items():
            paths |= set(found) ^ set(other.patterns.get(place, ()))
        return sorted(map(str, paths))


class Reader:
    """Reads files and finds them by patterns; `sight` is all that was found."""

    def __init__(self) -> None:
        self._files: dict[tuple[Path, int], str] = {}
        self._patterns: dict[tuple[Path, str], tuple[Path, ...]] = {}

    @property
    def sight(self) -> Sight:
        """What was found so far."""
        return Sight(dict(self._files), dict(self._patterns))

    def read(self, path: Path, *, most: int) -> bytes:
        """As `read_bytes`."""
        content, self._files[path, most] = _look(path, most)
        if isinstance(content, UnreadableError):
            raise content
        return content

    def find(self, pattern: str, base: Path) -> list[Path]:
        """As `matching`."""
        found = matching(pattern, base)
        self._patterns[base, pattern] = tuple(found)
        return found


def matching(pattern: str, base: Path) -> list[Path]:
    """The files that `pattern` matches, by path; a relative one begins at `base`."""
    try:
        names = glob.glob(pattern, root_dir=base, recursive=True)  # noqa: PTH207 - takes absolute patterns too
    except ValueError:
        return []
    return sorted(Path(os.path.normpath(base / name)) for name in names)


def _look(path: Path, most: int) -> tuple[bytes | UnreadableError, str]:
    try:
        content = read_bytes(path, most=most)
    except UnreadableError as error:
        return error, error.problem
    return content, hashlib.sha256(content).hexdigest()


def _is_stream(path: Path) -> bool:
    """Whether it can be read only once, as a pipe; who reads it again waits for ever."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
