"""Changes of hosts' configurations."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from infrawatch_api.contract.drift import DriftChange, DriftVerdict
from infrawatch_api.domain.drift_changes import ChangeState, Counted, DriftSeverity, state, told
from infrawatch_api.store.conditions import Conditions
from infrawatch_common.database import Connection
from infrawatch_common.drift.changes import Action, Category, Change, Direction

# All packages of a source are only counted: there can be thousands.
VALUES = """
    CASE WHEN c.category <> 'source' THEN c.before #>> '{}' END AS before,
    CASE WHEN c.category <> 'source' THEN c.after #>> '{}' END AS after,
    CASE WHEN jsonb_typeof(c.before) = 'object' THEN (SELECT count(*) FROM jsonb_object_keys(c.before)) END
        AS packages_before,
    CASE WHEN jsonb_typeof(c.after) = 'object' THEN (SELECT count(*) FROM jsonb_object_keys(c.after)) END
        AS packages_after
"""
SELECT = f"""
SELECT
    c.id, c.host_id, c.snapshot_id, c.not_before, c.at, c.found_at, c.late, c.category, c.source, c.name, c.action,
    c.direction, c.severity, c.reason, c.hidden, c.ignored_by, c.verdict, c.verdict_reason, c.verdict_at,
    u.email AS verdict_by, c.expires_at, {VALUES}
FROM drift_changes AS c LEFT JOIN users AS u ON u.id = c.verdict_by
"""  # noqa: S608 - of parts that are here
_BY_ID = "WHERE c.id = $1"
_COUNT = "SELECT count(*) FROM (SELECT FROM drift_changes AS c WHERE"
_COUNTED = ") AS counted"
_NEWEST = "ORDER BY c.at DESC, c.id DESC LIMIT $1"
_OVER = "c.verdict = 'accepted' AND c.expires_at <= ${}"
_STATES = {
    ChangeState.OPEN: "c.verdict = 'open'",
    ChangeState.REJECTED: "c.verdict = 'rejected'",
    ChangeState.ACCEPTED: "c.verdict = 'accepted' AND (c.expires_at IS NULL OR c.expires_at > ${})",
    ChangeState.EXPIRED: f"(c.verdict = 'expired' OR ({_OVER}))",
}
# Names have no index of their own among changes, but among facts, which say what they are names of.
_NAMED = "c.name = ${0} AND c.subject = ANY (ARRAY (SELECT DISTINCT f.subject FROM facts AS f WHERE f.name = ${0}))"
TAGGED = "c.host_id IN (SELECT h.id FROM hosts AS h WHERE h.tags @> ALL (${}::jsonb[]))"
_VERDICTS = """
SELECT v.verdict, v.reason, v.at, u.email AS by, v.expires_at
FROM drift_verdicts AS v LEFT JOIN users AS u ON u.id = v.by WHERE v.change_id = $1 ORDER BY v.id
"""
_OTHER_HOSTS = """
SELECT count(DISTINCT other.host_id) FROM drift_changes AS c
JOIN drift_changes AS other ON other.subject = c.subject AND other.at >= $2 AND other.after = c.after
WHERE c.id = $1 AND other.host_id <> c.host_id
"""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked of changes; None is no matter. They were seen first at or after ``start`` and before ``end``.

    Their hosts have all ``tags``; ``categories`` and ``severities`` are those that will do.
    """

    host_id: str | None = None
    tags: Sequence[Mapping[str, str]] | None = None
    snapshot_id: UUID | None = None
    categories: Sequence[Category] | None = None
    source: str | None = None
    name: str | None = None
    action: Action | None = None
    direction: Direction | None = None
    severities: Sequence[DriftSeverity] | None = None
    state: ChangeState | None = None
    hidden: bool = False
    late: bool | None = None
    start: datetime | None = None
    end: datetime | None = None


def question(filters: Filters, before: tuple[Any, ...] | None, limit: int, now: datetime) -> tuple[str, list[Any]]:
    """The statement and its arguments."""
    where = _where(filters, before, limit, now)
    return f"{SELECT} WHERE {where} {_NEWEST}", where.arguments


