"""``psql \\copy`` into a table like ``metrics``: what a drain is measured against."""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

from bench.backlog import COLUMNS, Backlog
from infrawatch_local import settings as local_settings
from infrawatch_local.tree import Runtime
from stack import Database


def copy_rate(database: Database, backlog: Backlog) -> float:
    """Rows per second into an identical hypertable without foreign key, newly made and dropped afterwards."""
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE reference (LIKE metrics, PRIMARY KEY (host_id, timestamp, id))")
        connection.execute(
            "SELECT create_hypertable('reference', by_range('timestamp', INTERVAL '1 day'),"
            " create_default_indexes => FALSE)"
        )
        began = time.monotonic()
        copy(database, backlog.rows, COLUMNS)
        seconds = time.monotonic() - began
        connection.execute("DROP TABLE reference")
    return backlog.kind.records / seconds


def make_chunks(database: Database, days: int) -> int:
    """Give ``metrics`` a chunk for each of the last days, with a row in each; the number of rows."""
    with psycopg.connect(database.admin_url) as connection:
        connection.execute("INSERT INTO hosts (id, name) VALUES ('old', 'old')")
        return connection.execute(
            "INSERT INTO metrics SELECT gen_random_uuid(), 'old', day, 1, 1, 1, 1"
            " FROM generate_series(now() - %s * INTERVAL '1 day', now(), INTERVAL '1 day') AS day",
            [days - 1],
        ).rowcount


def enrol(database: Database, keys: list[tuple[str, str]]) -> None:
    """Give hosts their keys: pairs of key id and host id."""
    with (
        psycopg.connect(database.admin_url) as connection,
        connection.cursor().copy("COPY host_keys (id, host_id) FROM STDIN") as copy,
    ):
        for key in keys:
            copy.write_row(key)


def settle(database: Database) -> None:
    """Have the server write down what it holds, so that one measurement does not pay for the one before."""
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def count_rows(database: Database) -> int:
    """Rows of ``metrics``."""
    with psycopg.connect(database.admin_url) as connection:
        found = connection.execute(sql.SQL("SELECT count(*) FROM metrics")).fetchone()
    assert found is not None
    return int(found[0])


def copy(database: Database, rows: Path, columns: Sequence[str]) -> None:
    """Have ``psql`` put a CSV file into the table ``reference``."""
    runtime = Runtime.in_cache(local_settings.parse(os.environ, Path.home()).cache_dir)
    admin = urlsplit(database.admin_url)
    address = admin._replace(netloc=f"{admin.username}@{admin.hostname}:{admin.port}").geturl()
    statement = f"\\copy reference ({', '.join(columns)}) from {rows.name} csv"
    command = runtime.sandbox.command(rows.parent, ("psql", "-Xq", "-d", address, "-c", statement))
    subprocess.run(command, check=True, env={"PATH": "/usr/bin:/bin", "PGPASSWORD": unquote(admin.password or "")})
