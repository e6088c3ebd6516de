"""Ignore rules, and the changes that they hide."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from infrawatch_api.contract.drift_ignores import CreatedDriftIgnore, DriftIgnore
from infrawatch_api.store.drift_locks import hold_ignores
from infrawatch_common.database import Connection
from infrawatch_common.drift.ignoring import Ignore, like_pattern

_SELECT = """
SELECT ignore.id, category, sources, names, selector, reason, ignore.created_at, author.email AS created_by
FROM drift_ignores AS ignore LEFT JOIN users AS author ON author.id = created_by
"""
_PAGE = (
    _SELECT
    + """
WHERE $1::timestamptz IS NULL OR (ignore.created_at, ignore.id) < ($1, $2::uuid)
ORDER BY ignore.created_at DESC, ignore.id DESC LIMIT $3
"""
)
_GET = _SELECT + "WHERE ignore.id = $1"
_COUNT = "SELECT count(*) FROM drift_ignores"
_OTHERS = "SELECT id, category, sources, names, selector FROM drift_ignores WHERE id <> $1 ORDER BY created_at, id"
# Of two rules that cover a change the older one hides it, whichever replica's clock is ahead.
_INSERT = """
INSERT INTO drift_ignores (category, sources, names, selector, reason, created_by, created_at)
VALUES ($1, $2, $3, $4, $5, $6,
        greatest($7, (SELECT max(created_at) + INTERVAL '1 microsecond' FROM drift_ignores)))
RETURNING id
"""
_DELETE = "DELETE FROM drift_ignores WHERE id = $1"

# As ``covers`` of common says it, of a row of drift_changes: category, sources and names as LIKE's patterns, selector.
COVERED = """(
    ($1::text IS NULL OR category = $1)
    AND (cardinality($2::text[]) = 0 OR source LIKE ANY ($2))
    AND (cardinality($3::text[]) = 0 OR name LIKE ANY ($3)
         OR category = 'package' AND source NOT LIKE 'python:%' AND split_part(name, ':', 1) LIKE ANY ($3))
    AND ($4::jsonb = '{}' OR EXISTS (SELECT FROM hosts WHERE hosts.id = host_id AND tags @> $4))
)"""
_MARK = (
    """
UPDATE drift_changes SET ignored_by = $5
WHERE ignored_by IS NULL AND """
    + COVERED
)
# The planner cannot know how many things and hosts there are; where it guesses few, comparing them all takes minutes.
_JOIN_BY_HASH = "SELECT set_config('enable_nestloop', 'off', TRUE)"
# What a rule hid, given to the first of the others that covers it; the rest is shown when the rule is deleted.
_HAND_OVER = """
WITH rules AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($2::jsonb)
        AS rule (rank integer, id uuid, category text, sources text[], names text[], selector jsonb)
), pairs AS MATERIALIZED (
    SELECT DISTINCT host_id, subject, category, source, name FROM drift_changes WHERE ignored_by = $1
), covered AS MATERIALIZED (
    SELECT subject, rules.rank, rules.id, rules.selector
    FROM (SELECT DISTINCT subject, category, source, name FROM pairs) AS thing JOIN rules
        ON (rules.category IS NULL OR rules.category = thing.category)
        AND (cardinality(rules.sources) = 0 OR source LIKE ANY (rules.sources))
        AND (cardinality(rules.names) = 0 OR name LIKE ANY (rules.names)
             OR thing.category = 'package' AND source NOT LIKE 'python:%'
                AND split_part(name, ':', 1) LIKE ANY (rules.names))
), heirs AS MATERIALIZED (
    SELECT DISTINCT ON (host_id, subject) host_id, subject, covered.id
    FROM pairs JOIN covered USING (subject) LEFT JOIN hosts ON hosts.id = host_id
    WHERE selector = '{}' OR tags @> selector
    ORDER BY host_id, subject, rank
)
UPDATE drift_changes AS change SET ignored_by = heirs.id FROM heirs
WHERE ignored_by = $1 AND (change.host_id, change.subject) = (heirs.host_id, heirs.subject)
"""


async def page(connection: Connection, before: tuple[datetime, UUID] | None, limit: int) -> list[DriftIgnore]:
    """Ignore rules, the one created last first."""
    return [_ignore(row) for row in await connection.fetch(_PAGE, *(before or (None, None)), limit)]


async def lock(connection: Connection, wait: float) -> int:
    """Let nobody else change the rules, nor write changes by them, until the transaction ends; how many there are."""
    await allow(connection, wait)
    await hold_ignores(connection, wait)
    count: int = await connection.fetchval(_COUNT)
    return count


async def allow(connection: Connection, seconds: float) -> None:
    """Let statements of this transaction take so long: there may be many changes."""
    await connection.execute("SELECT set_config('statement_timeout', $1, TRUE)", str(int(seconds * 1000)))


async def get(connection: Connection, rule_id: UUID) -> DriftIgnore | None:
    """The rule with this id."""
    row = await connection.fetchrow(_GET, rule_id)
    return _ignore(row) if row is not None else None


async def insert(
    connection: Connection, rule: Ignore, reason: str, author: UUID, now: datetime, wait: float
) -> CreatedDriftIgnore:
    """Create a rule, whose id is not that of ``rule``, and hide what it covers; for a transaction that has ``lock``."""
    told = (rule.category, list(rule.sources), list(rule.names), json.dumps(dict(rule.selector)), reason, author, now)
    rule_id = await connection.fetchval(_INSERT, *told)
    marked = await connection.execute(_MARK, *arguments(rule), rule_id, timeout=wait)
    created = await get(connection, rule_id)
    assert created is not None, "it was made in this transaction"
    return CreatedDriftIgnore(**msgspec.structs.asdict(created), changes=int(marked.rpartition(" ")[2]))


async def delete(connection: Connection, rule_id: UUID, wait: float) -> None:
    """Delete a rule; what it hid and no other rule covers is visible again. For a transaction that has ``lock``."""
    others = json.dumps([_as_json(rank, row) for rank, row in enumerate(await connection.fetch(_OTHERS, rule_id))])
    await connection.execute(_JOIN_BY_HASH)
    await connection.execute(_HAND_OVER, rule_id, others, timeout=wait)
    await connection.execute(_DELETE, rule_id, timeout=wait)


def arguments(rule: Ignore) -> tuple[Any, ...]:
    """What ``COVERED`` asks for."""
    return rule.category, *map(_patterns, (rule.sources, rule.names)), json.dumps(dict(rule.selector))


def _patterns(globs: Sequence[str]) -> list[str]:
    return list(map(like_pattern, globs))


def _as_json(rank: int, row: asyncpg.Record) -> dict[str, Any]:
    lists = {name: _patterns(row[name]) for name in ("sources", "names")}
    return {
        "rank": rank,
        "id": str(row["id"]),
        "category": row["category"],
        **lists,
        "selector": json.loads(row["selector"]),
    }


def _ignore(row: asyncpg.Record) -> DriftIgnore:
    return msgspec.convert({**row, "selector": json.loads(row["selector"])}, DriftIgnore)
