"""SQL on the file itself: how much of it is empty, and giving that back to the filesystem.

Deleted rows leave empty pages, which are used again. A new database is made so that they can be moved to its end and cut
off, a few at a time; one that was made otherwise keeps its size.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

_SOON_NEEDED = 0.2  # of all pages
_FEW = 4096  # pages
_STEP = 256  # pages at once


@dataclass(frozen=True, slots=True)
class Space:
    """The pages of the file, how many of them are empty, and the bytes of one."""

    pages: int
    empty: int
    page: int

    def to_give_back(self, *, everything: bool) -> int:
        """How many empty pages to give back in the next step: those beyond what will soon be needed again, or any."""
        kept = 0 if everything else max(_FEW, int(self.pages * _SOON_NEEDED))
        return max(0, min(_STEP, self.empty - kept))


def look(connection: Connection) -> Space:
    """The file as it is now."""
    names = ("page_count", "freelist_count", "page_size")
    return Space(*(int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in names))


def give_back(connection: Connection, *, pages: int) -> bool:
    """Take so many empty pages off the file, which ends with the next checkpoint; False if it cannot be made smaller."""
    before = look(connection).pages
    for _ in range(
        pages
    ):  # each alone: the driver takes a statement without columns for done after its first step
        connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
    return look(connection).pages < before
