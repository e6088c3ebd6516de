"""Runs statements/0005_rollup.sql."""

from infrawatch_migrations.sql import run

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Apply the file."""
    run("0005_rollup.sql")
