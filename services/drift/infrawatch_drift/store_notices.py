"""What people are to be told of drift: rows that the notifier of alerting takes."""

import json
from collections.abc import Sequence

from infrawatch_common.database import Connection, columns
from infrawatch_drift.domain.notice import Notice

# Hosts before their notices: in the order in which the notifier takes them. A notice that is there was told before.
_LOOK = """
INSERT INTO notice_hosts (host_id, look_at)
SELECT DISTINCT host_id, '-infinity'::timestamptz FROM unnest($1::uuid[], $2::text[]) AS new (id, host_id)
WHERE NOT EXISTS (SELECT FROM notices WHERE notices.id = new.id)
ORDER BY host_id
ON CONFLICT (host_id) DO UPDATE SET look_at = excluded.look_at
"""
_NOTE = """
INSERT INTO notices (id, kind, host_id, fired_at, found_at, event, ended)
SELECT id, 'drift', host_id, fired_at, found_at, event, true
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::jsonb[])
    AS new (id, host_id, fired_at, found_at, event)
ON CONFLICT DO NOTHING
RETURNING id
"""
_WAKE = "SELECT pg_notify('infrawatch_notices', 'events')"


async def tell(connection: Connection, notices: Sequence[Notice]) -> list[Notice]:
    """Have people told, once; those of the notices that are new."""
    if not notices:
        return []
    rows = [(one.id, one.found.host_id, one.found.at, one.found.found_at, json.dumps(one.event)) for one in notices]
    await connection.execute(_LOOK, [one.id for one in notices], [one.found.host_id for one in notices])
    new = {row["id"] for row in await connection.fetch(_NOTE, *columns(rows))}
    if new:
        await connection.execute(_WAKE)
    return [one for one in notices if one.id in new]
