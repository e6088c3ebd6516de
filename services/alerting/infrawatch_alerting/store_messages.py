"""Messages on their way, and the ledger of attempts."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from infrawatch_common.database import Pool, columns
from infrawatch_common.jobs import alone

# A channel is behind only with what may be sent: about each host the oldest message.
_DUE = """
SELECT channel_id, count(*) AS waiting, min(next_attempt_at) AS due_at FROM notifications
WHERE state = 'waiting' AND channel_id IN (SELECT id FROM channels WHERE enabled)
GROUP BY channel_id
"""
# Whoever claims has the lease until next_attempt_at; then the attempt counts as lost, and another one is made.
_CLAIM = """
WITH due AS (
    SELECT id FROM notifications AS n
    WHERE state = 'waiting' AND channel_id = $1 AND next_attempt_at <= $2
      AND NOT EXISTS (SELECT FROM notifications AS e
                      WHERE e.state = 'waiting' AND e.channel_id = n.channel_id AND e.host_id = n.host_id
                        AND e.number < n.number)
    ORDER BY number LIMIT $3 FOR UPDATE SKIP LOCKED
)
UPDATE notifications AS n SET attempts = attempts + 1, next_attempt_at = $4
FROM due, channels
WHERE n.id = due.id AND channels.id = n.channel_id
RETURNING n.id, channel_id, n.host_id, kind, sealed, message, attempts, n.created_at
"""
_ATTEMPT = """
INSERT INTO deliveries (id, notification_id, channel_id, host_id, attempt, started_at)
SELECT id, notification_id, channel_id, host_id, attempt, $6
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::integer[])
    AS new (id, notification_id, channel_id, host_id, attempt)
"""
_OUTCOME = "UPDATE deliveries SET finished_at = $2, outcome = $3, detail = $4 WHERE id = $1"
_DELIVERED = "UPDATE notifications SET state = 'delivered' WHERE id = $1"
# Not if the attempt was late and another one is under way.
_AGAIN = """
UPDATE notifications SET next_attempt_at = $3 WHERE id = $1 AND attempts = $2 AND state = 'waiting'
"""
_GIVE_UP = """
WITH given_up AS (
    UPDATE notifications AS n SET state = 'given_up', attempts = attempts + 1
    WHERE state = 'waiting' AND next_attempt_at <= $1
      AND (created_at <= $2 OR NOT EXISTS (SELECT FROM channels WHERE channels.id = n.channel_id))
    RETURNING id, channel_id, host_id, attempts, created_at <= $2 AS is_old
)
INSERT INTO deliveries (id, notification_id, channel_id, host_id, attempt, started_at, finished_at, outcome, detail)
SELECT gen_random_uuid(), id, channel_id, host_id, attempts, $1, $1, 'given_up',
       CASE WHEN is_old THEN $3 ELSE 'its channel was deleted' END
FROM given_up
RETURNING id
"""
_CLEAN = """
DELETE FROM notifications WHERE id IN (
    SELECT id FROM notifications WHERE created_at < $1 AND state <> 'waiting' ORDER BY created_at LIMIT $2)
"""


class Attempt(NamedTuple):
    """An attempt that is under way, of a message to a channel."""

    id: UUID
    notification_id: UUID
    channel_id: UUID
    host_id: str | None
    kind: str
    sealed: bytes
    message: Mapping[str, Any]
    number: int
    created_at: datetime


class Queue(NamedTuple):
    """How many messages wait for a channel, and when the next attempt is due."""

    channel_id: UUID
    waiting: int
    due_at: datetime


class MessageStore:
    """Tables ``notifications`` and ``deliveries``. Errors of the moment are the caller's to repeat."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def queues(self) -> list[Queue]:
        """What waits for each channel that is enabled."""
        return [Queue(*row) for row in await self._pool.fetch(_DUE)]

    async def claim(self, channel_id: UUID, now: datetime, lease_until: datetime, most: int) -> list[Attempt]:
        """Begin attempts of messages that are due, at most so many, each about another host."""
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_CLAIM, channel_id, now, most, lease_until)
            attempts = [_attempt(row) for row in rows]
            if attempts:
                keys = [(one.id, one.notification_id, one.channel_id, one.host_id, one.number) for one in attempts]
                await connection.execute(_ATTEMPT, *columns(keys), now)
        return attempts

    async def delivered(self, attempt: Attempt, at: datetime) -> None:
        """It has arrived."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_DELIVERED, attempt.notification_id)
            await connection.execute(_OUTCOME, attempt.id, at, "delivered", None)

    async def failed(self, attempt: Attempt, at: datetime, detail: str, again_at: datetime) -> None:
        """It has not, for that reason, and is sent again then."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_AGAIN, attempt.notification_id, attempt.number, again_at)
            await connection.execute(_OUTCOME, attempt.id, at, "failed", detail)

    async def give_up(self, now: datetime, before: datetime, detail: str) -> int:
        """Give up messages from before then, and those whose channel was deleted; how many."""
        return len(await self._pool.fetch(_GIVE_UP, now, before, detail))

    async def clean(self, before: datetime, most: int, within: float) -> int:
        """Delete messages from before then, with their attempts, at most so many; how many there were.

        ``within`` so many seconds. Raises ``TakenError`` while another replica is at it.
        """
        async with alone(self._pool, "alerting", "delivery retention") as connection:
            status = await connection.execute(_CLEAN, before, most, timeout=within)
        return int(status.rpartition(" ")[2])


def _attempt(row: Any) -> Attempt:
    notification_id, channel_id, host_id, kind, sealed, message, number, created_at = row
    return Attempt(uuid4(), notification_id, channel_id, host_id, kind, sealed, json.loads(message), number, created_at)
