"""A filesystem of a few MiB, to be filled to its last byte."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_INSIDE = "ALERTBRIDGE_TESTS_IN_A_NAMESPACE"
_CHUNKS = (2**20, 4096, 1)


class SmallDisk:
    """A tmpfs at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    @property
    def free(self) -> int:
        told = os.statvfs(self.folder)
        return told.f_bavail * told.f_frsize

    def fill(self) -> None:
        """Take what is left, to the last byte."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in _CHUNKS:
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError as error:
                    assert error.errno == errno.ENOSPC  # noqa: PT017 - any other is no full disk

    def clear(self) -> None:
        """Give it back."""
        self._ballast.unlink()


@contextmanager
def small_disk(folder: Path, *, mib: int) -> Iterator[SmallDisk]:
    """Mount one; only inside a test that `in_a_namespace` has let through."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)


def in_a_namespace(request: pytest.FixtureRequest) -> bool:
    """Whether this process may mount; if not, the test has been run by another one that may, in a user namespace of its own.

    Where neither is possible the test is skipped, and fails under CI=true.
    """
    if os.environ.get(_INSIDE) or _can(["unshare", "-m", "true"]):
        return True
    if not _can(["unshare", "-Urm", "true"]):
        reason = "to mount a tmpfs, be root or allow user namespaces (kernel.unprivileged_userns_clone)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    again = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", request.node.nodeid]
    done = subprocess.run(
        ["unshare", "-Urm", *again],
        cwd=request.config.rootpath,
        env={**os.environ, _INSIDE: "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return False


def _can(command: list[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
