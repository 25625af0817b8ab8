"""Run by Alembic; the connection and its transaction come from `annotator.db.engine`."""

from alembic import context

from annotator.db.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
