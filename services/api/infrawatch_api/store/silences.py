"""Silences, and what they would hide."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from infrawatch_api.contract.matches import EventMatch
from infrawatch_api.contract.silences import Silence
from infrawatch_api.domain.silences import SilenceState, Span
from infrawatch_common.database import Connection
from infrawatch_common.notices.matching import Match

# Any number serves, as long as nothing else uses it.
_CREATION_LOCK = 0x1F7A_0007

_SELECT = """
SELECT silences.id, match, reason, starts_at, ends_at, silences.created_at, author.email AS created_by,
       ender.email AS ended_by
FROM silences LEFT JOIN users AS author ON author.id = created_by LEFT JOIN users AS ender ON ender.id = ended_by
"""
_WANTED = """
WHERE ($1::text IS NULL
       OR $1 = CASE WHEN ends_at <= $2 THEN 'expired' WHEN starts_at > $2 THEN 'pending' ELSE 'active' END)
  AND ($3::text IS NULL
       OR (NOT match ? 'host_ids' OR match->'host_ids' ? $3)
          AND coalesce((SELECT tags FROM hosts WHERE hosts.id = $3), '{}') @> coalesce(match->'selector', '{}'))
  AND ($4::timestamptz IS NULL OR (silences.created_at, silences.id) < ($4, $5::uuid))
ORDER BY silences.created_at DESC, silences.id DESC LIMIT $6
"""
_PAGE = _SELECT + _WANTED
_GET = _SELECT + "WHERE silences.id = $1"
_LOCK = _GET + " FOR UPDATE OF silences"
_COUNT = "SELECT count(*) FROM silences WHERE ends_at > $1"
_INSERT = """
INSERT INTO silences (match, reason, starts_at, ends_at, created_at, created_by) VALUES ($1::jsonb, $2, $3, $4, $5, $6)
RETURNING id
"""
_UPDATE = "UPDATE silences SET reason = $2, starts_at = $3, ends_at = $4 WHERE id = $1"
_END = "UPDATE silences SET ends_at = $2, ended_by = $3 WHERE id = $1"
_DELETE = "DELETE FROM silences WHERE id = $1"


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked of silences; None is no matter. With a host those that match some of its events."""

    state: SilenceState | None
    host_id: str | None


async def page(
    connection: Connection, filters: Filters, before: tuple[datetime, UUID] | None, limit: int, now: datetime
) -> list[Silence]:
    """Silences that fit all filters, the one created last first."""
    created_at, silence_id = before or (None, None)
    rows = await connection.fetch(_PAGE, filters.state, now, filters.host_id, created_at, silence_id, limit)
    return [_silence(row, now) for row in rows]


async def get(connection: Connection, silence_id: UUID, now: datetime) -> Silence | None:
    """The silence with this id."""
    row = await connection.fetchrow(_GET, silence_id)
    return _silence(row, now) if row is not None else None


async def lock(connection: Connection, silence_id: UUID, now: datetime) -> Silence | None:
    """The silence with this id, unchanged by others until the transaction ends."""
    row = await connection.fetchrow(_LOCK, silence_id)
    return _silence(row, now) if row is not None else None


async def lock_creation(connection: Connection, now: datetime) -> int:
    """Let one transaction at a time create silences; how many have not expired."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _CREATION_LOCK)
    count: int = await connection.fetchval(_COUNT, now)
    return count


async def insert(connection: Connection, match: Match, reason: str, span: Span, author: UUID, now: datetime) -> Silence:
    """Create a silence."""
    silence_id = await connection.fetchval(_INSERT, json.dumps(match.as_json()), reason, *span, now, author)
    return await _told(connection, silence_id, now)


async def update(connection: Connection, silence_id: UUID, reason: str, span: Span, now: datetime) -> Silence:
    """Change a silence that the transaction has locked."""
    await connection.execute(_UPDATE, silence_id, reason, *span)
    return await _told(connection, silence_id, now)


async def end(connection: Connection, silence_id: UUID, ender: UUID, now: datetime) -> None:
    """End a silence that is in force."""
    await connection.execute(_END, silence_id, now, ender)


async def delete(connection: Connection, silence_id: UUID) -> None:
    """Take away a silence that has not begun."""
    await connection.execute(_DELETE, silence_id)


async def _told(connection: Connection, silence_id: UUID, now: datetime) -> Silence:
    silence = await get(connection, silence_id, now)
    assert silence is not None, "the silence is locked"
    return silence


def _silence(row: asyncpg.Record, now: datetime) -> Silence:
    told: dict[str, Any] = dict(row)
    match = msgspec.convert(json.loads(told.pop("match")), EventMatch)
    return Silence(**told, match=match, state=Span(row["starts_at"], row["ends_at"]).state(now))
