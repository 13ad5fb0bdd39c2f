"""What Alembic runs for every command; `huoyan.server.store.migrations.migrate` gives it a connection."""

from alembic import context

from huoyan.server.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
