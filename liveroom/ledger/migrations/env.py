"""How Alembic runs the revisions: on the connection, and in the transaction, that it is handed."""

from alembic import context

from liveroom.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
