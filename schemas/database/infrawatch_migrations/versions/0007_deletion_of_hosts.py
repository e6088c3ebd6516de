"""Runs statements/0007_deletion_of_hosts.sql."""

from infrawatch_migrations.sql import run

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Apply the file."""
    run("0007_deletion_of_hosts.sql")
