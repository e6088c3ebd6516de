"""What an ignore rule would have hidden."""

import json
from datetime import datetime

import asyncpg

from infrawatch_api.contract.drift_ignores import IgnoredChange, IgnoredHost, IgnoredSubject
from infrawatch_api.store.drift_ignores import COVERED, arguments
from infrawatch_common.alerts.rules import Severity
from infrawatch_common.database import Connection
from infrawatch_common.drift.changes import Category, Change, sentence
from infrawatch_common.drift.ignoring import Ignore

_SHOWN = " FROM drift_changes WHERE at >= $5 AND NOT hidden "
_COUNT = "SELECT count(*) FILTER (WHERE " + COVERED + ") AS changes, count(*) AS shown" + _SHOWN
_PAIRS = (
    "WITH pairs AS MATERIALIZED (SELECT host_id, category, source, name, count(*) AS changes"
    + _SHOWN
    + "AND"
    + COVERED
    + "GROUP BY 1, 2, 3, 4)"
)
_HOSTS = (
    _PAIRS
    + """
SELECT host_id, sum(changes)::bigint AS changes, count(*) OVER () AS total FROM pairs
GROUP BY host_id ORDER BY changes DESC, host_id LIMIT $6
"""
)
_SUBJECTS = (
    _PAIRS
    + """
SELECT category, source, name, sum(changes)::bigint AS changes, count(*) AS hosts, count(*) OVER () AS total FROM pairs
GROUP BY 1, 2, 3 ORDER BY changes DESC, 1, 2, 3 LIMIT $6
"""
)
_EXAMPLES = (
    "SELECT id, host_id, at, severity, category, source, name, action, direction, before, after"
    + _SHOWN
    + "AND"
    + COVERED
    + "ORDER BY at DESC, id DESC LIMIT $6"
)


async def count(connection: Connection, rule: Ignore, since: datetime) -> tuple[int, int]:
    """Of the changes since then that are shown, how many the rule covers, and how many it does not."""
    [row] = await connection.fetch(_COUNT, *arguments(rule), since)
    return row["changes"], row["shown"] - row["changes"]


async def hosts(connection: Connection, rule: Ignore, since: datetime, limit: int) -> tuple[int, list[IgnoredHost]]:
    """On how many hosts it covers any, and those with the most."""
    rows = await connection.fetch(_HOSTS, *arguments(rule), since, limit)
    return _total(rows), [IgnoredHost(row["host_id"], row["changes"]) for row in rows]


async def subjects(
    connection: Connection, rule: Ignore, since: datetime, limit: int
) -> tuple[int, list[IgnoredSubject]]:
    """Of how many things it covers any change, and those with the most."""
    rows = await connection.fetch(_SUBJECTS, *arguments(rule), since, limit)
    return _total(rows), [_subject(row) for row in rows]


async def examples(connection: Connection, rule: Ignore, since: datetime, limit: int) -> list[IgnoredChange]:
    """The newest changes that it covers."""
    return [_example(row) for row in await connection.fetch(_EXAMPLES, *arguments(rule), since, limit)]


def _total(rows: list[asyncpg.Record]) -> int:
    return rows[0]["total"] if rows else 0


def _subject(row: asyncpg.Record) -> IgnoredSubject:
    return IgnoredSubject(Category(row["category"]), row["source"], row["name"], row["changes"], row["hosts"])


def _example(row: asyncpg.Record) -> IgnoredChange:
    change = Change.from_json({**row, "before": json.loads(row["before"]), "after": json.loads(row["after"])})
    return IgnoredChange(row["id"], row["host_id"], row["at"], Severity(row["severity"]), sentence(change))
