"""The ledger of attempts to send."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from infrawatch_api.contract.deliveries import Delivery, DeliveryWithMessage
from infrawatch_api.domain.deliveries import MessageState, Outcome
from infrawatch_api.store.conditions import Conditions
from infrawatch_common.database import Connection

# The lease of an attempt that is under way is over at its message's next_attempt_at.
_LIVES = "n.state = 'waiting' AND d.attempt = n.attempts AND n.next_attempt_at > ${}"
_OUTCOMES = {
    Outcome.DELIVERED: "d.outcome = 'delivered'",
    Outcome.FAILED: "d.outcome = 'failed'",
    Outcome.GIVEN_UP: "d.outcome = 'given_up'",
    Outcome.PENDING: f"d.outcome IS NULL AND {_LIVES}",
    Outcome.UNKNOWN: f"d.outcome IS NULL AND NOT ({_LIVES})",
}
_COLUMNS = """
SELECT d.id, d.notification_id, d.attempt, d.channel_id, n.channel, d.host_id, n.message->>'title' AS title,
       d.started_at, d.finished_at, d.outcome, d.detail, n.state, n.attempts, n.next_attempt_at
"""
_FROM = " FROM deliveries AS d JOIN notifications AS n ON n.id = d.notification_id "
_ORDER = "ORDER BY d.started_at DESC, d.id DESC LIMIT $1"
_GET = (
    _COLUMNS
    + ", n.message, n.resent_of, users.email"
    + _FROM
    + "LEFT JOIN users ON users.id = n.requested_by WHERE d.id = $1"
)
_OF_EVENTS = """
SELECT id FROM notifications
WHERE jsonb_path_query_array(message, '$.items[*].event.id') @> to_jsonb($1::text[])
"""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked of attempts; None is no matter. They began at or after ``start`` and before ``end``.

    They are of message ``notification_id``, and of one of ``notification_ids``.
    """

    channel_id: UUID | None = None
    host_id: str | None = None
    outcome: Outcome | None = None
    notification_id: UUID | None = None
    notification_ids: tuple[UUID, ...] | None = None
    start: datetime | None = None
    end: datetime | None = None


def question(
    filters: Filters, before: tuple[datetime, UUID] | None, limit: int, now: datetime
) -> tuple[str, list[Any]]:
    """The statement and its arguments."""
    where = Conditions(limit)
    ids = filters.notification_ids
    where.hold_given(
        (
            ("d.channel_id = ${}", filters.channel_id),
            ("d.host_id = ${}", filters.host_id),
            ("d.notification_id = ${}", filters.notification_id),
            ("d.notification_id = ANY (${})", list(ids) if ids is not None else None),
            ("d.started_at >= ${}", filters.start),
            ("d.started_at < ${}", filters.end),
        )
    )
    if before is not None:
        where.hold("(d.started_at, d.id) < (${}, ${})", *before)
    if filters.outcome is not None:
        condition = _OUTCOMES[filters.outcome]
        where.hold(condition, *([now] if "{}" in condition else []))
    return f"{_COLUMNS}{_FROM}WHERE {where} {_ORDER}", where.arguments


async def page(
    connection: Connection, filters: Filters, before: tuple[datetime, UUID] | None, limit: int, now: datetime
) -> list[Delivery]:
    """Attempts that fit all filters, the one begun last first."""
    statement, arguments = question(filters, before, limit, now)
    return [Delivery(**_told(row, now)) for row in await connection.fetch(statement, *arguments)]


async def get(connection: Connection, delivery_id: UUID, now: datetime) -> DeliveryWithMessage | None:
    """The attempt with this id."""
    row = await connection.fetchrow(_GET, delivery_id)
    if row is None:
        return None
    more = {"message": json.loads(row["message"]), "resent_of": row["resent_of"], "requested_by": row["email"]}
    return DeliveryWithMessage(**_told(row, now), **more)


async def messages_about(connection: Connection, event_ids: Sequence[UUID]) -> tuple[UUID, ...] | None:
    """The messages that tell of all these events; None if there are none of which they could tell."""
    if not event_ids:
        return None
    return tuple(row["id"] for row in await connection.fetch(_OF_EVENTS, list(map(str, event_ids))))


def _told(row: asyncpg.Record, now: datetime) -> dict[str, Any]:
    state = MessageState(row["state"])
    told = {name: row[name] for name in Delivery.__struct_fields__}
    next_attempt_at = row["next_attempt_at"] if state is MessageState.WAITING else None
    return told | {"outcome": _outcome(row, now), "state": state, "next_attempt_at": next_attempt_at}


def _outcome(row: asyncpg.Record, now: datetime) -> Outcome:
    if row["outcome"] is not None:
        return Outcome(row["outcome"])
    lives = row["state"] == "waiting" and row["attempt"] == row["attempts"] and row["next_attempt_at"] > now
    return Outcome.PENDING if lives else Outcome.UNKNOWN
