"""A new database, without the time that it takes to make one: its migrations take longer than most tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from alertbridge.store import engine
from alertbridge.store.migrate import migrate


@cache
def empty_database() -> bytes:
    """The file of a database that has been migrated and holds nothing."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "empty.db")
        writing = engine.writing_engine(path)
        with writing.connect() as connection, connection.begin():
            migrate(connection)
        writing.dispose()
        return path.read_bytes()


def new_database(path: Path) -> Path:
    """Put one at `path`, unless there is one."""
    if not path.exists():
        path.write_bytes(empty_database())
    return path
