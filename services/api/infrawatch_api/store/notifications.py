"""Messages that people ask for."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from infrawatch_common.database import Connection

_INSERT = """
INSERT INTO notifications (id, channel_id, channel, host_id, message, created_at, next_attempt_at, requested_by)
VALUES ($1, $2, $3, NULL, $4::jsonb, $5, $5, $6)
"""
_REPEAT = """
INSERT INTO notifications (id, channel_id, channel, host_id, message, created_at, next_attempt_at, requested_by,
                           resent_of)
SELECT $2, channel_id, channel, host_id, message, $3, $3, $4, id FROM notifications WHERE id = $1
RETURNING id
"""


async def request_test(
    connection: Connection, channel_id: UUID, channel: str, message: Mapping[str, Any], author: UUID, now: datetime
) -> UUID:
    """Have a message about no host sent; its id."""
    notification_id = uuid4()
    await connection.execute(_INSERT, notification_id, channel_id, channel, json.dumps(dict(message)), now, author)
    return notification_id


async def repeat(connection: Connection, notification_id: UUID, author: UUID, now: datetime) -> UUID | None:
    """Have a message sent once more; the id of the new one, None if there is no such message."""
    new: UUID | None = await connection.fetchval(_REPEAT, notification_id, uuid4(), now, author)
    return new
