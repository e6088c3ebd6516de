"""Drift as the drift service gives it to alerting to tell: by its own role, with its own statements."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

from infrawatch_common.drift.notice_ids import drift_notice_id

# Hosts before their notices: in the order in which the notifier takes them.
_LOOK = """
INSERT INTO notice_hosts (host_id, look_at) SELECT host_id, '-infinity' FROM unnest($1::text[]) AS new (host_id)
ORDER BY host_id
ON CONFLICT (host_id) DO UPDATE SET look_at = excluded.look_at
"""
_NOTICE = """
INSERT INTO notices (id, host_id, fired_at, found_at, event, ended, kind)
VALUES ($1, $2, $3, $4, $5::jsonb, true, 'drift')
ON CONFLICT (id) DO NOTHING
"""
_WAKE = "SELECT pg_notify('infrawatch_notices', 'events')"
KERNEL = ("critical", "the kernel changed: 6.1 to 6.2")


def drift_event(
    host_id: str,
    snapshot_id: UUID,
    at: datetime,
    found_at: datetime,
    changes: Sequence[tuple[str, str]] = (KERNEL,),
) -> dict[str, Any]:
    """What a snapshot shows; ``changes`` are severities and sentences, the worst first."""
    counts = {severity: sum(one == severity for one, _ in changes) for severity in ("critical", "warning", "info")}
    return {
        "kind": "drift",
        "id": str(drift_notice_id(snapshot_id)),
        "host_id": host_id,
        "snapshot_id": str(snapshot_id),
        "not_before": (at - timedelta(minutes=10)).isoformat(),
        "at": at.isoformat(),
        "found_at": found_at.isoformat(),
        "late": False,
        "severity": changes[0][0],
        "counts": counts,
        "changes": [
            {
                "id": str(uuid5(snapshot_id, sentence)),
                "category": "kernel",
                "source": "",
                "name": "kernel",
                "action": "changed",
                "direction": None,
                "before": "6.1",
                "after": "6.2",
                "packages_before": None,
                "packages_after": None,
                "severity": severity,
                "reason": "a kernel",
                "sentence": sentence,
            }
            for severity, sentence in changes
        ],
    }


async def add_drift(
    connection: Any,
    host_id: str,
    at: datetime,
    changes: Sequence[tuple[str, str]] = (KERNEL,),
    snapshot_id: UUID | None = None,
    found_at: datetime | None = None,
) -> UUID:
    """Have it told what a snapshot shows, over a connection of role infrawatch_drift; the snapshot's id."""
    snapshot_id = snapshot_id or uuid4()
    event = drift_event(host_id, snapshot_id, at, found_at or at, changes)
    async with connection.transaction():
        await connection.execute(_LOOK, [host_id])
        await connection.execute(_NOTICE, UUID(event["id"]), host_id, at, found_at or at, json.dumps(event))
        await connection.execute(_WAKE)
    return snapshot_id
