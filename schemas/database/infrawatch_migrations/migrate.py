"""Brings a database to the newest schema and sets the passwords of the services' roles; safe to repeat."""

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import URL

from infrawatch_migrations.settings import Settings


def migrate(settings: Settings, revision: str = "head") -> None:
    """Run what is pending up to a revision. Raises ``psycopg.Error`` or ``sqlalchemy.exc.SQLAlchemyError``."""
    config = Config()
    config.set_main_option("script_location", "infrawatch_migrations:")
    config.attributes["url"] = _url(settings)
    command.upgrade(config, revision)
    _set_passwords(settings)


def _set_passwords(settings: Settings) -> None:
    password = settings.database_password.get_secret_value()
    with psycopg.connect(str(settings.database_url), password=password) as connection:
        for role, new in settings.role_passwords().items():
            # The server never sees, logs or keeps the password itself, only its SCRAM verifier.
            verifier = connection.pgconn.encrypt_password(new.encode(), role.encode(), b"scram-sha-256").decode()
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier)))


def _url(settings: Settings) -> URL:
    host = settings.database_url.hosts()[0]
    return URL.create(
        "postgresql+psycopg",
        username=host["username"],
        password=settings.database_password.get_secret_value(),
        host=host["host"],
        port=host["port"],
        database=(settings.database_url.path or "/").removeprefix("/"),
    )
