"""Runs statements/0006_streams.sql."""

from infrawatch_migrations.sql import run

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Apply the file."""
    run("0006_streams.sql")
