"""Runs statements/0001_schema.sql."""

from infrawatch_migrations.sql import run

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Apply the file."""
    run("0001_schema.sql")
