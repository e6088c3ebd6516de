"""Runs statements/0011_drift.sql."""

from infrawatch_migrations.sql import run

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Apply the file."""
    run("0011_drift.sql")
