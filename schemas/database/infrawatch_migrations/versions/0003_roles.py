"""Runs statements/0003_roles.sql."""

from infrawatch_migrations.sql import run

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Apply the file."""
    run("0003_roles.sql")
