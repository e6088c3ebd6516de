"""How a host changed before an alert, which other hosts came to the same, and what fired there."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from infrawatch_api.contract.alerts import AlertEvent
from infrawatch_api.contract.drift import DriftChange
from infrawatch_api.contract.drift_before_alert import PeerAlert, PeerHost
from infrawatch_api.domain.before_alert import PEER_DAYS, Peers
from infrawatch_api.store.drift_changes import SELECT, fields
from infrawatch_common.alerts.rules import Severity
from infrawatch_common.database import Connection

# What was seen only after the firing may have happened before it, if the state before was not seen since.
_CHANGES = (
    SELECT
    + """
WHERE c.host_id = $2 AND NOT c.hidden AND c.at >= $3 AND c.at <= $4 AND c.not_before < $5
ORDER BY c.at DESC, c.id DESC LIMIT $1
"""
)
# A snapshot from after that time shows what changed before it.
_SEEN_AT = """
SELECT least(s.confirmed_at, $2) FROM snapshots AS s
WHERE s.host_id = $1 AND s.timestamp <= $3 AND EXISTS (SELECT FROM snapshots WHERE host_id = $1 AND timestamp <= $2)
ORDER BY s.timestamp DESC, s.id DESC LIMIT 1
"""
# An alert may have fired between the last time that a peer was seen without the change and the first time with it.
_PEERS = """
WITH asked AS MATERIALIZED (
    SELECT id, subject, at, after FROM drift_changes WHERE id = ANY ($1)
), peers AS MATERIALIZED (
    SELECT asked.id AS change_id, asked.at AS ours, same.host_id, min(same.at) AS at, count(*) AS times,
           min(greatest(same.not_before, same.at - $5::interval)) AS not_before
    FROM asked CROSS JOIN LATERAL (
        SELECT p.host_id, p.at, p.not_before FROM drift_changes AS p
        WHERE p.subject = asked.subject AND p.at > asked.at - $3::interval AND p.at < asked.at + $3::interval
          AND p.after = asked.after AND p.host_id <> $2
        ORDER BY p.at LIMIT $4
    ) AS same
    GROUP BY asked.id, asked.at, same.host_id
)
"""
_EVENTS = """
FROM alert_events AS e
WHERE e.host_id = peers.host_id AND e.fired_at > peers.not_before AND e.fired_at < peers.at + $5::interval
"""
_COUNTS = (
    _PEERS
    + """
SELECT change_id, count(*) AS hosts, sum(times)::bigint >= $4 AS more, count(*) FILTER (WHERE at < ours) AS earlier,
       count(*) FILTER (WHERE fired.anything) AS with_alerts, count(*) FILTER (WHERE fired.the_same) AS with_this_alert,
       (array_agg(host_id ORDER BY at, host_id))[1:5] AS first_hosts,
       (array_agg(at ORDER BY at, host_id))[1:5] AS first_at
FROM peers CROSS JOIN LATERAL (
    SELECT count(*) > 0 AS anything, coalesce(bool_or(e.alert_id = $6), FALSE) AS the_same
"""
    + _EVENTS
    + """
) AS fired GROUP BY change_id
"""
)
_ALERTS = (
    _PEERS  # noqa: S608 - of parts that are here
    + """
SELECT ranked.* FROM (
    SELECT peers.change_id, fired.*,
           row_number() OVER (PARTITION BY peers.change_id ORDER BY fired_at, fired.id) AS number
    FROM peers CROSS JOIN LATERAL (
        SELECT e.id, e.host_id, e.name, e.severity, e.since, e.fired_at, e.resolved_at
"""
    + _EVENTS
    + """
        ORDER BY e.fired_at LIMIT 5
    ) AS fired
) AS ranked WHERE number <= 5 ORDER BY change_id, number
"""
)


class Fared(NamedTuple):
    """Peers of a change, and the first of them and of their alerts."""

    peers: Peers
    hosts: list[PeerHost]
    alerts: list[PeerAlert]


async def changes(
    connection: Connection, event: AlertEvent, hours: int, limit: int, now: datetime
) -> list[DriftChange]:
    """At most so many changes on the event's host that may have happened in the hours before it, newest first."""
    reach = timedelta(hours=hours)
    rows = await connection.fetch(
        _CHANGES, limit, event.host_id, event.since - reach, event.fired_at + reach, event.fired_at
    )
    return [DriftChange(**fields(row, now)) for row in rows]


async def seen_at(connection: Connection, event: AlertEvent, hours: int) -> datetime | None:
    """Up to when the configuration of the event's host is known: at the latest the firing, None if not at all."""
    later = event.fired_at + timedelta(hours=hours)
    seen: datetime | None = await connection.fetchval(_SEEN_AT, event.host_id, event.fired_at, later)
    return seen


async def fared(
    connection: Connection, event: AlertEvent, change_ids: Sequence[UUID], hours: int, most: int
) -> dict[UUID, Fared]:
    """How others fared with the same changes, by the id of ours; changes of no one else are missing.

    At most ``most`` changes of others are looked at for each of ours.
    """
    arguments: list[Any] = [change_ids, event.host_id, timedelta(days=PEER_DAYS), most, timedelta(hours=hours)]
    rows = await connection.fetch(_COUNTS, *arguments, event.alert_id)
    alerts: defaultdict[UUID, list[PeerAlert]] = defaultdict(list)
    if any(row["with_alerts"] for row in rows):
        for row in await connection.fetch(_ALERTS, *arguments):
            columns = {name: row[name] for name in PeerAlert.__struct_fields__}
            alerts[row["change_id"]].append(PeerAlert(**{**columns, "severity": Severity(row["severity"])}))
    return {
        row["change_id"]: Fared(
            Peers(*(row[name] for name in Peers._fields)),
            [PeerHost(host_id, at) for host_id, at in zip(row["first_hosts"], row["first_at"], strict=True)],
            alerts[row["change_id"]],
        )
        for row in rows
    }
