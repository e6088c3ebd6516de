"""Hosts and rules for alerting, put straight into a database."""

from datetime import UTC, datetime, timedelta

import psycopg

from bench.busy import DURATION, THRESHOLD
from stack import Database

RULES_A_HOST = 5
_NEVER = timedelta(days=1)  # no host is silent for so long, whenever the backlog was made
_LONG = timedelta(minutes=5)
_BEFORE = timedelta(days=2)  # longer than any backlog is
_COPY = "COPY alerts (host_id, name, metric, threshold, duration, changed_at) FROM STDIN"


def add_hosts(database: Database, host_ids: list[str]) -> None:
    """Register them, as ingest does with their first sample."""
    with psycopg.connect(database.admin_url) as connection:
        connection.cursor().executemany(
            "INSERT INTO hosts (id, name) VALUES (%s, %s)", [(one, one) for one in host_ids]
        )


def add_rules_of_each(database: Database, host_ids: list[str], interval: timedelta) -> None:
    """Give every host five rules of its own, the dearest way to have five; ``interval`` is between its samples.

    Only the first one ever fires.
    """
    kinds = (
        ("cpu busy", "cpu", THRESHOLD, DURATION * interval),
        ("cpu full", "cpu", 98.0, _LONG),
        ("memory full", "memory", 90.0, _LONG),
        ("disk full", "disk", 85.0, timedelta(0)),
        ("silent", "heartbeat", None, _NEVER),
    )
    assert len(kinds) == RULES_A_HOST
    add_rules(database, [(host, *kind) for host in host_ids for kind in kinds])


def add_rules(database: Database, rules: list[tuple[str | None, str, str, float | None, timedelta]]) -> None:
    """Host (None: all), name, metric, threshold and duration of each. They judge the records of a backlog as well."""
    since = datetime.now(UTC) - _BEFORE
    with psycopg.connect(database.admin_url) as connection, connection.cursor().copy(_COPY) as copy:
        for rule in rules:
            copy.write_row((*rule, since))
