"""Alert rules and their versions."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from infrawatch_api.contract.alerts import Alert, AlertRule, AlertVersion, FieldChange
from infrawatch_api.domain.alert_rules import Definition, changes, defined
from infrawatch_common.alerts.rules import Comparison, Metric, Severity
from infrawatch_common.database import Connection

# Any number serves, as long as nothing else uses it.
_CREATION_LOCK = 0x1F7A_0005

_PAGE = """
SELECT alerts.*, users.email FROM alerts LEFT JOIN users ON users.id = created_by
WHERE ($1::text IS NULL OR host_id = $1) AND ($2::text IS NULL OR metric = $2) AND ($3::text IS NULL OR severity = $3)
  AND ($4::boolean IS NULL OR enabled = $4) AND ($5::text IS NULL OR position(lower($5) IN lower(name)) > 0)
  AND ($6::timestamptz IS NULL OR (alerts.created_at, alerts.id) < ($6, $7::uuid))
ORDER BY alerts.created_at DESC, alerts.id DESC LIMIT $8
"""
_GET = "SELECT alerts.*, users.email FROM alerts LEFT JOIN users ON users.id = created_by WHERE alerts.id = $1"
_LOCK = _GET + " FOR UPDATE OF alerts"
_COUNT = "SELECT count(*) FROM alerts"
_INSERT = """
INSERT INTO alerts (name, host_id, selector, metric, comparison, threshold, clear_threshold, duration, severity,
                    enabled, created_by, created_at, changed_at)
VALUES ($1, $2, $3::jsonb, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12) RETURNING id
"""
_UPDATE = """
UPDATE alerts SET name = $2, host_id = $3, selector = $4::jsonb, metric = $5, comparison = $6, threshold = $7,
                  clear_threshold = $8, duration = $9, severity = $10, enabled = $11, version = version + 1,
                  changed_at = $12
WHERE id = $1 RETURNING version
"""
_DELETE = "DELETE FROM alerts WHERE id = $1"
_ADD_VERSION = """
INSERT INTO alert_versions (alert_id, version, rule, changed_at, changed_by) VALUES ($1, $2, $3::jsonb, $4, $5)
"""
_VERSIONS = """
SELECT now.version, now.rule, now.changed_at, users.email, earlier.rule AS earlier_rule
FROM alert_versions AS now
LEFT JOIN alert_versions AS earlier ON earlier.alert_id = now.alert_id AND earlier.version = now.version - 1
LEFT JOIN users ON users.id = now.changed_by
WHERE now.alert_id = $1 AND ($2::integer IS NULL OR now.version < $2)
ORDER BY now.version DESC LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked of rules; None is no matter. ``name`` is a part of it, in any case."""

    host_id: str | None
    metric: Metric | None
    severity: Severity | None
    enabled: bool | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Stored:
    """A rule as it is told, and what an operator decided about it."""

    alert: Alert
    definition: Definition


async def page(
    connection: Connection, filters: Filters, before: tuple[datetime, UUID] | None, limit: int
) -> list[Alert]:
    """Rules that fit all filters, the one created last first."""
    created_at, alert_id = before or (None, None)
    rows = await connection.fetch(
        _PAGE,
        filters.host_id,
        filters.metric,
        filters.severity,
        filters.enabled,
        filters.name,
        created_at,
        alert_id,
        limit,
    )
    return [_stored(row).alert for row in rows]


async def get(connection: Connection, alert_id: UUID) -> Stored | None:
    """The rule with this id."""
    row = await connection.fetchrow(_GET, alert_id)
    return _stored(row) if row is not None else None


async def lock(connection: Connection, alert_id: UUID) -> Stored | None:
    """The rule with this id, unchanged by others until the transaction ends."""
    row = await connection.fetchrow(_LOCK, alert_id)
    return _stored(row) if row is not None else None


async def lock_creation(connection: Connection) -> int:
    """Let one transaction at a time create rules; how many there are."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _CREATION_LOCK)
    count: int = await connection.fetchval(_COUNT)
    return count


async def insert(connection: Connection, definition: Definition, author: UUID, now: datetime) -> Alert:
    """Create a rule, in version 1."""
    alert_id = await connection.fetchval(_INSERT, *_columns(definition), author, now)
    await connection.execute(_ADD_VERSION, alert_id, 1, json.dumps(definition.as_json()), now, author)
    return await _told(connection, alert_id)


async def update(connection: Connection, alert_id: UUID, definition: Definition, author: UUID, now: datetime) -> Alert:
    """Give a rule that the transaction has locked its next version."""
    version = await connection.fetchval(_UPDATE, alert_id, *_columns(definition), now)
    await connection.execute(_ADD_VERSION, alert_id, version, json.dumps(definition.as_json()), now, author)
    return await _told(connection, alert_id)


async def delete(connection: Connection, alert_id: UUID) -> None:
    """Delete a rule; its versions and events stay."""
    await connection.execute(_DELETE, alert_id)


async def versions(connection: Connection, alert_id: UUID, before: int | None, limit: int) -> list[AlertVersion]:
    """The versions of a rule, which may be deleted, the latest first."""
    return [_version(row) for row in await connection.fetch(_VERSIONS, alert_id, before, limit)]


async def _told(connection: Connection, alert_id: UUID) -> Alert:
    stored = await get(connection, alert_id)
    assert stored is not None, "the rule is locked"
    return stored.alert


def _columns(definition: Definition) -> tuple[Any, ...]:
    return (
        definition.name,
        definition.host_id,
        json.dumps(dict(definition.selector or {})),
        definition.metric,
        definition.comparison,
        definition.threshold,
        definition.clear_threshold,
        definition.duration,
        definition.severity,
        definition.enabled,
    )


def _stored(row: asyncpg.Record) -> Stored:
    given = {name: row[name] for name in ("name", "host_id", "threshold", "clear_threshold", "duration", "enabled")}
    definition = defined(
        {
            **given,
            "selector": json.loads(row["selector"]),
            "metric": Metric(row["metric"]),
            "comparison": Comparison(row["comparison"]),
            "severity": Severity(row["severity"]),
        }
    )
    alert = Alert(
        **definition.as_json(),
        id=row["id"],
        version=row["version"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
        created_by=row["email"],
        last_triggered=row["last_triggered"],
        log=json.loads(row["log"]),
    )
    return Stored(alert, definition)


def _version(row: asyncpg.Record) -> AlertVersion:
    rule = json.loads(row["rule"])
    earlier = json.loads(row["earlier_rule"]) if row["earlier_rule"] is not None else rule
    return AlertVersion(
        version=row["version"],
        changed_at=row["changed_at"],
        changed_by=row["email"],
        changes=msgspec.convert(changes(earlier, rule), dict[str, FieldChange]),
        rule=msgspec.convert(rule, AlertRule),
    )