def number_question(
    filters: Filters, before: tuple[Any, ...] | None, most: int, now: datetime
) -> tuple[str, list[Any]]:
    """As ``question``, for how many there are, but at most so many."""
    where = _where(filters, before, most, now)
    return f"{_COUNT} {where} {_NEWEST} {_COUNTED}", where.arguments


def _where(filters: Filters, before: tuple[Any, ...] | None, limit: int, now: datetime) -> Conditions:
    where = Conditions(limit)
    where.hold("c.hidden" if filters.hidden else "NOT c.hidden")
    where.hold_given(
        (
            ("c.host_id = ${}", filters.host_id),
            (TAGGED, tag_objects(filters.tags)),
            ("c.snapshot_id = ${}", filters.snapshot_id),
            ("c.category = ANY (${})", list(filters.categories) if filters.categories else None),
            ("c.source = ${}", filters.source),
            (_NAMED, filters.name),
            ("c.action = ${}", filters.action),
            ("c.direction = ${}", filters.direction),
            ("c.severity = ANY (${})", list(filters.severities) if filters.severities else None),
            ("c.late = ${}", filters.late),
            ("c.at >= ${}", filters.start),
            ("c.at < ${}", filters.end),
        )
    )
    if before is not None:
        where.hold("(c.at, c.id) < (${}, ${})", *before)
    if filters.state is not None:
        condition = _STATES[filters.state]
        where.hold(condition, *([now] if "{}" in condition else []))
    return where


def tag_objects(tags: Sequence[Mapping[str, str]] | None) -> list[str] | None:
    """The argument of ``TAGGED``; None if tags are no matter."""
    return [json.dumps(dict(tag)) for tag in tags] if tags else None


async def page(
    connection: Connection, filters: Filters, before: tuple[Any, ...] | None, limit: int, now: datetime
) -> list[DriftChange]:
    """Changes that fit all filters, newest first."""
    statement, arguments = question(filters, before, limit, now)
    return [DriftChange(**fields(row, now)) for row in await connection.fetch(statement, *arguments)]


async def number(
    connection: Connection, filters: Filters, before: tuple[Any, ...] | None, most: int, now: datetime
) -> int:
    """How many changes fit all filters, but at most ``most``."""
    statement, arguments = number_question(filters, before, most, now)
    return int(await connection.fetchval(statement, *arguments))


async def get(connection: Connection, change_id: UUID, now: datetime) -> DriftChange | None:
    """The change with this id, hidden or not."""
    row = await connection.fetchrow(SELECT + _BY_ID, change_id)
    return DriftChange(**fields(row, now)) if row is not None else None


async def verdicts(connection: Connection, change_id: UUID) -> list[DriftVerdict]:
    """What was said of a change, oldest first."""
    return [
        DriftVerdict(**{**row, "verdict": ChangeState(row["verdict"])})
        for row in await connection.fetch(_VERDICTS, change_id)
    ]


async def other_hosts(connection: Connection, change_id: UUID, now: datetime) -> int:
    """How many other hosts came to the same in the last seven days."""
    return int(await connection.fetchval(_OTHER_HOSTS, change_id, now - timedelta(days=7)))


def change(row: Mapping[str, Any] | asyncpg.Record) -> Change:
    """The change of a row with the columns of ``VALUES``; it may hold secrets."""
    direction = row["direction"]
    return Change(
        Category(row["category"]),
        row["source"],
        row["name"],
        Action(row["action"]),
        row["before"] if row["packages_before"] is None else Counted(row["packages_before"]),
        row["after"] if row["packages_after"] is None else Counted(row["packages_after"]),
        None if direction is None else Direction(direction),
    )


def fields(row: asyncpg.Record, now: datetime) -> dict[str, Any]:
    """The fields of a ``DriftChange``, from a row of ``SELECT``."""
    found = change(row)
    shared = {name: row[name] for name in DriftChange.__struct_fields__ if name in row}
    kinds = {"category": found.category, "action": found.action, "direction": found.direction}
    judged = {"severity": DriftSeverity(row["severity"]), "state": state(row["verdict"], row["expires_at"], now)}
    return shared | kinds | judged | told(found)._asdict()
