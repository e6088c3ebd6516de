"""``infrawatch-migrate``: exit code 0 when the schema is the newest, 1 when it could not be made so."""

import sys

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from infrawatch_common.logs import configure_logging, get_logger
from infrawatch_common.settings import load
from infrawatch_migrations.migrate import migrate
from infrawatch_migrations.settings import Settings


def main() -> int:
    """Parse settings, migrate, exit code."""
    settings = load(Settings)
    configure_logging("migrations", settings.log_level)
    log = get_logger(__name__)
    try:
        migrate(settings)
    except (psycopg.Error, SQLAlchemyError) as error:
        log.error("the database could not be migrated", error=str(error).partition("\n")[0])
        return 1
    log.info("the database has the newest schema")
    return 0


if __name__ == "__main__":
    sys.exit(main())
