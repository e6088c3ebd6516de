"""Alembic's entry: one transaction for all pending migrations, one migrator at a time."""

from alembic import context
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

# Any number serves, as long as nothing else uses it.
_MIGRATION_LOCK = 0x1F7A_0001

engine = create_engine(context.config.attributes["url"], poolclass=NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MIGRATION_LOCK})
        context.run_migrations()
engine.dispose()
