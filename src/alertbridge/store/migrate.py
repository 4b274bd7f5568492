"""Bringing a database to the schema of this version, before anything else touches it."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from alertbridge.errors import StoreError

_SCRIPTS = Path(__file__).with_name("migrations")


def migrate(connection: Connection) -> tuple[str | None, str]:
    """Upgrade to the newest revision, in the caller's transaction; return the revisions before and after.

    Raises StoreError if the database was made by a newer version than this one.
    """
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    head = script.get_current_head()
    assert head is not None
    before = MigrationContext.configure(connection).get_current_revision()
    if before is not None and before not in {revision.revision for revision in script.walk_revisions()}:
        raise StoreError(
            f"the database has schema {before}, which this version does not know: it was used by a newer alertbridge; "
            "run that version, or set another storage.url"
        )
    if before != head:
        command.upgrade(config, "head")
    return before, head
