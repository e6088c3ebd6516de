"""Runs statements/0010_back_filled_samples.sql."""

from infrawatch_migrations.sql import run

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Apply the file."""
    run("0010_back_filled_samples.sql")
