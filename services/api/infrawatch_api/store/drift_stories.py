"""Changes of hosts in a stretch of time, as stories are made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from infrawatch_api.domain.drift_changes import Counted
from infrawatch_api.store.drift_changes import TAGGED, VALUES, change, tag_objects
from infrawatch_common.database import Connection
from infrawatch_common.drift.changes import Change

# Packages of a source are compared by a digest.
_SELECT = f"""
SELECT c.id, c.host_id, c.subject, c.not_before, c.at, c.late, c.severity, c.category, c.source, c.name, c.action,
       c.direction, {VALUES},
       CASE WHEN c.category = 'source' THEN md5(c.before::text) END AS digest_before,
       CASE WHEN c.category = 'source' THEN md5(c.after::text) END AS digest_after
FROM drift_changes AS c
"""  # noqa: S608 - of parts that are here
_NEWEST = "ORDER BY c.at DESC, c.id DESC LIMIT $1"
_BEGAN_BEFORE = """
SELECT asked.host_id, asked.subject, asked.at
FROM unnest($1::text[], $2::bytea[], $3::timestamptz[]) AS asked (host_id, subject, at)
WHERE EXISTS (
    SELECT FROM drift_changes AS c
    WHERE c.host_id = asked.host_id AND c.subject = asked.subject AND c.at >= asked.at - $4::interval AND c.at < $5
      AND NOT c.hidden
)
"""


@dataclass(frozen=True, slots=True)
class Filters:
    """Changes of what stories are wanted: seen first from ``start`` until before ``end``, on a host or on all with the
    tags; None is no matter.
    """

    start: datetime
    end: datetime
    host_id: str | None = None
    tags: Sequence[dict[str, str]] | None = None
    category: str | None = None
    source: str | None = None
    name: str | None = None


class Found(NamedTuple):
    """A change with what a story's step tells of it; it may hold secrets."""

    id: UUID
    host_id: str
    subject: bytes
    not_before: datetime
    at: datetime
    late: bool
    severity: str
    change: Change


async def changes(connection: Connection, filters: Filters, limit: int) -> list[Found]:
    """At most so many changes that fit all filters and are not hidden, newest first."""
    conditions, arguments = ["NOT c.hidden", "c.at >= $2", "c.at < $3"], [limit, filters.start, filters.end]
    more: list[tuple[str, Any]] = [
        ("c.host_id = ${}", filters.host_id),
        (TAGGED, tag_objects(filters.tags)),
        ("c.category = ${}", filters.category),
        ("c.source = ${}", filters.source),
        ("c.name = ${}", filters.name),
    ]
    for condition, value in more:
        if value is not None:
            arguments.append(value)
            conditions.append(condition.format(len(arguments)))
    rows = await connection.fetch(f"{_SELECT} WHERE {' AND '.join(conditions)} {_NEWEST}", *arguments)
    return [_found(row) for row in rows]


async def began_before(
    connection: Connection, firsts: Sequence[Found], start: datetime, window: timedelta
) -> set[tuple[str, bytes, datetime]]:
    """Host, subject and time of the changes that one of the same precedes within the window, from before ``start``."""
    asked = [(first.host_id, first.subject, first.at) for first in firsts]
    columns = [list(column) for column in zip(*asked, strict=True)] if asked else [[], [], []]
    rows = await connection.fetch(_BEGAN_BEFORE, *columns, window, start)
    return {(row["host_id"], row["subject"], row["at"]) for row in rows}


def _found(row: asyncpg.Record) -> Found:
    whole = change(row)
    if row["packages_before"] is not None:
        whole = whole._replace(before=Counted(row["packages_before"], row["digest_before"]))
    if row["packages_after"] is not None:
        whole = whole._replace(after=Counted(row["packages_after"], row["digest_after"]))
    columns = {name: row[name] for name in Found._fields if name != "change"}
    return Found(**columns, change=whole)
