"""Channels, and how their deliveries go."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from infrawatch_api.contract.channels import Channel, ChannelFailure
from infrawatch_api.contract.matches import EventMatch
from infrawatch_api.domain.channels import ChannelKind, Definition
from infrawatch_common.database import Connection
from infrawatch_common.notices.matching import Match

# Any number serves, as long as nothing else uses it.
_CREATION_LOCK = 0x1F7A_0006

_SELECT = """
SELECT channels.id, channels.name, kind, target, routes, send_resolved, group_interval, repeat_interval, enabled,
       channels.created_at, changed_at, users.email, waiting.messages, delivered.at AS delivered_at,
       failed.at AS failed_at, failed.detail
FROM channels LEFT JOIN users ON users.id = created_by
CROSS JOIN LATERAL (
    SELECT count(*) AS messages FROM notifications WHERE channel_id = channels.id AND state = 'waiting'
) AS waiting
LEFT JOIN LATERAL (
    SELECT finished_at AS at FROM deliveries WHERE channel_id = channels.id AND outcome = 'delivered'
    ORDER BY started_at DESC LIMIT 1
) AS delivered ON true
LEFT JOIN LATERAL (
    SELECT last.at, last.detail FROM unnest(ARRAY['failed', 'given_up']) AS bad (outcome)
    CROSS JOIN LATERAL (
        SELECT finished_at AS at, detail, started_at FROM deliveries
        WHERE channel_id = channels.id AND outcome = bad.outcome ORDER BY started_at DESC LIMIT 1
    ) AS last
    ORDER BY last.started_at DESC LIMIT 1
) AS failed ON true
"""
_NEWEST_FIRST = """
WHERE $1::timestamptz IS NULL OR (channels.created_at, channels.id) < ($1, $2::uuid)
ORDER BY channels.created_at DESC, channels.id DESC LIMIT $3
"""
_PAGE = _SELECT + _NEWEST_FIRST
_GET = _SELECT + "WHERE channels.id = $1"
_LOCK = """
SELECT name, kind, target, sealed, routes, send_resolved, group_interval, repeat_interval, enabled, changed_at
FROM channels WHERE id = $1 FOR UPDATE
"""
_COUNT = "SELECT count(*) FROM channels"
_INSERT = """
INSERT INTO channels (kind, target, sealed, name, routes, send_resolved, group_interval, repeat_interval, enabled,
                      created_by, created_at, changed_at)
VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7, $8, $9, $10, $11, $11)
ON CONFLICT (name) DO NOTHING RETURNING id
"""
_UPDATE = """
UPDATE channels SET target = $2, sealed = $3, name = $4, routes = $5::jsonb, send_resolved = $6, group_interval = $7,
                    repeat_interval = $8, enabled = $9, changed_at = $10
WHERE id = $1
"""
_DELETE = "DELETE FROM channels WHERE id = $1"


class NameTakenError(Exception):
    """Another channel has this name."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a channel sends: ``target`` may be shown, ``sealed`` is encrypted."""

    target: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """A channel as it lies in the database, for who changes it."""

    kind: ChannelKind
    address: Address
    definition: Definition
    changed_at: datetime

    def as_json(self) -> dict[str, Any]:
        """What may be noted of it: no secrets."""
        return {"kind": self.kind, "target": self.address.target, **self.definition.as_json()}


async def page(connection: Connection, before: tuple[datetime, UUID] | None, limit: int) -> list[Channel]:
    """Channels, the one created last first."""
    created_at, channel_id = before or (None, None)
    return [_channel(row) for row in await connection.fetch(_PAGE, created_at, channel_id, limit)]


async def get(connection: Connection, channel_id: UUID) -> Channel | None:
    """The channel with this id."""
    row = await connection.fetchrow(_GET, channel_id)
    return _channel(row) if row is not None else None


async def lock(connection: Connection, channel_id: UUID) -> Stored | None:
    """The channel with this id, unchanged by others until the transaction ends."""
    row = await connection.fetchrow(_LOCK, channel_id)
    if row is None:
        return None
    return Stored(ChannelKind(row["kind"]), Address(row["target"], row["sealed"]), _definition(row), row["changed_at"])


async def lock_creation(connection: Connection) -> int:
    """Let one transaction at a time create channels; how many there are."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _CREATION_LOCK)
    count: int = await connection.fetchval(_COUNT)
    return count


async def insert(
    connection: Connection, kind: ChannelKind, address: Address, definition: Definition, author: UUID, now: datetime
) -> Channel:
    """Create a channel. Raises ``NameTakenError``."""
    channel_id = await connection.fetchval(
        _INSERT, kind, address.target, address.sealed, *_columns(definition), author, now
    )
    if channel_id is None:
        raise NameTakenError
    return await told(connection, channel_id)


async def update(
    connection: Connection, channel_id: UUID, address: Address, definition: Definition, now: datetime
) -> Channel:
    """Change a channel that the transaction has locked. Raises ``NameTakenError``."""
    try:
        await connection.execute(_UPDATE, channel_id, address.target, address.sealed, *_columns(definition), now)
    except asyncpg.UniqueViolationError as error:
        raise NameTakenError from error
    return await told(connection, channel_id)


async def delete(connection: Connection, channel_id: UUID) -> None:
    """Delete a channel; its messages and their deliveries stay."""
    await connection.execute(_DELETE, channel_id)


async def told(connection: Connection, channel_id: UUID) -> Channel:
    """A channel that the transaction has locked."""
    channel = await get(connection, channel_id)
    assert channel is not None, "the channel is locked"
    return channel


def _columns(definition: Definition) -> tuple[Any, ...]:
    return (
        definition.name,
        json.dumps([route.as_json() for route in definition.routes]),
        definition.send_resolved,
        definition.group_interval,
        definition.repeat_interval,
        definition.enabled,
    )


def _definition(row: asyncpg.Record) -> Definition:
    return Definition(
        name=row["name"],
        routes=tuple(Match.from_json(route) for route in json.loads(row["routes"])),
        send_resolved=row["send_resolved"],
        group_interval=row["group_interval"],
        repeat_interval=row["repeat_interval"],
        enabled=row["enabled"],
    )


def _channel(row: asyncpg.Record) -> Channel:
    told = _definition(row).as_json()
    return Channel(
        **{**told, "routes": msgspec.convert(told["routes"], list[EventMatch])},
        id=row["id"],
        kind=ChannelKind(row["kind"]),
        target=row["target"],
        created_at=row["created_at"],
        created_by=row["email"],
        changed_at=row["changed_at"],
        waiting=row["messages"],
        last_delivered_at=row["delivered_at"],
        last_failure=ChannelFailure(row["failed_at"], row["detail"]) if row["failed_at"] is not None else None,
    )
