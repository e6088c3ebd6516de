"""Runs statements/0002_access.sql."""

from infrawatch_migrations.sql import run

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Apply the file."""
    run("0002_access.sql")
