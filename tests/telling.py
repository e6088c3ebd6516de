"""Channels, and messages on their way to them, put straight into the database; ``world`` has it as ``admin``."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

_CHANNEL = """
INSERT INTO channels (name, kind, target, sealed, routes, group_interval, enabled)
VALUES ($1, 'webhook', 'https://hooks.example.org/…', '', '[{}]', '1 min', $2) RETURNING id
"""
_MESSAGE = """
INSERT INTO notifications (id, channel_id, channel, host_id, message, created_at, state, attempts, next_attempt_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_ATTEMPT = """
INSERT INTO deliveries (id, notification_id, channel_id, host_id, attempt, started_at, finished_at, outcome, detail)
SELECT $1, id, channel_id, host_id, $3, $4, $5, $6, $7 FROM notifications WHERE id = $2
"""


async def add_channel(world: Any, name: str, *, enabled: bool = True) -> UUID:
    channel_id: UUID = await world.admin.fetchval(_CHANNEL, name, enabled)
    return channel_id


def message(channel: str, host_id: str | None, *event_ids: UUID) -> dict[str, Any]:
    """A message as the notifier writes it."""
    items = [{"what": "fired", "event": {"id": str(event_id), "name": "cpu high"}} for event_id in event_ids]
    host = {"id": host_id, "name": host_id, "tags": {}} if host_id is not None else None
    title = f"cpu high on {host_id}"
    return {
        "type": "alert",
        "channel": channel,
        "host": host,
        "late": False,
        "items": items,
        "title": title,
        "text": "…",
    }


async def add_message(
    world: Any, channel_id: UUID, host_id: str | None = "web-1", *event_ids: UUID, at: datetime, **columns: Any
) -> UUID:
    """A message that waits, or in another ``state``; tried ``attempts`` times, next at ``next_attempt_at``."""
    notification_id = uuid4()
    channel = columns.get("channel", "ops")
    await world.admin.execute(
        _MESSAGE,
        notification_id,
        channel_id,
        channel,
        host_id,
        json.dumps(message(channel, host_id, *event_ids)),
        at,
        columns.get("state", "waiting"),
        columns.get("attempts", 0),
        columns.get("next_attempt_at", at),
    )
    return notification_id


async def add_attempt(
    world: Any, notification_id: UUID, number: int = 1, *, at: datetime, outcome: str | None = None, **columns: Any
) -> UUID:
    """An attempt that took no time; without outcome it is under way."""
    delivery_id = uuid4()
    finished_at = at if outcome is not None else None
    await world.admin.execute(
        _ATTEMPT, delivery_id, notification_id, number, at, finished_at, outcome, columns.get("detail")
    )
    return delivery_id
