"""Alembic's entry: runs on the connection that `store.migrate` hands over, inside its transaction."""

from alembic import context

from alertbridge.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
