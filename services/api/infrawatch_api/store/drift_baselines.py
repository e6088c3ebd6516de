"""What hosts may have although others have something else."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from infrawatch_api.contract.drift_triage import DriftBaseline
from infrawatch_api.domain.drift_triage import in_force
from infrawatch_common.database import Connection
from infrawatch_common.drift.changes import Category, Key
from infrawatch_common.drift.facts import subject
from infrawatch_common.drift.hiding import hidden

_SELECT = """
SELECT baseline.id, host_id, category, source, name, value, reason, change_id, accepted_at, author.email AS accepted_by,
       expires_at, ended_at, ender.email AS ended_by
FROM drift_baselines AS baseline
    LEFT JOIN users AS author ON author.id = accepted_by LEFT JOIN users AS ender ON ender.id = ended_by
"""
_WANTED = """
WHERE ($1::text IS NULL OR host_id = $1)
  AND ($2::boolean IS NULL OR $2 = (ended_at IS NULL AND (expires_at IS NULL OR expires_at > $3)))
  AND ($4::timestamptz IS NULL OR (accepted_at, baseline.id) < ($4, $5::uuid))
ORDER BY accepted_at DESC, baseline.id DESC LIMIT $6
"""
_PAGE = _SELECT + _WANTED
_COUNT = "SELECT count(*) FROM "
_NUMBER = _COUNT + "(SELECT FROM drift_baselines AS baseline" + _WANTED + ") AS wanted"
_GET = _SELECT + "WHERE baseline.id = $1"
_LOCK = _GET + " FOR UPDATE OF baseline"
_HAS_SNAPSHOT = "SELECT EXISTS (SELECT FROM snapshots WHERE host_id = $1)"
_IS_KNOWN = "SELECT EXISTS (SELECT FROM facts WHERE subject = $1)"
_VALUE_NOW = """
SELECT value FROM facts
WHERE subject = $2 AND id = ANY (
    (SELECT facts FROM snapshots WHERE host_id = $1 ORDER BY timestamp DESC, id DESC LIMIT 1)::integer[])
"""
_END = "UPDATE drift_baselines SET ended_at = $2, ended_by = $3 WHERE id = $1"
_END_REPLACED = """
UPDATE drift_baselines
SET ended_at = least($3, expires_at), ended_by = CASE WHEN expires_at <= $3 THEN NULL ELSE $4::uuid END
WHERE host_id = $1 AND subject = $2 AND ended_at IS NULL
"""
_INSERT = """
INSERT INTO drift_baselines
    (host_id, subject, category, source, name, value, reason, accepted_at, accepted_by, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked of baselines; None is no matter."""

    host_id: str | None
    in_force: bool | None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Who accepts what a host has, why, and until when."""

    reason: str
    at: datetime
    by: UUID
    expires_at: datetime | None


async def page(
    connection: Connection, filters: Filters, before: tuple[Any, ...] | None, limit: int, now: datetime
) -> list[DriftBaseline]:
    """Baselines that fit all filters, the one accepted last first."""
    wanted = (filters.host_id, filters.in_force, now, *(before or (None, None)), limit)
    return [_baseline(row, now) for row in await connection.fetch(_PAGE, *wanted)]


async def number(
    connection: Connection, filters: Filters, before: tuple[Any, ...] | None, most: int, now: datetime
) -> int:
    """How many of them there are, or ``most``."""
    wanted = (filters.host_id, filters.in_force, now, *(before or (None, None)), most)
    return int(await connection.fetchval(_NUMBER, *wanted))


async def lock(connection: Connection, baseline_id: UUID, now: datetime) -> DriftBaseline | None:
    """The baseline with this id, unchanged by others until the transaction ends."""
    row = await connection.fetchrow(_LOCK, baseline_id)
    return _baseline(row, now) if row is not None else None


async def has_snapshot(connection: Connection, host_id: str) -> bool:
    """Whether it is known at all what the host has."""
    return bool(await connection.fetchval(_HAS_SNAPSHOT, host_id))


async def is_known(connection: Connection, key: Key) -> bool:
    """Whether any host has or had this."""
    return bool(await connection.fetchval(_IS_KNOWN, subject(key)))


async def replace(connection: Connection, host_id: str, key: Key, acceptance: Acceptance) -> DriftBaseline:
    """Make what the host has of this now the only baseline in force; for a transaction that holds the baselines."""
    told, about = acceptance, subject(key)
    await connection.execute(_END_REPLACED, host_id, about, told.at, told.by)
    value = await connection.fetchval(_VALUE_NOW, host_id, about)
    made = (host_id, about, *key, value, told.reason, told.at, told.by, told.expires_at)
    row = await connection.fetchrow(_GET, await connection.fetchval(_INSERT, *made))
    assert row is not None, "it was made in this transaction"
    return _baseline(row, told.at)


async def end(connection: Connection, baseline_id: UUID, ender: UUID, now: datetime) -> None:
    """End a baseline that is in force."""
    await connection.execute(_END, baseline_id, now, ender)


def _baseline(row: asyncpg.Record, now: datetime) -> DriftBaseline:
    told: dict[str, Any] = dict(row)
    category, value = Category(told.pop("category")), told.pop("value")
    if category is Category.ENV and value is not None:
        value = hidden(row["name"], value)
    valid = in_force(row["expires_at"], row["ended_at"], now)
    return DriftBaseline(**told, category=category, value=value, in_force=valid)
