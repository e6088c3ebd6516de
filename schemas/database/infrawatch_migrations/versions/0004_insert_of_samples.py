"""Runs statements/0004_insert_of_samples.sql."""

from infrawatch_migrations.sql import run

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply the file."""
    run("0004_insert_of_samples.sql")
