"""Runs statements/0008_alerting.sql."""

from infrawatch_migrations.sql import run

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Apply the file."""
    run("0008_alerting.sql")
