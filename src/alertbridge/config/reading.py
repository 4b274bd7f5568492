"""Reading a file, and what to say when that does not work."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class UnreadableError(Exception):
    """A file cannot be read: `problem` is what follows its name in a sentence."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy


class Read(Protocol):
    """Reads as `read_bytes` does."""

    def __call__(self, path: Path, *, most: int) -> bytes:
        """The first `most` bytes; raises UnreadableError."""
        ...


def read_bytes(path: Path, *, most: int) -> bytes:
    """The first `most` bytes of the file at `path`.

    Raises:
        UnreadableError: whatever the operating system has against it.
    """
    try:
        with path.open("rb") as file:
            return file.read(most)
    except FileNotFoundError:
        raise UnreadableError("does not exist", "create it, or correct the path") from None
    except IsADirectoryError:
        raise UnreadableError("is a directory", "write the path of a file") from None
    except PermissionError:
        raise UnreadableError("may not be read", "let the daemon's user read it") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not a path"
        raise UnreadableError(f"cannot be read: {reason}", "correct the path") from None
