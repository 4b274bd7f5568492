"""A disk that is watched, and fails on demand: `disk.c` between a daemon and the files of its database."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("disk.c")


def compiled(folder: Path) -> Path:
    """The library, made by the C compiler of this machine; without one the test is skipped, never under CI=true."""
    library = folder / "disk.so"
    command = ["gcc", "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl", "-pthread"]
    compiler = shutil.which("gcc")
    done = subprocess.run(command, capture_output=True, text=True, check=False) if compiler else None
    if done is not None and done.returncode == 0:
        return library
    why = f"{SOURCE.name} cannot be compiled: {done.stderr[:500]}" if done else "gcc is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{why}; under CI=true nothing is skipped for that")
    pytest.skip(f"{why} (Debian: apt-get install gcc libc6-dev)")


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk under one database. While `gate` is there, it fails as it was asked to."""

    library: Path
    database: Path

    @property
    def gate(self) -> Path:
        return self.database.parent / "disk-fails"

    @property
    def record(self) -> Path:
        return self.database.parent / "disk-record"

    def recording(self) -> dict[str, str]:
        """The environment of a daemon whose disk is recorded."""
        return {**self._loaded(), "DISK_RECORD": str(self.record)}

    def failing(self, what: str) -> dict[str, str]:
        """The environment of a daemon whose disk fails like `wal:sync:3:EIO`, see `disk.c`, while the gate is there."""
        return {**self._loaded(), "DISK_FAIL": what, "DISK_GATE": str(self.gate)}

    def _loaded(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self.library),
            "DISK_FOLDER": str(self.database.parent),
            "DISK_NAME": self.database.name,
        }
