"""What a match takes in of hosts, rules, events and drift."""

import json
from datetime import datetime
from typing import Any

from infrawatch_api.contract.alerts import AlertEvent
from infrawatch_api.store import alert_events
from infrawatch_common.alerts.rules import Severity
from infrawatch_common.database import Connection
from infrawatch_common.notices.matching import Kind, Match

# As ``Match.covers`` says it, of an event, or of drift, which is of no alert.
_COVERED = """
    ($1::text[] IS NULL OR severity = ANY ($1)) AND ($2::text[] IS NULL OR host_id = ANY ($2))
    AND ($3::uuid[] IS NULL OR alert_id = ANY ($3))
    AND ($4::jsonb = '{}' OR EXISTS (SELECT FROM hosts WHERE hosts.id = host_id AND tags @> $4))
"""
_FIRES = " WHERE resolved_at IS NULL AND "
_FIRING = alert_events.SELECT + _FIRES + _COVERED + "ORDER BY fired_at DESC, id DESC LIMIT $5"
_COUNT = "SELECT count(*) FROM alert_events"
_COUNT_FIRING = _COUNT + _FIRES + _COVERED
_COUNT_SINCE = _COUNT + " WHERE fired_at > $5 AND " + _COVERED
_MATCHED = """
WITH matched AS MATERIALIZED (
    SELECT id, tags FROM hosts
    WHERE retired IS NULL AND ($2::text[] IS NULL OR id = ANY ($2)) AND tags @> $4::jsonb
), chosen AS MATERIALIZED (
    SELECT host_id, selector FROM alerts
    WHERE enabled AND ($1::text[] IS NULL OR severity = ANY ($1)) AND ($3::uuid[] IS NULL OR id = ANY ($3))
), selecting AS (
    SELECT selector FROM (SELECT DISTINCT selector FROM chosen WHERE host_id IS NULL) AS each
    WHERE EXISTS (SELECT FROM matched WHERE tags @> selector)
)
SELECT (SELECT count(*) FROM matched) AS hosts,
       (SELECT count(*) FROM chosen WHERE host_id IN (SELECT id FROM matched))
       + (SELECT count(*) FROM chosen WHERE host_id IS NULL AND selector IN (SELECT selector FROM selecting)) AS alerts
"""
# What a snapshot shows is told as one, as bad as the worst of it; what nobody is to see does not count.
_SEEN = """
WITH seen AS (
    SELECT host_id, NULL::uuid AS alert_id, CASE WHEN bool_or(severity = 'critical') THEN 'critical'
           WHEN bool_or(severity = 'warning') THEN 'warning' ELSE 'info' END AS severity
    FROM drift_changes WHERE at > $5 AND NOT hidden GROUP BY host_id, snapshot_id
)
SELECT severity, count(*) FROM seen WHERE
"""
_COUNT_DRIFT = _SEEN + _COVERED + "GROUP BY severity"


async def firing(connection: Connection, match: Match, limit: int) -> list[AlertEvent]:
    """Events that fire and are matched, newest first."""
    if not match.is_for(Kind.ALERT):
        return []
    return [alert_events.told(row) for row in await connection.fetch(_FIRING, *_arguments(match), limit)]


async def count_firing(connection: Connection, match: Match) -> int:
    """How many events fire and are matched."""
    return int(await connection.fetchval(_COUNT_FIRING, *_arguments(match))) if match.is_for(Kind.ALERT) else 0


async def count_since(connection: Connection, match: Match, since: datetime) -> int:
    """How many events fired after ``since`` and are matched, by the tags of today."""
    return int(await connection.fetchval(_COUNT_SINCE, *_arguments(match), since)) if match.is_for(Kind.ALERT) else 0


async def count_drift_since(connection: Connection, match: Match, since: datetime) -> dict[str, int]:
    """How many snapshots from after ``since`` show drift that is matched, by severity and the tags of today."""
    rows = await connection.fetch(_COUNT_DRIFT, *_arguments(match), since) if match.is_for(Kind.DRIFT) else []
    return {severity.value: 0 for severity in Severity} | {row["severity"]: row["count"] for row in rows}


async def count_matched(connection: Connection, match: Match) -> tuple[int, int]:
    """How many hosts in service are matched, and how many enabled rules that are for any of them."""
    [row] = await connection.fetch(_MATCHED, *_arguments(match))
    return row["hosts"], row["alerts"] if match.is_for(Kind.ALERT) else 0


def _arguments(match: Match) -> tuple[Any, ...]:
    lists = (match.severities, match.host_ids, match.alert_ids)
    return *(list(one) if one is not None else None for one in lists), json.dumps(dict(match.selector))
