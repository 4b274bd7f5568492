"""Bringing a database to the schema of this version, before anything else touches it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from alertbridge.errors import StoreError

HEAD = "0001"  # the newest revision in migrations/versions; a test holds the two together
_SCRIPTS = Path(__file__).with_name("migrations")


def migrate(connection: Connection) -> tuple[str | None, str]:
    """Upgrade to the newest revision, in the caller's transaction; return the revisions before and after.

    Raises StoreError if the database was made by a newer version than this one.
    """
    before = _revision(connection)
    if before != HEAD:
        _upgrade(connection, before)
    return before, HEAD


def _revision(connection: Connection) -> str | None:
    tables = inspect(connection).get_table_names()
    if "alembic_version" not in tables:
        if tables:
            raise StoreError(
                f"this is the database of another program, with tables such as {min(tables)}; set another storage.url"
            )
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _upgrade(connection: Connection, before: str | None) -> None:
    # Alembic takes as long to import as much of the rest, and most starts have nothing to migrate.
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415 - see above
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    if before is not None and before not in known:
        raise StoreError(
            f"the database has schema {before}, which this version does not know: it was used by a newer alertbridge; "
            "run that version, or set another storage.url"
        )
    command.upgrade(config, "head")
