"""What alert rules did."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from infrawatch_api.contract.alerts import AlertEvent
from infrawatch_api.store.conditions import Conditions
from infrawatch_common.alerts.rules import Comparison, Metric, Severity
from infrawatch_common.database import Connection

SELECT = """
SELECT id, alert_id, version, host_id, name, metric, comparison, threshold, severity, since, fired_at, value, found_at,
       late, resolved_at, resolved_value, resolved_reason
FROM alert_events
"""
_ORDER = "ORDER BY fired_at DESC, id DESC LIMIT $1"
_BY_ID = "WHERE id = $1"


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked of events; None is no matter. They fired at or after ``start`` and before ``end``."""

    host_id: str | None
    alert_id: UUID | None
    severity: Severity | None
    firing: bool | None
    late: bool | None
    start: datetime | None
    end: datetime | None


def question(filters: Filters, before: tuple[datetime, UUID] | None, limit: int) -> tuple[str, list[Any]]:
    """The statement and its arguments."""
    where = Conditions(limit)
    where.hold_given(
        (
            ("host_id = ${}", filters.host_id),
            ("alert_id = ${}", filters.alert_id),
            ("severity = ${}", filters.severity),
            ("late = ${}", filters.late),
            ("fired_at >= ${}", filters.start),
            ("fired_at < ${}", filters.end),
        )
    )
    if before is not None:
        where.hold("(fired_at, id) < (${}, ${})", *before)
    if filters.firing is not None:
        where.hold("resolved_at IS NULL" if filters.firing else "resolved_at IS NOT NULL")
    return f"{SELECT} WHERE {where} {_ORDER}", where.arguments


async def page(
    connection: Connection, filters: Filters, before: tuple[datetime, UUID] | None, limit: int
) -> list[AlertEvent]:
    """Events that fit all filters, newest first."""
    statement, arguments = question(filters, before, limit)
    return [told(row) for row in await connection.fetch(statement, *arguments)]


async def get(connection: Connection, event_id: UUID) -> AlertEvent | None:
    """The event with this id."""
    row = await connection.fetchrow(SELECT + _BY_ID, event_id)
    return told(row) if row is not None else None


def told(row: asyncpg.Record) -> AlertEvent:
    """An event from its row."""
    kinds = {
        "metric": Metric(row["metric"]),
        "comparison": Comparison(row["comparison"]),
        "severity": Severity(row["severity"]),
    }
    return AlertEvent(**{**row, **kinds})
