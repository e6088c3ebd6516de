"""Runs statements/0009_notifications.sql."""

from infrawatch_migrations.sql import run

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Apply the file."""
    run("0009_notifications.sql")
